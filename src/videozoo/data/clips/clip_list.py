"""Lists of clips: folders with a sub-folder a class, CSV files, the original's list files."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from videozoo.data.clips.clip_files import find_clips
from videozoo.data.clips.clip_rows import BadLines, Row, csv_columns, csv_rows, list_rows, read_text
from videozoo.errors import VideozooError, did_you_mean

_NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True)
class ClipEntry:
    """One listed clip.

    Attributes:
        path: the file; it need not exist.
        labels: the classes, one in a list of clips that cannot have many; None where the list
            names none (a Kinetics pickle has its own inside).
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
    """

    entries: list[ClipEntry]
    class_names: list[str] | None


def read_listing(
    source: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    video_folder: Path | None = None,
    labelled: bool = True,
    multi_label: bool = False,
) -> Listing:
    """Reads a list of clips.

    What kind of list it is shows in its content:

    - a folder with one sub-folder a class; the clips may lie at any depth in it;
    - a CSV file with the columns path and label (numbers or names; others are passed over);
    - Kinetics' official CSV file, whose videos `{youtube_id}_{start:06d}_{end:06d}.mp4` lie in
      `video_folder`, in folders or not;
    - a text file with a clip a line: a Kinetics pickle, or a path, a space and a label. The path
      may contain spaces.

    Relative paths start from the current folder or, where they lead to nothing, from the list's.
    A file that does not exist stays in the list and is unreadable when its turn comes.

    Args:
        source: the folder or file.
        class_names: the names of the classes by number, where they are known already; without it
            names are numbered in alphabetical order.
        video_folder: for Kinetics' CSV file; None takes the folder that it lies in.
        labelled: whether labels are wanted. Without it, every clip of a folder is listed, labels
            may be missing and are passed over.
        multi_label: a clip may have many labels, with commas between them.

    Raises:
        VideozooError: the list is missing, empty or has a bad line, or none of its files exists.
    """
    path = Path(os.path.expanduser(source))
    if path.is_dir():
        return _read_folder(path, class_names, labelled=labelled)
    text = read_text(path)
    columns = csv_columns(text, path)
    if columns is None:
        rows = list_rows(text, path, labelled=labelled)
    else:
        videos = video_folder or path.parent
        rows = csv_rows(text, path, columns, labelled=labelled, videos=videos)
    if not rows:
        raise VideozooError(f"{path}: lists no clips")
    labels: list[tuple[int, ...] | None] = [None] * len(rows)
    names = list(class_names) if class_names is not None else None
    if labelled:
        if names is None and columns is not None:
            names = _names_in(rows, multi_label)
        labels = _numbers(rows, names, path, multi_label)
    entries = [
        ClipEntry(_located(row.path, path.parent), numbers, row.path)
        for row, numbers in zip(rows, labels, strict=True)
    ]
    _check_some_exist(entries, path)
    return Listing(entries, names)


def _read_folder(folder: Path, class_names: Sequence[str] | None, *, labelled: bool) -> Listing:
    clips = find_clips(folder)
    if not clips:
        raise VideozooError(f"{folder}: holds no clips")
    if not labelled:
        names = list(class_names) if class_names is not None else None
        return Listing([ClipEntry(clip, None, str(clip)) for clip in clips], names)
    loose = [clip for clip in clips if clip.parent == folder]
    if loose:
        raise VideozooError(
            f"{folder}: {len(loose)} clips ({loose[0].name}, ...) lie in no sub-folder; each clip "
            "must lie in the sub-folder of its class"
        )
    found = {p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")}
    filled = {_class_of(clip, folder) for clip in clips}
    if class_names is None and found - filled:
        raise VideozooError(
            f"{folder}: the sub-folder '{min(found - filled)}' holds no clips, so it is no class; "
            "fill it or take it away"
        )
    names = sorted(found) if class_names is None else list(class_names)
    for name in sorted(filled - set(names)):
        raise VideozooError(
            f"{folder}: the sub-folder '{name}' is none of the {len(names)} classes"
            + did_you_mean(name, names)
        )
    numbers = {name: number for number, name in enumerate(names)}
    entries = [ClipEntry(clip, (numbers[_class_of(clip, folder)],), str(clip)) for clip in clips]
    return Listing(entries, names)


def _class_of(clip: Path, folder: Path) -> str:
    return clip.relative_to(folder).parts[0]


def _parts(label: str, multi_label: bool) -> list[str]:
    """Returns the labels that stand in one field."""
    return [part.strip() for part in label.split(",")] if multi_label else [label]


def _names_in(rows: Sequence[Row], multi_label: bool) -> list[str] | None:
    """Returns the class names of a CSV file in order; None where all its labels are numbers."""
    fields = {row.label for row in rows if row.label is not None}
    labels = {part for field in fields for part in _parts(field, multi_label)}
    return None if all(_NUMBER.fullmatch(label) for label in labels) else sorted(labels)


def _numbers(
    rows: Sequence[Row], names: Sequence[str] | None, path: Path, multi_label: bool
) -> list[tuple[int, ...] | None]:
    """Looks labels up: a name where names are known, otherwise a number."""
    known = {name: number for number, name in enumerate(names or [])}
    labels: list[tuple[int, ...] | None] = []
    bad = BadLines(path)
    for row in rows:
        numbers: list[int] = []
        for label in _parts(row.label, multi_label) if row.label is not None else ():
            if label in known:
                numbers.append(known[label])
            elif _NUMBER.fullmatch(label):
                numbers.append(int(label))
            elif names is None:
                bad.add(row.line, f"the label '{label}' is not a number, and no names are known")
            else:
                hint = did_you_mean(label, names)
                bad.add(row.line, f"'{label}' is none of the {len(names)} classes{hint}")
        labels.append(tuple(numbers) or None)
    bad.raise_if_any()
    return labels


def _located(text: str, folder: Path) -> Path:
    """Finds a listed path from the current folder or, failing that, from the list's."""
    path = Path(os.path.expanduser(text))
    beside = folder / path
    return beside if not os.path.exists(path) and os.path.exists(beside) else path


def _check_some_exist(entries: Sequence[ClipEntry], path: Path) -> None:
    if not any(os.path.isfile(entry.path) for entry in entries):
        raise VideozooError(
            f"{path}: none of its {len(entries)} clips exists (the first: {entries[0].video}); "
            f"relative paths start from {Path.cwd()} or {path.parent.resolve()}"
        )
