"""The share of a list that one of many jobs does, such as the jobs of a cluster's array."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace

from videozoo.errors import VideozooError


@dataclass(frozen=True)
class Shard:
    """One of the shares that a list is cut into: the `number`-th, from 1, of `count`."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str | None) -> Shard | None:
        """Reads `3/64`, the third of 64; None stays None.

        Raises:
            VideozooError: it is none.
        """
        if text is None:
            return None
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            raise VideozooError(
                f"--shard {text}: give NUMBER/COUNT, counted from 1: 1/64 to 64/64 are the shares"
                " of 64 jobs"
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def suffix(self) -> str:
        """What stands in the names of its files: `.3-of-64`."""
        return f".{self.number}-of-{self.count}"


@dataclass(frozen=True)
class Span:
    """The samples of a list that a run does: all, or a shard's, which lie next to each other.

    A shard has whole steps, so that each sample is in the batch that it has without shards. Of 10
    samples in steps of 2, three shards have

        sample   0 1 | 2 3   4 5 | 6 7   8 9
        shard      1 |     2     |     3

    Attributes:
        listed: samples in the list.
        step: samples that are done together.
        shard: whose; None: all.
    """

    listed: int
    step: int = 1
    shard: Shard | None = None

    @property
    def steps(self) -> range:
        """The steps of the whole list that are done."""
        steps = -(-self.listed // self.step)
        if self.shard is None:
            return range(steps)
        number, count = self.shard.number, self.shard.count
        return range((number - 1) * steps // count, number * steps // count)

    def indices(self, first_step: int = 0) -> range:
        """Returns the samples of these steps, from some step on."""
        first = max(first_step, self.steps.start) * self.step
        return range(min(first, self.listed), min(self.steps.stop * self.step, self.listed))


@dataclass(frozen=True)
class Listed:
    """A list that a run goes over.

    Attributes:
        span: its samples.
        name: of a sample, by its index.
    """

    span: Span
    name: Callable[[int], str]

    def indices(self, shard: Shard) -> range:
        """Returns the samples of one of its shards."""
        return replace(self.span, shard=shard).indices()


SHARED_OUT: ContextVar[Callable[[Sequence[Listed]], None] | None]
SHARED_OUT = ContextVar("SHARED_OUT", default=None)
"""Has shards of whole lists done elsewhere, all of them: a cluster, see videozoo.fleet."""


def share_out(*lists: Listed) -> None:
    """Has the shards of whole lists done where SHARED_OUT says; the run then takes what they did.

    Args:
        lists: checked, and not begun. Of a shard nothing happens.
    """
    do = SHARED_OUT.get()
    if do is not None and all(one.span.shard is None for one in lists):
        do(lists)
