"""Folders in the form of the Hugging Face Hub's VideoFolder: metadata.csv or metadata.jsonl.

The file names videos of its folder (file_name) and their classes (label or labels); it may lie in
the folder above too, beside folders such as train/ and test/.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from videozoo.addresses.places import is_file
from videozoo.data.clips.clip_rows import Row, csv_columns, csv_rows, read_list_text
from videozoo.reading import read_bytes
from videozoo.text import counted

_NAMES = ("metadata.csv", "metadata.jsonl")


class Metadata(NamedTuple):
    """The file that labels a folder's videos, its columns, and its rows of this folder."""

    path: Path
    columns: list[str]
    rows: list[Row]


def read_metadata(folder: Path) -> Metadata | None:
    """Returns what labels a folder's videos; None: no such file has file_name and label or labels.

    Raises:
        VideozooError: a row is bad.
    """
    root = os.path.normpath(folder)
    for place in (folder, folder.parent):
        for path in (place / name for name in _NAMES):
            if not is_file(path) or b"file_name" not in read_bytes(path):
                continue
            text = read_list_text(path)
            columns = csv_columns(text, path) or []
            if "file_name" not in columns or not {"label", "labels"} & {*columns}:
                continue
            rows = csv_rows(text, path, columns, videos=place)
            rows = [replace(row, path=os.path.normpath(place / row.path)) for row in rows]
            own = [row for row in rows if Path(row.path).is_relative_to(root)]
            if own or place == folder:
                return Metadata(path, columns, own)
    return None


def metadata_notes(folder: Path, clips: Sequence[Path]) -> list[str]:
    """Says in what a folder and the file that labels its videos differ, for people.

    Args:
        folder: with such a file, or with folders that have one; or without.
        clips: that lie in it.
    """
    if found := read_metadata(folder):
        return differences(found, clips)
    notes = []
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        if found := read_metadata(inner):
            notes += differences(found, [clip for clip in clips if inner in clip.parents])
    return notes


def differences(
    found: Metadata, clips: Sequence[Path], *, left: str = "of the folder"
) -> list[str]:
    """Says which videos are named and not there, and which are there and not named.

    Args:
        found: what labels a folder's videos.
        clips: that lie in the folder.
        left: where those are that are not named, or what becomes of them.
    """
    named = {row.path: None for row in found.rows}  # in order
    lacking = [name for name in named if not os.path.exists(name) and not is_file(name)]
    more = [clip for clip in clips if os.path.normpath(clip) not in named]
    start, notes = f"warning: {found.path}:", []
    if lacking:
        of = f"{len(lacking)} of its {counted(len(named), 'video')}"
        verb = "is" if len(lacking) == 1 else "are"
        notes.append(f"{start} {of} {verb} not there, such as {lacking[0]}")
    if more:
        what = f"{counted(len(more), 'video')} {left}"
        notes.append(f"{start} does not name {what}, such as {more[0]}")
    return notes
