"""Lists of videos as a data set, and the lists that a split is written to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from videozoo.addresses.places import is_file
from videozoo.data.clips.clip_list import ClipEntry, Listing, read_listing
from videozoo.data.labels import read_label_file
from videozoo.errors import VideozooError, did_you_mean
from videozoo.reading import read_rows
from videozoo.text import class_name, counted, valid

TRAIN_LIST, VALID_LIST, TEST_LIST = "train.list", "val.list", "test.list"
LABELS, TABLE = "labels.txt", "split.csv"
HEADER = ("path", "class", "side", "group", "near-copy-of")


@dataclass(frozen=True)
class Listed:
    """Videos of a data set.

    Attributes:
        entries: labelled videos.
        class_names: by number.
        below: the path of each below the folder of its class, with slashes.
        groups: what a column says that each is a part of; None: no column was asked for.
        notes: what is to be said of the list, for people.
    """

    entries: list[ClipEntry]
    class_names: list[str]
    below: list[str]
    groups: list[str | None] | None = None
    notes: list[str] = field(default_factory=list)


def names_below(entries: Sequence[ClipEntry], folder: Path, class_names: list[str]) -> list[str]:
    """Returns paths below `folder` and, where it is the next, the folder of the class."""
    names = []
    for entry in entries:
        path = PurePosixPath(entry.path.relative_to(folder).as_posix())
        own = {class_names[label] for label in entry.labels or ()}
        inside = class_name(path.parts[0]) in own and len(path.parts) > 1
        names.append(str(PurePosixPath(*path.parts[1:]) if inside else path))
    return names


def _refuse_doubles(source: Path, entries: Sequence[ClipEntry]) -> None:
    """Refuses a list that gives a video twice, with other classes perhaps.

    Raises:
        VideozooError: names the first one.
    """
    seen: set[Path] = set()
    for entry in entries:
        if entry.path in seen:
            raise VideozooError(
                f"{source}: lists {entry.video} twice; write it once, all of its classes in one"
                ' cell, such as "run,jump"'
            )
        seen.add(entry.path)


def read_list(
    path: Path, column: str | None = None, class_names: list[str] | None = None
) -> Listed:
    """Reads a list of videos, a csv among them; or a folder whose metadata.csv is one.

    Cells such as `run,jump` name several classes where one of their parts stands in another cell
    too; otherwise the comma belongs to a name.

    Args:
        path: of the list, see read_listing.
        column: of a csv that names what each video is a part of; a pattern, or None, is none.
        class_names: by number, where they are known.

    Raises:
        VideozooError: the list is bad, has videos without a label or no such column.
    """
    listing = read_listing(path, class_names=class_names, multi_label=None)
    groups = None if column is None else _column(column, listing, path)
    many = listing.many
    bare = next((entry for entry in listing.entries if entry.labels is None), None)
    if bare is not None:
        raise VideozooError(f"{path}: {bare.video} has no label, so it has no side")
    _refuse_doubles(path, listing.entries)
    highest = max((label for entry in listing.entries for label in entry.labels or ()), default=0)
    names = listing.class_names or [str(number) for number in range(highest + 1)]
    if highest >= len(names):
        raise VideozooError(
            f"{path}: has the label {highest}, but there are {counted(len(names), 'class')}"
        )
    above = [set(entry.path.parents) for entry in listing.entries]
    root = max(set.intersection(*above), key=lambda parent: len(parent.parts), default=None)
    below = (
        [str(entry.path) for entry in listing.entries]
        if root is None
        else names_below(listing.entries, root, names)
    )
    notes = listing.notes
    if many:
        notes = [*notes, f"{path}: a video may have several classes; sides by its rarest"]
    if none := sum(not entry.labels for entry in listing.entries):
        notes = [*notes, f"{path}: {counted(none, 'video')} of none of the classes"]
    return Listed(listing.entries, names, below, groups, notes)


def _column(name: str, listing: Listing, path: Path) -> list[str | None] | None:
    """Returns the cells of a csv's column; None where the name is a pattern instead."""
    columns = listing.columns
    if name.lower() in columns:
        return [cell.strip() or None for cell in columns[name.lower()]]
    if columns and name != "none" and re.fullmatch(r"[\w -]+", name):
        hint = did_you_mean(name, columns)
        raise VideozooError(
            f"--group-by {name}: {path} has no such column, but {', '.join(columns)}{hint}"
        )
    return None


def read_written(folder: Path) -> dict[str, Listed] | None:
    """Reads the lists that `videozoo split` wrote into a folder.

    Returns:
        The sides train, val and perhaps test; None where the folder holds no such lists.

    Raises:
        VideozooError: a file of them is missing or bad.
    """
    if not all(is_file(folder / name) for name in (TRAIN_LIST, VALID_LIST, LABELS)):
        return None
    names = read_label_file(str(folder / LABELS))
    groups: dict[str, str] = {}
    if is_file(folder / TABLE):
        header, *rows = read_rows(folder / TABLE) or [[]]
        table = (dict(zip(header, row, strict=False)) for row in rows)
        groups = {
            row["path"]: row["group"] for row in table if row.get("path") and row.get("group")
        }
    sides: dict[str, Listed] = {}
    for side, name in (("train", TRAIN_LIST), ("val", VALID_LIST), ("test", TEST_LIST)):
        if side == "test" and not is_file(folder / name):
            continue
        # Without the names: what was written are numbers, and a class may be called 1.
        entries = read_listing(folder / name, multi_label=True).entries
        if bad := [e.video for e in entries if max(e.labels or (0,)) >= len(names)]:
            raise VideozooError(
                f"{folder / name}: {bad[0]} has a label that {LABELS} has no name for"
            )
        below = [entry.path.name for entry in entries]
        of = [groups.get(valid(str(entry.path))) or None for entry in entries]
        sides[side] = Listed(entries, names, below, of)
    return sides
