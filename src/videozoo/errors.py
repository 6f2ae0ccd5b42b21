"""What is said to people when something of theirs is wrong: one clear sentence, exit code 2."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Self

MAX_BAD = 0.05
"""The share of unreadable samples that is said loudly, where no setting gives another."""


class VideozooError(Exception):
    """Something the user gave is wrong.

    The message is a sentence for people: which file, which record or key, what is wrong, what to
    do. The command line prints it without a traceback and exits with code 2.

    Attributes:
        parts: the sentences of several faults that one error tells together, see Faults.
    """

    parts: tuple[str, ...] = ()


class FileError(VideozooError):
    """A file is not what it should be; the message is `FILE: reason`.

    Attributes:
        reason: what is wrong with it, for whoever calls the file by another name.
    """

    def __init__(self, file: Path | str, reason: str) -> None:
        super().__init__(f"{file}: {reason}")
        self.reason = reason


class SampleError(VideozooError):
    """One sample cannot be read; str() says where and why.

    Training skips and counts such a sample, test and infer list it with its reason.

    Attributes:
        reason: why; begins with a verb or a noun, without the place.
        path: the file; None: not known where the fault was found.
        record: number of the record in the file; None: not known, or the file is one sample.
    """

    def __init__(
        self, reason: str, *, path: Path | str | None = None, record: int | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = path
        self.record = record

    def __str__(self) -> str:
        place = [] if self.path is None else [str(self.path)]
        place += [] if self.record is None else [f"record {self.record}"]
        return ": ".join([*place, self.reason])

    def at(self, path: Path | str, record: int | None = None) -> Self:
        """Returns the same fault with its place, where that is not known yet."""
        return type(self)(
            self.reason,
            path=path if self.path is None else self.path,
            record=record if self.record is None else self.record,
        )


class Faults:
    """Collects every fault found in the inputs, so that all are named and not the first alone."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def add(self, message: str) -> None:
        """Notes one fault; the same one is noted once, whoever meets it."""
        if message not in self.messages:
            self.messages.append(message)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Notes the VideozooError that the block raises, if any, and goes on behind the block."""
        try:
            yield
        except VideozooError as error:
            for part in error.parts or (str(error),):
                self.add(part)

    def raise_if_any(self) -> None:
        """Raises one VideozooError that lists all faults noted so far.

        Raises:
            VideozooError: at least one fault was noted.
        """
        if len(self.messages) == 1:
            raise VideozooError(self.messages[0])
        if self.messages:
            lines = "".join(f"\n  {i}. {m}" for i, m in enumerate(self.messages, 1))
            error = VideozooError(f"{len(self.messages)} things are wrong:{lines}")
            error.parts = tuple(self.messages)
            raise error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` for the nearest known word, or an empty string."""
    lowered = {k.lower(): k for k in known}
    near = get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean '{lowered[near[0]]}'?" if near else ""
