"""Which samples are measured, and where their bytes lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Span:
    """A run of bytes of a file.

    Attributes:
        path: the file.
        start, stop: its first byte and the one after the last.
    """

    path: Path
    start: int
    stop: int


@dataclass(frozen=True)
class Block:
    """The samples of one batch.

    Attributes:
        indices: the samples.
        spans: where their stored bytes lie, in the order of reading.
    """

    indices: tuple[int, ...]
    spans: tuple[Span, ...]

    @property
    def size(self) -> int:
        """The stored bytes."""
        return sum(span.stop - span.start for span in self.spans)


def spread_runs(listed: int, wanted: int, run: int) -> list[int]:
    """Chooses samples evenly over a list, in runs of neighbours.

    With listed = 12, wanted = 4 and run = 2:  0 1 . . . . 6 7 . . . .

    Args:
        listed: how many samples there are, at least 1.
        wanted: how many are wanted; as many or a few less are chosen.
        run: how many neighbours are read in turn.

    Returns:
        Indices, ascending; all of them where `wanted` is `listed` or more.
    """
    if wanted >= listed:
        return list(range(listed))
    run = min(run, wanted)
    runs = wanted // run
    starts = [i * listed // runs for i in range(runs)]
    return [start + i for start in starts for i in range(run)]


def spread_groups(groups: Sequence[tuple[int, int]], wanted: int) -> list[int]:
    """Chooses whole groups evenly over a list, such as files that can only be read as a whole.

    Args:
        groups: first sample and the one after the last of each group.
        wanted: how many samples are wanted; at least one group is chosen.

    Returns:
        Indices, ascending.
    """
    filled = [group for group in groups if group[0] < group[1]]
    mean = sum(stop - start for start, stop in filled) / len(filled)
    count = min(len(filled), max(1, int(wanted / mean)))
    chosen = [filled[i * len(filled) // count] for i in range(count)]
    return [index for group in chosen for index in range(*group)]


def cut(
    indices: Sequence[int], size: int, spans: Callable[[Sequence[int]], Sequence[Span]]
) -> list[Block]:
    """Cuts samples into blocks.

    Args:
        indices: the samples.
        size: samples a block; the last may have fewer.
        spans: answers some samples with where their bytes lie.
    """
    parts = [tuple(indices[i : i + size]) for i in range(0, len(indices), size)]
    return [Block(part, tuple(spans(part))) for part in parts]
