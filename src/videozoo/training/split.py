"""The sides of a data set: what belongs together lies on one side, and that is said.

Videos of one content, near-copies and clips of one recording are joined to units; whole units are
trained on or validated on.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from videozoo.addresses.places import is_file
from videozoo.config.ini import Values
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.clips.clip_rows import list_line
from videozoo.errors import VideozooError, as_given
from videozoo.files import write_csv, write_text
from videozoo.training.recordings import (
    Recordings,
    counted,
    guess_recordings,
    match_recordings,
)
from videozoo.training.side_folders import find_sides, read_classes
from videozoo.training.side_lists import (
    HEADER,
    LABELS,
    TABLE,
    TEST_LIST,
    TRAIN_LIST,
    VALID_LIST,
    Listed,
    read_list,
    read_written,
)
from videozoo.training.sides import choose_valid, rarest_labels
from videozoo.training.ties import Kept, RowsOf, across_note, copies_note, faults_note, tie

VALID_SHARE = 0.2
NO_GROUPS = "none"


@dataclass(frozen=True)
class Split:
    """The sides of a data set, and the class names that all labels mean.

    Attributes:
        train: videos to train on.
        valid: videos to validate on, and to test on where `test` is None.
        class_names: by number.
        notes: what was decided and what is to be known, for people; a warning begins with that
            word.
        test: videos of a test side of its own.
        kept: what each path belongs together with.
    """

    train: list[ClipEntry]
    valid: list[ClipEntry]
    class_names: list[str]
    notes: list[str] = field(default_factory=list)
    test: list[ClipEntry] | None = None
    kept: dict[Path, Kept] = field(default_factory=dict)

    @property
    def sides(self) -> dict[str, list[ClipEntry]]:
        """The videos by side: train, val and perhaps test."""
        sides = {"train": self.train, "val": self.valid}
        return sides if self.test is None else {**sides, "test": self.test}

    def units(self, entries: Sequence[ClipEntry]) -> list[int]:
        """Returns the unit of each video: the folds of a cross-validation keep units whole."""
        return [self.kept[entry.path].unit for entry in entries]


def split_folder(
    source: Path,
    *,
    seed: int,
    group_by: str | None = None,
    share: float = VALID_SHARE,
    rows_of: RowsOf | None = None,
) -> Split:
    """Splits a data set; one that has its sides already is taken as it is.

    Args:
        source: a folder of class folders, or with a metadata.csv; one with train/ and val/ or the
            like, with either inside; one that `videozoo split` wrote; or a list of videos, see
            read_listing.
        seed: decides the split.
        group_by: a regular expression for paths below the class folders, a column of a csv, or
            "none"; None: guessed from names, where that does no harm.
        share: of each class that is to go to validation, in (0, 1).
        rows_of: gives an encoder's rows of videos, or None for all, to find near-copies by; a
            video that cannot be read has None. Without it, files of one content are found.

    Raises:
        VideozooError: there is no such data set, it has fewer than two classes, nothing is left to
            validate on, or `group_by` fits nothing.
    """
    if not 0 < share < 1:
        raise VideozooError(f"--share {share:g}: must lie between 0 and 1, such as 0.2")
    column = None if group_by == NO_GROUPS else group_by
    if is_file(source):
        listed = read_list(source, column)
        return _divided(listed, source, seed, group_by, share, rows_of)
    if written := read_written(source):
        notes = [f"split as the lists in {source} say"]
        return _given(written, source, notes, group_by, rows_of)
    folders = find_sides(source)
    train = read_classes(folders.train, None, column)
    if folders.val is None:
        listed = replace(train, notes=folders.notes + train.notes)
        return _divided(listed, folders.train, seed, group_by, share, rows_of)
    _check_classes(train, folders.train)
    sides = {"train": train, "val": read_classes(folders.val, train.class_names, column)}
    if folders.test is not None:
        sides["test"] = read_classes(folders.test, train.class_names, column)
    return _given(sides, source, folders.notes, group_by, rows_of)


def _divided(
    listed: Listed,
    source: Path,
    seed: int,
    group_by: str | None,
    share: float,
    rows_of: RowsOf | None,
) -> Split:
    """Splits videos that have no sides yet."""
    _check_classes(listed, source)
    entries, names = listed.entries, listed.class_names
    classes = rarest_labels([entry.labels or () for entry in entries])
    if listed.groups is None and group_by is None:
        own = [names[label] if label >= 0 else "" for label in classes]
        found = guess_recordings(listed.below, own, share=share)
    else:
        found = _recordings(listed, group_by)
    ties = tie(entries, found.groups, rows_of)
    # One that cannot be read validates nothing: training, which counts and names it, gets it.
    readable = [i for i in range(len(entries)) if i not in ties.unreadable] or [
        *range(len(entries))
    ]
    units = [ties.kept[i].unit for i in readable]
    taken = choose_valid(units, [classes[i] for i in readable], seed=seed, share=share)
    held = {i for i, take in zip(readable, taken, strict=True) if take}
    if not held:
        raise VideozooError(
            f"{source}: nothing is left to validate on, as every class has a single distinct video"
            " or recording; add videos, two a class at the least"
        )
    notes = [f"split by class, about {share:.0%} to validate"]
    notes += [*listed.notes, *([found.note] if found.note else []), *copies_note(entries, ties)]
    notes += faults_note(entries, ties, names)
    unchecked = {classes[i] for i in readable} - {classes[i] for i in held} - {-1}
    if missing := [names[label] for label in sorted(unchecked)]:
        notes.append(
            f"warning: nothing to validate in {', '.join(missing)}: one video or recording"
        )
    valid = [entry for i, entry in enumerate(entries) if i in held]
    train = [entry for i, entry in enumerate(entries) if i not in held]
    kept = {entry.path: k for entry, k in zip(entries, ties.kept, strict=True)}
    return Split(train, valid, names, notes, kept=kept)


def _given(
    sides: dict[str, Listed],
    source: Path,
    notes: list[str],
    group_by: str | None,
    rows_of: RowsOf | None,
) -> Split:
    """Takes sides as they are, and warns of what lies on two of them."""
    parts = list(sides.values())
    entries = [entry for part in parts for entry in part.entries]
    names = parts[0].class_names
    groups = [group for part in parts for group in part.groups or [None] * len(part.entries)]
    merged = Listed(entries, names, [name for part in parts for name in part.below], groups)
    found = _recordings(merged, group_by)
    ties = tie(entries, found.groups, rows_of)
    by_side = {side: part.entries for side, part in sides.items()}
    notes = [*notes, *chain.from_iterable(part.notes for part in parts)]
    notes += [*across_note(by_side, ties), *faults_note(entries, ties, names)]
    kept = {entry.path: k for entry, k in zip(entries, ties.kept, strict=True)}
    test = by_side.get("test")
    return Split(by_side["train"], by_side["val"], names, notes, test, kept)


def _recordings(listed: Listed, group_by: str | None) -> Recordings:
    """Groups videos as a column or a pattern says."""
    if listed.groups is not None and (group_by is None or any(listed.groups)):
        return Recordings(listed.groups, counted(listed.groups, f"--group-by {group_by}"))
    if group_by is None or group_by == NO_GROUPS:
        return Recordings([None] * len(listed.entries), "")
    return match_recordings(listed.below, group_by)


def _check_classes(listed: Listed, source: Path) -> None:
    used = {listed.class_names[n] for entry in listed.entries for n in entry.labels or ()}
    if len(used) < 2 and is_file(source):
        found = ", ".join(used) or "videos without one"
        raise VideozooError(f"{source}: needs two classes at the least; found only {found}")
    if len(used) < 2:
        inner = source / min(used)
        inside = inner.is_dir() and any(path.is_dir() for path in inner.iterdir())
        hint = f"; is {inner} the one that you mean?" if inside else ""
        raise VideozooError(
            f"{source}: needs one sub-folder of videos a class, two at the least; found only"
            f" {min(used)}{hint}"
        )


def write_split(split: Split, folder: Path) -> dict[str, Path]:
    """Writes the lists of the sides, the class names and a table of what was decided.

    Args:
        split: the data set.
        folder: to write to; made where there is none.

    Returns:
        The lists by side: train, val and perhaps test; and "labels".

    Raises:
        VideozooError: the folder cannot be written to.
    """
    lists = {"train": TRAIN_LIST, "val": VALID_LIST, "test": TEST_LIST}
    written: dict[str, Path] = {}
    rows: list[Sequence[object]] = []
    for side, entries in split.sides.items():
        written[side] = folder / lists[side]
        lines = []
        for entry in entries:
            path, labels = as_given(os.path.abspath(entry.path)), entry.labels or ()
            lines.append(f"{list_line(path, ','.join(map(str, labels)))}\n")
            kept = split.kept.get(entry.path, Kept(-1))
            of = "" if kept.copy_of is None else as_given(os.path.abspath(kept.copy_of))
            names = ",".join(split.class_names[label] for label in labels)
            rows.append((path, names, side, kept.group, of))
        write_text(written[side], "".join(lines))
    if split.test is None:
        (folder / TEST_LIST).unlink(missing_ok=True)  # of a split that was written here before
    written["labels"] = folder / LABELS
    write_text(written["labels"], "".join(f"{name}\n" for name in split.class_names))
    write_csv(folder / TABLE, HEADER, rows)
    return written


def written_values(split: Split, folder: Path) -> Values:
    """Writes a split, see write_split; returns the config keys that name its lists and classes."""
    written = write_split(split, folder)
    lists = {"TRAIN": "train", "VALID": "val", "TEST": "test" if "test" in written else "val"}
    values: Values = {mode: {"filelist": as_given(written[side])} for mode, side in lists.items()}
    return values | {"MODEL": {"label_file": as_given(written["labels"])}}


def counts(split: Split) -> list[tuple[str, dict[str, int]]]:
    """Returns the number of videos of each class by side, in the order of the classes."""
    by_side = {
        side: Counter(label for entry in entries for label in entry.labels or ())
        for side, entries in split.sides.items()
    }
    return [
        (name, {side: found[label] for side, found in by_side.items()})
        for label, name in enumerate(split.class_names)
    ]
