"""Files and folders: written under a temporary name and renamed, so never half there."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pickle
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from videozoo.errors import FileError, VideozooError
from videozoo.text import csv_cell, csv_value, valid_json

HOME_VARIABLE = "VIDEOZOO_HOME"
_MOST_TEXT = 2**28  # bytes of a list, a label file or a table that is read whole


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Gives a temporary name; the file or folder written there becomes `path` in one step.

    Where the block fails nothing is left of it, and a file that was there before stays.

    Args:
        path: its folder is made where there is none.
        sync: a file is on the disk before it takes the name, whatever happens to the machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # No process number: two machines may write to one shared folder.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        if sync and temporary.is_file():
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """Makes `target` a second name of `source` (a copy where that cannot be), in one step."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_home() -> Path:
    """Returns the folder of all that videozoo keeps, made or not.

    It is the one that VIDEOZOO_HOME names, else videozoo/ below XDG_CACHE_HOME or ~/.cache.

    Raises:
        VideozooError: the user, or the one that the variable names, has no home.
    """
    if chosen := os.environ.get(HOME_VARIABLE):
        try:
            return Path(chosen).expanduser()
        except RuntimeError:
            raise VideozooError(f"{HOME_VARIABLE} is {chosen}: there is no such user") from None
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "videozoo"
    own = os.path.expanduser("~")
    if own == "~":
        raise VideozooError(f"this user has no home: name a folder for weights in {HOME_VARIABLE}")
    return Path(own) / ".cache" / "videozoo"


def make_folder(folder: Path) -> None:
    """Makes the folder that results will go to, so that a fault shows before the work.

    Raises:
        VideozooError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideozooError(f"{folder}: cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise VideozooError(f"{folder}: cannot be written to; give --save-dir another folder")


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file in one step, its folder too where there is none.

    Raises:
        VideozooError: the folder cannot be written to.
    """
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise VideozooError(f"{path}: cannot be written: {error.strerror}") from None


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file in one step."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_json(path: Path, value: Any) -> None:
    r"""Writes readable JSON in one step; bytes of file names that are no UTF-8 become \xNN."""
    write_text(path, valid_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    r"""Writes a csv with a header in one step; read_rows gives the texts back.

    Texts that a spreadsheet would take for formulas get a ' before them; bytes of file names that
    are no UTF-8 become \xNN.
    """
    write_text(path, _csv_text([header, *rows]))


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Sequence[Any]], None]]:
    """Gives what adds a row to a csv, at once, so that work that is stopped can go on behind it.

    Adding raises VideozooError where the file cannot be written to.
    """
    with path.open("ab", buffering=0) as file:

        def add(row: Sequence[Any]) -> None:
            try:
                file.write(_csv_text([row]).encode("utf-8", "surrogateescape"))
            except OSError as error:
                raise VideozooError(f"{path}: cannot be written: {error.strerror}") from None

        yield add


def _csv_text(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([csv_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def read_text(path: Path) -> str:
    """Reads a text file whole.

    Raises:
        FileError: it is no file, too large, cannot be read, or no text in UTF-8.
    """
    try:
        if path.exists() and not path.is_file():
            raise FileError(path, "is no file")
        if path.stat().st_size > _MOST_TEXT:
            raise FileError(path, f"is larger than {_MOST_TEXT >> 20} MiB: too large for a list")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(path, "is not a text in UTF-8; save it as such") from None
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from None
    if "\0" in text:
        raise FileError(path, "is not a text")
    return text


def lines_of(text: str) -> list[str]:
    """Returns the lines of a text; other line separators than those of systems are part of them."""
    text = text.replace("\r\n", "\n")
    return text.split("\n") if "\n" in text or "\r" not in text else text.split("\r")


def csv_lines(text: str, path: Path, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yields the rows of a csv that are not blank, with their line numbers.

    Raises:
        FileError: a cell is too large.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise FileError(path, f"line {reader.line_num}: {error}") from None


def read_rows(path: Path) -> list[list[str]]:
    """Returns the rows of a csv that write_csv or `appending` wrote; blank ones are left out.

    The last one may be half there, where a run was stopped.
    """
    text = path.read_bytes().decode("utf-8", "replace")
    return [[csv_value(cell) for cell in cells] for _, cells in csv_lines(text, path)]


def write_pickle(path: Path, value: Any) -> None:
    """Writes a pickle that Python 2 reads too, as the original did."""
    write_bytes(path, pickle.dumps(value, protocol=2))
