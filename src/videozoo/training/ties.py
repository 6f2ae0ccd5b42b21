"""What belongs together: videos of one content, near-copies, clips of one recording."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from videozoo.data.clips.clip_list import ClipEntry
from videozoo.training.copies import Rows, content_keys, near_copies
from videozoo.training.sides import equal_ones, join

_NAMED = 5  # copies that a note names

RowsOf = Callable[[Sequence[ClipEntry]], Sequence[Rows | None] | None]


@dataclass(frozen=True)
class Kept:
    """What a video is kept together with.

    Attributes:
        unit: number; videos of one unit belong on one side, and in one fold.
        group: the name of its recording; empty where it is on its own.
        copy_of: the first video of the list that it is a copy or near-copy of; None: it is none.
    """

    unit: int
    group: str = ""
    copy_of: Path | None = None


@dataclass(frozen=True)
class Ties:
    """What belongs together in a list of videos.

    Attributes:
        kept: of each video.
        near: whether near-copies were looked for, by rows.
        unreadable: which videos have no rows, by number.
        same: groups of videos with the same content, by number.
    """

    kept: list[Kept]
    near: bool
    unreadable: frozenset[int] = frozenset()
    same: tuple[list[int], ...] = ()


def tie(entries: Sequence[ClipEntry], groups: Sequence[str | None], rows_of: RowsOf | None) -> Ties:
    """Finds what belongs together.

    Args:
        entries: the videos.
        groups: the recording of each; None: on its own.
        rows_of: gives an encoder's rows, to find near-copies by; None: the same content is found.
    """
    same = equal_ones(content_keys([entry.path for entry in entries]))
    rows = rows_of(entries) if rows_of is not None else None
    near = near_copies(rows) if rows is not None else []
    units = join(len(entries), [*same, *near, *equal_ones(groups)])
    copies = join(len(entries), [*same, *near])
    first: dict[int, int] = {}
    kept = []
    for i, (unit, copy) in enumerate(zip(units, copies, strict=True)):
        original = first.setdefault(copy, i)
        of = entries[original].path if original != i else None
        kept.append(Kept(unit, groups[i] or "", of))
    missing = frozenset(i for i, row in enumerate(rows or ()) if row is None)
    return Ties(kept, rows is not None, missing, tuple(same))


def copies_note(entries: Sequence[ClipEntry], ties: Ties) -> list[str]:
    """Names the copies, for people; empty where there are none."""
    short = _shortener(entries)
    pairs = [
        f"{short(entry.path)} of {short(kept.copy_of)}"
        for entry, kept in zip(entries, ties.kept, strict=True)
        if kept.copy_of is not None
    ]
    kind = "look nearly like" if ties.near else "are copies of"
    note = f"{len(pairs)} videos {kind} another one, and stay on its side: {_some(pairs)}"
    return [note] if pairs else []


def faults_note(entries: Sequence[ClipEntry], ties: Ties, class_names: Sequence[str]) -> list[str]:
    """Warns of videos that cannot be read, and of files that stand in two classes, for people."""
    short = _shortener(entries)
    notes = []
    if ties.unreadable:
        names = [short(entries[i].path) for i in sorted(ties.unreadable)]
        notes.append(
            f"warning: {len(names)} of {len(entries)} videos cannot be read: {_some(names)};"
            " videozoo scan lists the reasons"
        )
    for group in ties.same:
        first = entries[group[0]]
        other = next((entries[i] for i in group if entries[i].labels != first.labels), None)
        if other is not None:
            own = ",".join(class_names[label] for label in first.labels or ())
            notes.append(
                f"warning: {short(other.path)} is the same file as {short(first.path)}, which is"
                f" {own or 'of no class'}: one of the two is wrong"
            )
    return notes


def _some(names: Sequence[str]) -> str:
    """Joins the first of some names, and says how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _shortener(entries: Sequence[ClipEntry]) -> Callable[[Path], str]:
    """Returns what names a path below the folder that all lie in."""
    root = os.path.commonpath([entry.path.absolute().parent for entry in entries])
    return lambda path: os.path.relpath(path.absolute(), root)


def across_note(sides: Mapping[str, Sequence[ClipEntry]], ties: Ties) -> list[str]:
    """Warns of videos of one unit on several sides, for people.

    Args:
        sides: the videos by side, in the order in which `ties` has them, training first.
        ties: of all of them.
    """
    places = [(side, entry) for side, entries in sides.items() for entry in entries]
    short = _shortener([entry for _, entry in places])
    side_of: dict[Path, str] = {}
    found: dict[str, set[str]] = {}
    copies: list[str] = []
    for (side, entry), kept in zip(places, ties.kept, strict=True):
        side_of.setdefault(entry.path, side)
        found.setdefault(kept.group, set()).add(side)
        if kept.copy_of is not None and side_of[kept.copy_of] != side:
            copies.append(f"{short(entry.path)} ({side}) of {short(kept.copy_of)}")
    recordings = sorted(group for group, where in found.items() if group and len(where) > 1)
    notes = []
    better = "scores there will be better than the truth"
    if copies:
        kind = "look nearly like" if ties.near else "are copies of"
        notes.append(
            f"warning: {len(copies)} videos {kind} one on another side: {_some(copies)}; {better}"
        )
    if recordings:
        notes.append(f"warning: recordings on two sides: {_some(recordings)}; {better}")
    return notes
