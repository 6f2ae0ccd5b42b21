"""The lines of list and CSV files: which clip, which label, before either is looked up."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from videozoo import files
from videozoo.data.clips.clip_files import (
    CLIP_SUFFIXES,
    PICKLE_SUFFIXES,
    VIDEO_SUFFIXES,
    find_clips,
)
from videozoo.errors import VideozooError

_ENDINGS = "|".join(re.escape(suffix) for suffix in CLIP_SUFFIXES)
_CLIP_AND_LABEL = re.compile(rf"(.+(?:{_ENDINGS}))\s+(.+)", re.IGNORECASE)
_KINETICS_COLUMNS = ("youtube_id", "time_start", "time_end")


@dataclass(frozen=True)
class Row:
    """One line of a list.

    Attributes:
        line: its number in the file, from 1.
        path: the clip, relative to what the reader of the list decides.
        label: as written; None where there is none.
    """

    line: int
    path: str
    label: str | None


class BadLines:
    """Collects the lines of a list that cannot be read; a long list may have thousands."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first = ""
        self.count = 0

    def add(self, line: int, message: str) -> None:
        """Notes one bad line."""
        self.first = self.first or f"{self.path}, line {line}: {message}"
        self.count += 1

    def raise_if_any(self) -> None:
        """Raises the first bad line with the number of the others.

        Raises:
            VideozooError: there is a bad line.
        """
        if self.count > 1:
            raise VideozooError(f"{self.first} ({self.count - 1} more lines are bad)")
        if self.count:
            raise VideozooError(self.first)


def read_text(path: Path) -> str:
    """Returns the text of a list file.

    Raises:
        VideozooError: there is no such file, or it is not a text.
    """
    if path.suffix.lower() in CLIP_SUFFIXES and path.is_file():
        raise VideozooError(f"{path}: is a clip, not a list of clips")
    try:
        text = files.read_text(path)
    except UnicodeDecodeError as error:
        raise VideozooError(f"{path}: is not a text in UTF-8, so it is no list") from error
    except OSError as error:
        raise VideozooError(f"{path}: no such list or folder ({error.strerror})") from error
    if "\0" in text:
        raise VideozooError(f"{path}: is not a text, so it is no list")
    return text


def csv_columns(text: str, path: Path) -> list[str] | None:
    """Returns the column names of a CSV file; None where the text is a plain list.

    Raises:
        VideozooError: the file is called .csv and has no header that is known.
    """
    try:
        columns = [c.strip().lower() for c in next(csv.reader(text.splitlines()[:1]), [])]
    except csv.Error:  # a cell too long, so it is no header
        columns = []
    known = "path" in columns or set(_KINETICS_COLUMNS) <= set(columns)
    is_csv = path.suffix.lower() == ".csv"
    if known and (is_csv or len(columns) > 1):
        return columns
    if is_csv:
        raise VideozooError(
            f"{path}: its first line must name the columns: path,label or Kinetics' "
            "label,youtube_id,time_start,time_end,split"
        )
    return None


def list_rows(text: str, path: Path, *, labelled: bool) -> list[Row]:
    """Reads a plain list: a clip a line, with its label behind it.

    The path may contain spaces. It ends with the last known file ending, or else before the last
    space.

    Raises:
        VideozooError: a video has no label behind it, and `labelled`.
    """
    rows, bad = [], BadLines(path)
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line:
            continue
        clip, label = _split(line)
        if label is None and labelled and not clip.lower().endswith(PICKLE_SUFFIXES):
            bad.add(number, f"has no label behind the path '{clip}'")
        rows.append(Row(number, clip, label))
    bad.raise_if_any()
    return rows


def _split(line: str) -> tuple[str, str | None]:
    if line.lower().endswith(CLIP_SUFFIXES):
        return line, None
    match = _CLIP_AND_LABEL.fullmatch(line)
    if match:
        return match[1], match[2]
    head, *tail = line.rsplit(None, 1)
    return head, tail[0] if tail else None


def csv_rows(
    text: str, path: Path, columns: Sequence[str], *, labelled: bool, videos: Path
) -> list[Row]:
    """Reads a CSV file with a header, Kinetics' official one among them.

    Args:
        text: the whole file.
        path: of the file, for messages.
        columns: its columns, from `csv_columns`.
        labelled: whether every row must have a label.
        videos: the folder that holds Kinetics' files, at any depth.

    Raises:
        VideozooError: a column is missing, or a row is bad.
    """
    if labelled and "label" not in columns:
        raise VideozooError(f"{path}: has no column 'label'")
    kinetics = None if "path" in columns else _KineticsFiles(videos)
    rows, bad = [], BadLines(path)
    for line, cells in _cells(text, path):
        if len(cells) != len(columns):
            bad.add(line, f"has {len(cells)} columns, the header has {len(columns)}")
            continue
        row = dict(zip(columns, cells, strict=True))
        label = row.get("label") or None
        if labelled and label is None:
            bad.add(line, "has no label")
            continue
        try:
            clip = kinetics.find(row) if kinetics else row["path"]
        except ValueError:
            bad.add(line, "time_start and time_end must be whole seconds")
            continue
        if not clip:
            bad.add(line, "has no path")
            continue
        rows.append(Row(line, clip, label))
    bad.raise_if_any()
    return rows


def _cells(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""))
    next(reader)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise VideozooError(f"{path}, line {reader.line_num}: cannot be read ({error})") from None


class _KineticsFiles:
    """The files that the rows of Kinetics' official annotations speak of."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise VideozooError(f"{folder}: no such folder of videos")
        self._folder = folder
        self._by_stem: dict[str, Path] = {}
        for clip in find_clips(folder):
            if clip.suffix.lower() in VIDEO_SUFFIXES:
                self._by_stem.setdefault(clip.stem, clip)

    def find(self, row: dict[str, str]) -> str:
        """Returns the path of the file of a row; where there is none, the one it should have."""
        start, end = int(row["time_start"]), int(row["time_end"])
        stem = f"{row['youtube_id']}_{start:06d}_{end:06d}"
        missing = self._folder / row.get("label", "") / f"{stem}.mp4"
        return str(self._by_stem.get(stem, missing))
