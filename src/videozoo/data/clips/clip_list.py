"""Lists of clips: folders with a sub-folder a class, CSV files, the original's list files."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from videozoo.addresses.places import address_of, brought, is_file, listed_path, look_up
from videozoo.addresses.remote import shown
from videozoo.data.clips.clip_files import Content, look_through, match_pattern
from videozoo.data.clips.clip_rows import (
    BadLines,
    Row,
    check_labelled,
    csv_columns,
    csv_rows,
    list_rows,
    read_list_text,
)
from videozoo.data.clips.metadata import differences, metadata_notes, read_metadata
from videozoo.data.clips.side_names import listed, tell_sides
from videozoo.errors import VideozooError, as_given, did_you_mean
from videozoo.text import class_name, counted, whole_number


@dataclass(frozen=True, slots=True)  # there may be millions
class ClipEntry:
    """One listed clip.

    Attributes:
        path: the file; it need not exist.
        labels: the classes, one in a list of clips that cannot have many; empty where a clip that
            can have many has none; None where the list says nothing of it (a Kinetics pickle has
            its own inside).
        video: the path as listed, for reports.
    """

    path: Path
    labels: tuple[int, ...] | None
    video: str


@dataclass(frozen=True)
class Listing:
    """A list of clips.

    Attributes:
        entries: in the order of the list.
        class_names: by number; None where the list knows numbers alone.
        notes: what was passed over or decided, for people.
        many: a clip may have several classes, or none of them.
        columns: the cells of a table's columns, by name; empty: it is no table.
    """

    entries: list[ClipEntry]
    class_names: list[str] | None
    notes: list[str] = field(default_factory=list)
    many: bool = False
    columns: Mapping[str, list[str]] = field(default_factory=dict)


def read_listing(
    source: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    video_folder: Path | None = None,
    labelled: bool = True,
    multi_label: bool | None = False,
) -> Listing:
    """Reads a list of clips.

    What kind of list it is shows in its content:

    - a folder whose metadata.csv or metadata.jsonl says the classes, see read_metadata;
    - a folder with one sub-folder a class; the clips may lie at any depth in it;
    - a pattern such as `videos/*/*.mp4`, whose folders are the classes;
    - a CSV file, or JSON lines (.jsonl), with the columns path (or file_name) and label (or
      labels): numbers or names; others are passed over;
    - Kinetics' official CSV file, whose videos `{youtube_id}_{start:06d}_{end:06d}.mp4` lie in
      `video_folder`, in folders or not;
    - a text file with a clip a line: a Kinetics pickle, or a path, a space and a label. The path
      may contain spaces, or stand in quotes as JSON writes it.

    Relative paths start from the current folder or, where they lead to nothing, from the list's.
    A file that does not exist stays in the list and is unreadable when its turn comes.

    Args:
        source: the folder or file.
        class_names: the names of the classes by number, where they are known already; without it
            names are numbered in alphabetical order.
        video_folder: for Kinetics' CSV file; None takes the folder that it lies in.
        labelled: whether labels are wanted. Without it, every clip of a folder is listed, labels
            may be missing and are passed over.
        multi_label: a clip may have many labels, with commas between them, or none; None: where
            the list looks so, see has_many.

    Raises:
        VideozooError: the list is missing, empty or has a bad line, or none of its files exists.
    """
    path = brought(os.path.expanduser(source))
    table = read_metadata(path) if labelled and path.is_dir() else None
    if table is None and path.is_dir():
        return _read_folder(path, class_names, labelled=labelled)
    if table is None and (found := match_pattern(str(source))) is not None:
        return _read_pattern(str(source), found, class_names, labelled=labelled)
    notes: list[str] = []
    if table is not None:
        content = look_through(path)
        others = [file for file in content.others if file != table.path]
        notes = replace(content, others=others).notes(path)
        notes += differences(table, content.clips, left="of the folder, left aside")
        path = table.path
    columns, rows = _read_rows(path, video_folder, labelled) if table is None else table[1:]
    if not rows:
        raise VideozooError(f"{path}: lists no clips")
    labels: list[tuple[int, ...] | None] = [None] * len(rows)
    names = list(class_names) if class_names is not None else None
    many = False
    if labelled:
        several = "labels" in (columns or ()) and any("," in (row.label or "") for row in rows)
        many = several or has_many(rows, names)
        if many and multi_label is False and columns is not None:
            notes.append(
                f"warning: {path}: what stands between commas is taken for one class; where videos"
                " have several, set MODEL.multi_label=True"
            )
        many = many if multi_label is None else multi_label
        if not many:
            check_labelled(rows, path, columns is None)
        if names is None and columns is not None:
            names = _names_in(rows, many)
        labels = _numbers(rows, names, path, many)
    entries = [
        ClipEntry(_located(row.path, path.parent), numbers, shown(row.path.strip()))
        for row, numbers in zip(rows, labels, strict=True)
    ]
    _check_some_exist(entries, path)
    cells = zip(*(row.cells for row in rows), strict=True)
    by_name = dict(zip(columns or (), map(list, cells), strict=False))
    return Listing(entries, names, notes, many, by_name)


def _read_rows(
    path: Path, video_folder: Path | None, labelled: bool
) -> tuple[list[str] | None, list[Row]]:
    """Returns the columns of a list, None where it is no table, and its rows."""
    text = read_list_text(path)
    columns = csv_columns(text, path)
    if columns is None:
        return None, list_rows(text)
    if labelled and not {"label", "labels"} & {*columns}:
        raise VideozooError(f"{path}: has no column 'label'")
    return columns, csv_rows(text, path, columns, videos=video_folder or path.parent)


def _read_folder(folder: Path, class_names: Sequence[str] | None, *, labelled: bool) -> Listing:
    content = look_through(folder)
    clips, notes = content.clips, content.notes(folder)
    if not clips:
        raise VideozooError(f"{folder}: {content.why_none()}")
    if not labelled:
        notes += metadata_notes(folder, clips)
        names = list(class_names) if class_names is not None else None
        return Listing([ClipEntry(clip, None, as_given(clip)) for clip in clips], names, notes)
    return _by_folder(folder, clips, class_names, notes)


def _read_pattern(
    source: str, content: Content, class_names: Sequence[str] | None, *, labelled: bool
) -> Listing:
    """Takes what a pattern finds; classes are the folders behind its part without wildcards."""
    clips, notes = content.clips, content.notes(source)
    if not clips:
        raise VideozooError(f"{source}: {content.why_none()}")
    if not labelled:
        names = list(class_names) if class_names is not None else None
        return Listing([ClipEntry(clip, None, str(clip)) for clip in clips], names, notes)
    parts = Path(os.path.expanduser(source)).parts
    wild = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:wild])
    if any(clip.parent == root for clip in clips):  # cat/*.mp4
        root = root.parent
    return _by_folder(root, clips, class_names, notes)


def _by_folder(
    folder: Path, clips: Sequence[Path], class_names: Sequence[str] | None, notes: list[str]
) -> Listing:
    """Labels clips by the sub-folders that they lie in."""
    loose = [clip for clip in clips if clip.parent == folder]
    if loose:
        raise VideozooError(
            f"{folder}: {counted(len(loose), 'video')} ({loose[0].name}, ...) in no sub-folder;"
            " each must lie in the sub-folder of its class"
        )
    classes: dict[str, str] = {}  # by sub-folder
    for clip in clips:
        name = _sub_folder(clip, folder)
        classes.setdefault(name, class_name(name))
    names = sorted(set(classes.values())) if class_names is None else list(class_names)
    unknown = sorted(set(classes.values()) - set(names))
    if (unknown or class_names is None) and (sides := tell_sides(folder, clips).of):
        raise VideozooError(
            f"{folder}: {listed(sides.values())} are its sides and no classes; give one of them,"
            f" such as {folder / min(sides.values())}"
        )
    for name in unknown:
        raise VideozooError(
            f"{folder}: the sub-folder '{name}' is none of the {len(names)} classes"
            + did_you_mean(name, names)
        )
    if len(set(classes.values())) < len(classes):
        same = sorted(n for n in classes if [*classes.values()].count(classes[n]) > 1)
        raise VideozooError(f"{folder}: {listed(same)} would be one class; rename one")
    numbers = {name: number for number, name in enumerate(names)}
    entries = [
        ClipEntry(clip, (numbers[classes[_sub_folder(clip, folder)]],), as_given(clip))
        for clip in clips
    ]
    return Listing(entries, names, notes)


def _sub_folder(clip: Path, folder: Path) -> str:
    return clip.relative_to(folder).parts[0]


def _parts(label: str, many: bool) -> list[str]:
    """Returns the labels that stand in one field."""
    parts = [class_name(part) for part in label.split(",")] if many else [class_name(label)]
    return [part for part in dict.fromkeys(parts) if part]


def has_many(rows: Sequence[Row], class_names: Sequence[str] | None = None) -> bool:
    """Says whether fields such as `run,jump` name several classes; else the comma is of a name.

    They do where they are numbers, or one of their parts is a class or stands in another field.
    """
    fields = {row.label for row in rows if row.label is not None}
    known = set(class_names or ())
    different = [set(_parts(field, True)) for field in fields if class_name(field) not in known]
    return any(
        all(whole_number(part) is not None for part in parts)
        or parts & known
        or any(parts & other for other in different if other is not parts)
        for parts in different
        if len(parts) > 1
    )


def _names_in(rows: Sequence[Row], many: bool) -> list[str] | None:
    """Returns the class names of a CSV file in order; None where all its labels are numbers."""
    fields = {row.label for row in rows if row.label is not None}
    labels = {part for field in fields for part in _parts(field, many)}
    return None if all(whole_number(label) is not None for label in labels) else sorted(labels)


def _numbers(
    rows: Sequence[Row], names: Sequence[str] | None, path: Path, many: bool
) -> list[tuple[int, ...] | None]:
    """Looks labels up: a name where names are known, otherwise a number."""
    known = {name: number for number, name in enumerate(names or [])}
    labels: list[tuple[int, ...] | None] = []
    bad = BadLines(path)
    for row in rows:
        numbers: list[int] = []
        whole = class_name(row.label or "")
        for label in [whole] if whole in known else _parts(row.label or "", many):
            number = known.get(label, whole_number(label))
            if number is not None:
                numbers.append(number)
            elif names is None:
                what = f"the label '{label:.80}' is not a number, and no names are known"
                bad.add(row.line, what)
            else:
                hint = did_you_mean(label, names)
                bad.add(row.line, f"'{label:.80}' is none of the {len(names)} classes{hint}")
        labels.append(tuple(numbers) if numbers or many else None)
    bad.raise_if_any()
    return labels


def _located(text: str, folder: Path) -> Path:
    """Finds a listed path from the current folder or, failing that, from the list's."""
    written = [listed_path(one) for one in dict.fromkeys((text, text.strip()))]
    places = [place for path in written for place in (path, folder / path)]
    found = next((place for place in places if os.path.exists(place)), None)
    at_address = found is None and address_of(folder)  # of the list
    return Path(os.path.normpath(places[-1])) if at_address else found or written[-1]


def _check_some_exist(entries: Sequence[ClipEntry], path: Path) -> None:
    look_up(entry.path for entry in entries)
    if not any(is_file(entry.path) for entry in entries):
        raise VideozooError(
            f"{path}: none of its {len(entries)} clips exists (the first: {entries[0].video}); "
            f"relative paths start from {Path.cwd()} or {path.parent.resolve()}"
        )
