"""The lines of list and CSV files: which clip, which label, before either is looked up."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videozoo.addresses.places import is_file
from videozoo.data.clips.clip_files import (
    CLIP_SUFFIXES,
    PICKLE_SUFFIXES,
    find_clips,
    why_missing,
)
from videozoo.errors import FileError, VideozooError
from videozoo.reading import csv_lines, lines_of, parse_json, read_plain_text
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
        cells: all of a table's line.
    """

    line: int
    path: str
    label: str | None
    cells: tuple[str, ...] = ()


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
    if path.suffix.lower() in CLIP_SUFFIXES and is_file(path):
        raise FileError(path, "is a clip, not a list of clips")
    if missing := why_missing(str(path)):
        raise FileError(path, missing)
    if not path.exists() and not is_file(path):
        pattern = ", and no file matches it" if glob.has_magic(str(path)) else ""
        raise FileError(path, f"no such list or folder{pattern}")
    return read_plain_text(path)


def csv_columns(text: str, path: Path) -> list[str] | None:
    """Returns the column names of a CSV file or of JSON lines; None: the text is a plain list.

    Raises:
        VideozooError: the file is called .csv and has no header that is known, or has one and
            separates its columns by something else than commas.
    """
    if path.suffix.lower() == ".jsonl":
        return [column.lower() for column in next(_table_lines(text, path))[1]]
    is_csv = path.suffix.lower() == ".csv"
    first = text[: text.find("\n") + 1 or len(text)]
    for delimiter in ",\t;":
        cells = next((cells for _, cells in csv_lines(first, path, delimiter)), [])
        columns = [cell.strip().lower() for cell in cells]
        known = {"path", "file_name"} & set(columns) or set(_KINETICS_COLUMNS) <= set(columns)
        if known and (is_csv or len(columns) > 1):
            if delimiter == ",":
                return columns
            name = "tabs" if delimiter == "\t" else "semicolons"
            raise FileError(path, f"its columns are separated by {name}; separate them by commas")
    if is_csv:
        raise FileError(
            path,
            "its first line must name the columns: path,label or file_name,label or Kinetics' "
            "label,youtube_id,time_start,time_end,split",
        )
    return None


def _table_lines(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yields the columns, then the rows of a CSV file or of JSON lines, with their line numbers.

    Raises:
        VideozooError: a line is no JSON object.
    """
    if path.suffix.lower() != ".jsonl":
        yield from csv_lines(text, path)
        return
    records: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(lines_of(text), 1):
        if line.strip():
            try:
                record = parse_json(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise FileError(path, f"line {number}: is no JSON object")
            records.append((number, record))
    columns = list(dict.fromkeys(key for _, record in records for key in record))
    several = any(isinstance(record.get("label"), list) for _, record in records)
    yield 0, ["labels" if several and column == "label" else column for column in columns]
    for number, record in records:
        yield number, [_cell(record.get(column)) for column in columns]


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_cell, value))
    return "" if value is None else str(value)


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
    """Reads a CSV file with a header, Kinetics' official one among them; or JSON lines.

    Args:
        text: the whole file.
        path: of the file, for messages.
        columns: its columns, from `csv_columns`.
        videos: the folder that holds Kinetics' files, at any depth.

    Raises:
        VideozooError: a row is bad.
    """
    place = next((name for name in ("path", "file_name") if name in columns), None)
    kinetics = _KineticsFiles(videos) if place is None else None
    rows, bad = [], BadLines(path)
    for line, cells in [*_table_lines(text, path)][1:]:
        if len(cells) != len(columns):
            bad.add(line, f"has {counted(len(cells), 'column')}, the header has {len(columns)}")
            continue
        row = dict(zip(columns, map(csv_value, cells), strict=True))
        label = row.get("label", row.get("labels", "")).strip() or None
        try:
            clip = kinetics.find(row) if kinetics else unquoted(row[str(place)])
        except ValueError:
            bad.add(line, "time_start and time_end must be whole seconds")
            continue
        if not clip.strip():
            bad.add(line, "has no path")
            continue
        rows.append(Row(line, clip, label, tuple(cells)))
    bad.raise_if_any()
    return rows


def check_labelled(rows: Sequence[Row], path: Path, plain: bool) -> None:
    """Makes sure that each clip has a label; a pickle in a plain list has its own.

    Raises:
        VideozooError: names the first one that has none.
    """
    bad = BadLines(path)
    for row in rows:
        if row.label is None and not (plain and row.path.lower().endswith(PICKLE_SUFFIXES)):
            behind = f" behind the path '{row.path}'" if plain else ""
            bad.add(row.line, f"has no label{behind}")
    bad.raise_if_any()


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
