"""Which whole units of videos go to validation, so that each class gives about its share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

SPLIT_STREAM = 1


def join(count: int, ties: Iterable[Iterable[int]]) -> list[int]:
    """Joins what is tied, and what is tied to that.

    Args:
        count: how many things there are.
        ties: each names things that belong together, by index.

    Returns:
        The unit of each thing; units are numbered by their first thing.
    """
    root = list(range(count))

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for tie in ties:
        first, *others = tie
        for other in others:
            a, b = sorted((find(first), find(other)))
            root[b] = a
    numbers: dict[int, int] = {}
    return [numbers.setdefault(find(i), len(numbers)) for i in range(count)]


def equal_ones(keys: Iterable[Hashable]) -> list[list[int]]:
    """Returns the indices of each key that occurs more than once; None is no key."""
    found: dict[Hashable, list[int]] = {}
    for i, key in enumerate(keys):
        if key is not None:
            found.setdefault(key, []).append(i)
    return [indices for indices in found.values() if len(indices) > 1]


def rarest_labels(labels: Sequence[Sequence[int]]) -> list[int]:
    """Returns the label of each video that fewest videos have; -1 of one with none."""
    counts = Counter(label for one in labels for label in one)
    return [min(one, key=lambda label: (counts[label], label), default=-1) for one in labels]


def choose_valid(
    units: Sequence[int], classes: Sequence[int], *, seed: int, share: float
) -> list[bool]:
    """Chooses whole units for validation, about `share` of each class.

    Each class that has two units or more gives at least one where the other classes of its units
    allow it, and no class ever gives all.

    Args:
        units: of each video, see join; whole units are chosen.
        classes: of each video.
        seed: decides together with the order of the units.
        share: of each class, in (0, 1).

    Returns:
        Whether each video is one to validate on.
    """
    content = [Counter[int]() for _ in range(max(units, default=-1) + 1)]
    for unit, label in zip(units, classes, strict=True):
        content[unit][label] += 1
    draw = _Draw(content, share)
    order = np.random.default_rng([seed, SPLIT_STREAM]).permutation(len(content)).tolist()
    members: dict[int, list[int]] = {}
    for unit in order:
        for label in content[unit]:
            members.setdefault(label, []).append(unit)
    # The rarest first: the others have more units to choose among.
    for label in sorted(members, key=lambda label: (len(members[label]), label)):
        draw.fill(label, members[label])
    return [unit in draw.chosen for unit in units]


class _Draw:
    """The units that were chosen so far, and what is left of each class."""

    def __init__(self, content: Sequence[Counter[int]], share: float) -> None:
        self._content = content
        total: Counter[int] = Counter()
        self._left: Counter[int] = Counter()  # units of each class that training still has
        for unit in content:
            total.update(unit)
            self._left.update(dict.fromkeys(unit, 1))
        self._wanted = {label: share * number for label, number in total.items()}
        self._taken: Counter[int] = Counter()
        self.chosen: set[int] = set()

    def fill(self, label: int, units: Sequence[int]) -> None:
        """Chooses units of one class until its share is reached, as nearly as may be."""
        wanted = self._wanted[label]
        for unit in units:
            if self._taken[label] >= wanted:
                return
            if self._may_go(unit) and all(
                self._taken[c] + size <= self._wanted[c] + 0.5
                for c, size in self._content[unit].items()
            ):
                self._take(unit)
        # No unit fits any more. One too large may still be nearer to the share than none is.
        rest = [unit for unit in units if self._may_go(unit)]
        if rest:
            unit = min(rest, key=lambda u: self._content[u][label])
            beyond = self._taken[label] + self._content[unit][label] - wanted
            if not self._taken[label] or beyond < wanted - self._taken[label]:
                self._take(unit)

    def _may_go(self, unit: int) -> bool:
        """Whether training keeps a unit of each class without this one."""
        return unit not in self.chosen and all(self._left[c] > 1 for c in self._content[unit])

    def _take(self, unit: int) -> None:
        self.chosen.add(unit)
        self._taken.update(self._content[unit])
        self._left.subtract(dict.fromkeys(self._content[unit], 1))
