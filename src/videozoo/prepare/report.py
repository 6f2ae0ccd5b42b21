"""What became of each clip: the report of a run, and the memory of the next one."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TextIO

from videozoo.errors import VideozooError
from videozoo.files import write_csv

REPORT_FILE = "prepare.csv"
OK = "ok"
UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What became of one clip.

    Attributes:
        path: the old file, absolute.
        new_path: the new one, relative to the folder of prepared clips.
        status: ok or unreadable.
        reason: why it is unreadable.
        frames: how many.
        width, height: pixels of the old frames, upright.
        new_width, new_height: pixels of the new ones.
        bytes: of the old file.
        new_bytes: of the new one.
        modified: of the old file, in nanoseconds since 1970.
    """

    path: str
    new_path: str
    status: str
    reason: str = ""
    frames: int = 0
    width: int = 0
    height: int = 0
    new_width: int = 0
    new_height: int = 0
    bytes: int = 0
    new_bytes: int = 0
    modified: int = 0


_COLUMNS = tuple(field.name for field in fields(Row))
_NUMBERS = tuple(field.name for field in fields(Row) if field.type == "int")


def read_rows(out: Path) -> dict[str, Row]:
    """Returns what runs into this folder did, the last word for each new path; none is no fault."""
    return {
        row.new_path: row
        for file in (out / REPORT_FILE, _part(out))
        if file.is_file()
        for row in _rows_of(file)
    }


def _rows_of(file: Path) -> Iterator[Row]:
    text = file.read_bytes().decode("utf-8", "surrogateescape")
    rows = csv.reader(io.StringIO(text, newline=""))
    if next(rows, None) != list(_COLUMNS):
        return
    for cells in rows:
        values = dict(zip(_COLUMNS, cells, strict=False))
        # the last line of a stopped run may be half there
        if len(cells) == len(_COLUMNS) and all(values[n].isdigit() for n in _NUMBERS):
            numbers = {name: int(values.pop(name)) for name in _NUMBERS}
            yield Row(**values, **numbers)  # type: ignore[arg-type]


def is_done(row: Row | None, source: Path, out: Path) -> bool:
    """Whether a clip need not be made again: its new file is whole and of the file as it is now.

    Args:
        row: what the last run did to make this new path.
        source: the old file. Where it is gone, the new one stays, unless it was made from another
            file that is still there.
        out: the folder of prepared clips.
    """
    if row is None or row.status != OK or _size(out / row.new_path) != row.new_bytes:
        return False
    try:
        now = source.stat()
    except OSError:
        return not belongs_to_another(row, source, out)
    return (now.st_size, now.st_mtime_ns) == (row.bytes, row.modified)


def belongs_to_another(row: Row | None, source: Path, out: Path) -> bool:
    """Whether a new path was made from another file, which is still there."""
    return (
        row is not None
        and row.status == OK
        and row.path != str(source)
        and os.path.exists(row.path)
        and os.path.exists(out / row.new_path)
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


class Report:
    """The rows of a folder of prepared clips; each new one is on the disk at once.

    Attributes:
        rows: by new path.
    """

    def __init__(self, out: Path, file: TextIO) -> None:
        self._out = out
        self._file = file
        self._writer = csv.writer(file)
        self.rows = read_rows(out)
        write_csv(out / REPORT_FILE, _COLUMNS, map(astuple, self.rows.values()))
        file.truncate(0)  # a stopped run may have left half a line
        self._write(_COLUMNS)

    def add(self, row: Row) -> None:
        """Writes one row.

        Raises:
            VideozooError: it cannot be written.
        """
        self.rows[row.new_path] = row
        self._write(astuple(row))

    def _write(self, cells: Sequence[object]) -> None:
        try:
            self._writer.writerow(cells)
            self._file.flush()
        except OSError as error:
            raise _cannot_write(self._out, error) from None

    def finish(self, first: Iterable[str]) -> None:
        """Writes the whole report: the rows of these new paths first, then those of other lists."""
        order = dict.fromkeys([*first, *self.rows])
        write_csv(self._out / REPORT_FILE, _COLUMNS, (astuple(self.rows[name]) for name in order))
        self._file.truncate(0)


@contextmanager
def open_report(out: Path) -> Iterator[Report]:
    """Opens the report of a folder of prepared clips; keeps other runs out of it meanwhile.

    Raises:
        VideozooError: another run is at work in the folder, or it cannot be written to.
    """
    part = _part(out)
    try:
        file = part.open("a", newline="", encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise _cannot_write(out, error) from None
    with file:
        _lock(file, out)
        yield Report(out, file)
    if not part.stat().st_size:  # else the work was stopped, and the next run needs it
        part.unlink()


def _cannot_write(out: Path, error: OSError) -> VideozooError:
    return VideozooError(f"{_part(out)}: cannot be written: {error.strerror}")


def _part(out: Path) -> Path:
    return out / f"{REPORT_FILE}.part"


def _lock(file: TextIO, out: Path) -> None:
    """Keeps a second run out of the folder, where the system can."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise VideozooError(f"{out}: another run is preparing clips into it; wait for it") from None
