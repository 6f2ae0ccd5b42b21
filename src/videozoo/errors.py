"""What is said to people when something of theirs is wrong: one clear sentence, exit code 2."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Self

_MOST_FAULTS = 100  # of one error

_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxlong, _SHORT.maxother = 2, 200, 200, 200
NICKNAMES: dict[str, str] = {}
"""By the beginning of paths, how people know it: `s3://` for where copies of buckets lie."""
MAX_BAD = 0.05
"""The share of unreadable samples that is said loudly, where no setting gives another."""


def as_given(text: object) -> str:
    """Returns a text with paths that stand for addresses as these addresses; see NICKNAMES."""
    text = str(text)
    for beginning, nickname in NICKNAMES.items():
        text = text.replace(beginning, nickname)
    return text


class VideozooError(Exception):
    """Something the user gave is wrong.

    The message is a sentence for people: which file, which record or key, what is wrong, what to
    do. The command line prints it without a traceback and exits with code 2.

    Attributes:
        parts: the sentences of several faults that one error tells together, see Faults.
    """

    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return as_given(super().__str__())


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
        return as_given(": ".join([*place, self.reason]))

    def at(self, path: Path | str, record: int | None = None) -> Self:
        """Returns the same fault with its place, where that is not known yet."""
        return type(self)(
            self.reason,
            path=path if self.path is None else self.path,
            record=record if self.record is None else self.record,
        )


class ChangedError(VideozooError):
    """A file is another one than when it was looked through; the message says what to do.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path | str) -> None:
        super().__init__(
            f"{path}: has changed since it was looked through, so that its videos have other"
            " numbers; give the command again"
        )
        self.path = path


class Faults:
    """Collects every fault found in the inputs, so that all are named and not the first alone."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.left_out = 0

    def add(self, message: str) -> None:
        """Notes one fault; the same one is noted once, whoever meets it; 100 are enough to tell."""
        if message in self.messages:
            return
        if self.are_enough:
            self.left_out += 1
        else:
            self.messages.append(message)

    @property
    def are_enough(self) -> bool:
        """Whether more faults would be counted alone, so that looking for words is no use."""
        return len(self.messages) >= _MOST_FAULTS

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
            lines += f"\n  and {self.left_out} more" if self.left_out else ""
            count = len(self.messages) + self.left_out
            error = VideozooError(f"{count} things are wrong:{lines}")
            error.parts = tuple(self.messages)
            raise error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` for the nearest known word, or an empty string."""
    lowered = {k.lower(): k for k in known}
    near = get_close_matches(word[:100].lower(), list(lowered), n=1, cutoff=0.6)
    return f"; did you mean '{lowered[near[0]]}'?" if near else ""


def brief(value: object, most: int = 80) -> str:
    """Returns a value of a file as an error shows it, in at most `most` characters.

    A small file can hold a list in a list a billion times, or a number of a million digits: written
    out they would take for ever.
    """
    try:
        text = _SHORT.repr(value[:most] if isinstance(value, (bytes, bytearray)) else value)
    except Exception:  # a number has too many digits; whatever a repr may raise
        text = f"a very large {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 3]}..."
