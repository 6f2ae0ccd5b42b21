"""The lines of list and CSV files: which clip, which label, before either is looked up."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from videozoo.data.clips.clip_files import (
    CLIP_SUFFIXES,
    PICKLE_SUFFIXES,
    find_clips,
    why_missing,
)
from videozoo.errors import FileError, VideozooError
from videozoo.reading import csv_lines, lines_of, read_plain_text
from videozoo.text import counted, csv_value, escaped, whole_number

_ENDINGS = "|".join(re.escape(suffix) for suffix in CLIP_SUFFIXES)
_CLIP_AND_LABEL = re.compile(rf"(.+(?:{_ENDINGS}))\s+(.+)", re.IGNORECASE)
_QUOTED = re.compile(r'("(?:[^"\\]|\\.)*")(?:\s+(.+))?')
_KINETICS_COLUMNS = ("youtube_id", "time_start", "time_end")


@dataclass(frozen=True, slots=True)
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


def read_list_text(path: Path) -> str:
    """Returns the text of a list file.

    Raises:
        VideozooError: there is no such file, or it is not a text.
    """
    if path.suffix.lower() in CLIP_SUFFIXES and path.is_file():
        raise FileError(path, "is a clip, not a list of clips")
    if missing := why_missing(str(path)):
        raise FileError(path, missing)
    if not path.exists():
        pattern = ", and no file matches it" if glob.has_magic(str(path)) else ""
        raise FileError(path, f"no such list or folder{pattern}")
    return read_plain_text(path)


def csv_columns(text: str, path: Path) -> list[str] | None:
    """Returns the column names of a CSV file; None where the text is a plain list.

    Raises:
        VideozooError: the file is called .csv and has no header that is known, or has one and
            separates its columns by something else than commas.
    """
    is_csv = path.suffix.lower() == ".csv"
    first = text[: text.find("\n") + 1 or len(text)]
    for delimiter in ",\t;":
        cells = next((cells for _, cells in csv_lines(first, path, delimiter)), [])
        columns = [cell.strip().lower() for cell in cells]
        known = "path" in columns or set(_KINETICS_COLUMNS) <= set(columns)
        if known and (is_csv or len(columns) > 1):
            if delimiter == ",":
                return columns
            name = "tabs" if delimiter == "\t" else "semicolons"
            raise FileError(path, f"its columns are separated by {name}; separate them by commas")
    if is_csv:
        raise FileError(
            path,
            "its first line must name the columns: path,label or Kinetics' "
            "label,youtube_id,time_start,time_end,split",
        )
    return None


def list_rows(text: str) -> list[Row]:
    """Reads a plain list: a clip a line, with its label behind it.

    The path may contain spaces. It ends with the last known file ending, or else before the last
    space; or it stands in quotes, as JSON writes them.
    """
    lines = ((number, line.strip()) for number, line in enumerate(lines_of(text), 1))
    return [Row(number, *split_line(line)) for number, line in lines if line]


def split_line(line: str) -> tuple[str, str | None]:
    """Returns the path and the label of a line of a plain list; see list_line."""
    if found := _QUOTED.fullmatch(line):
        with suppress(ValueError):
            return str(json.loads(found[1])), found[2] or None
    if line.lower().endswith(CLIP_SUFFIXES):
        return line, None
    match = _CLIP_AND_LABEL.fullmatch(line)
    if match:
        return match[1], match[2]
    head, *tail = line.rsplit(None, 1)
    return head, tail[0] if tail else None


def list_line(path: str, label: str) -> str:
    """Returns the line of a plain list, which split_line takes apart again.

    A path that a line cannot hold (line breaks, bytes that are no UTF-8 and the like) stands in
    quotes, as JSON writes it.

    Args:
        path: of the clip.
        label: a number or several with commas; empty: it has none.
    """
    line = f"{path} {label}".rstrip()
    plain = escaped(path) == path and split_line(line) == (path, label or None)
    return line if plain else f"{json.dumps(path)} {label}".rstrip()


def quoted(path: str) -> str:
    """Returns the cell of a csv for a path: as it is, or else as list_line quotes it."""
    return path if escaped(path) == path and unquoted(path) == path else json.dumps(path)


def unquoted(path: str) -> str:
    """Returns the path that a cell of a csv stands for; see quoted."""
    found = _QUOTED.fullmatch(path)
    if found is None or found[2]:
        return path
    with suppress(ValueError):
        return str(json.loads(found[1]))
    return path


def csv_rows(text: str, path: Path, columns: Sequence[str], *, videos: Path) -> list[Row]:
    """Reads a CSV file with a header, Kinetics' official one among them.

    Args:
        text: the whole file.
        path: of the file, for messages.
        columns: its columns, from `csv_columns`.
        videos: the folder that holds Kinetics' files, at any depth.

    Raises:
        VideozooError: a row is bad.
    """
    kinetics = None if "path" in columns else _KineticsFiles(videos)
    rows, bad = [], BadLines(path)
    for line, cells in [*csv_lines(text, path)][1:]:
        if len(cells) != len(columns):
            bad.add(line, f"has {counted(len(cells), 'column')}, the header has {len(columns)}")
            continue
        row = dict(zip(columns, map(csv_value, cells), strict=True))
        label = row.get("label", "").strip() or None
        try:
            clip = kinetics.find(row) if kinetics else unquoted(row["path"])
        except ValueError:
            bad.add(line, "time_start and time_end must be whole seconds")
            continue
        if not clip.strip():
            bad.add(line, "has no path")
            continue
        rows.append(Row(line, clip, label))
    bad.raise_if_any()
    return rows


class _KineticsFiles:
    """The files that the rows of Kinetics' official annotations speak of."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise VideozooError(f"{folder}: no such folder of videos")
        self._folder = folder
        self._by_stem: dict[str, Path] = {}
        for clip in find_clips(folder):
            if clip.suffix.lower() not in PICKLE_SUFFIXES:
                self._by_stem.setdefault(clip.stem, clip)

    def find(self, row: dict[str, str]) -> str:
        """Returns the path of the file of a row; where there is none, the one it should have."""
        start, end = (_whole(row[name]) for name in ("time_start", "time_end"))
        stem = f"{row['youtube_id'].strip()}_{start:06d}_{end:06d}"
        missing = self._folder / row.get("label", "").strip() / f"{stem}.mp4"
        return str(self._by_stem.get(stem, missing))


def _whole(text: str) -> int:
    number = whole_number(text)
    if number is None:
        raise ValueError
    return number
