"""Files and folders: written under a temporary name and renamed, so never half there."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pickle
import re
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from videozoo.errors import VideozooError
from videozoo.text import csv_cell, valid, valid_json

HOME_VARIABLE = "VIDEOZOO_HOME"


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Gives a temporary name; the file or folder written there becomes `path` in one step.

    Where the block fails nothing is left of it, and a file that was there before stays. Nobody can
    guess the name, and what is opened there with mode "x" is no link that somebody has laid. Where
    `path` is a link, the link is replaced, not what it leads to. An OSError of a full disk or a
    lost folder comes out with the name `path`, whatever it was called within.

    Args:
        path: its folder is made where there is none.
        sync: a file is on the disk before it takes the name, whatever happens to the machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # No process number: two machines may write to one shared folder.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        if sync and temporary.is_file():
            sync_file(temporary)
        os.replace(temporary, path)
    except OSError as error:
        unnamed = error.errno is not None and error.filename is None
        if unnamed or error.filename in (temporary, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def sync_file(path: Path) -> None:
    """Waits until the content of a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def is_temporary(file: Path, name: str) -> bool:
    """Says whether a file is what a killed `replacing` left of a file called `name`."""
    return (
        re.fullmatch(rf"\.{re.escape(name)}\.(?:[0-9a-f]{{8,16}}|\d+)\.tmp", file.name) is not None
    )


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


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Gives a file to write to that becomes `path` in one step, its folder made where needed.

    Raises:
        VideozooError: the folder cannot be written to.
    """
    try:
        with replacing(path) as temporary, temporary.open("xb") as file:
            yield file
    except OSError as error:
        raise VideozooError(f"{path}: cannot be written: {error.strerror}") from None


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file in one step, its folder too where there is none.

    Raises:
        VideozooError: the folder cannot be written to.
    """
    with writing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file in one step; names that are no UTF-8 stay the bytes they are."""
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        data = valid(text).encode()
    write_bytes(path, data)


def write_json(path: Path, value: Any) -> None:
    r"""Writes readable JSON in one step, see json_text."""
    try:
        write_bytes(path, (json_text(value) + "\n").encode())
    except ValueError as error:
        raise VideozooError(f"{path}: cannot be written: {error}") from None


def json_text(value: Any) -> str:
    r"""Returns readable JSON that every reader takes: a byte of a name that is no UTF-8 is \xe9.

    Raises:
        ValueError: it holds a number that JSON has no word for: NaN, or an infinite one.
    """
    return valid_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    r"""Writes a csv with a header in one step; rows may be made as they are asked for.

    Texts that a spreadsheet would take for formulas get a ' before them; bytes of file names that
    are no UTF-8 become \xNN. reading.read_rows gives the texts back.
    """
    with writing(path) as file:
        for row in chain([header], rows):
            file.write(csv_line(row))


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Sequence[Any]], None]]:
    """Gives what adds a row to a csv, at once, so that work that is stopped can go on behind it.

    Adding raises VideozooError where the file cannot be written to; of the row nothing stays then.
    """
    with path.open("ab", buffering=0) as file:
        yield lambda row: _append(file, path, [row])


def append_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Adds rows to a csv: all of them, or none.

    Raises:
        VideozooError: the file cannot be written to.
    """
    try:
        with path.open("ab", buffering=0) as file:
            _append(file, path, rows)
    except OSError as error:
        raise VideozooError(f"{path}: cannot be written: {error.strerror}") from None


def _append(file: io.FileIO, path: Path, rows: Iterable[Sequence[Any]]) -> None:
    data = memoryview(b"".join(csv_line(row) for row in rows))
    size = os.fstat(file.fileno()).st_size
    try:
        while data:  # a disk that fills takes a part of them first
            data = data[file.write(data) :]
    except OSError as error:
        with suppress(OSError):
            os.ftruncate(file.fileno(), size)
        raise VideozooError(f"{path}: cannot be written: {error.strerror}") from None


def csv_line(row: Sequence[Any]) -> bytes:
    """Returns a row of a csv as it is written."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow([csv_cell(cell) for cell in row])
    return valid(text.getvalue()).encode()


def write_pickle(path: Path, value: Any) -> None:
    """Writes a pickle that Python 2 reads too, as the original did."""
    write_bytes(path, pickle.dumps(value, protocol=2))


@contextmanager
def only_run(path: Path, taken: VideozooError) -> Iterator[None]:
    """Keeps other runs out of the block; the kernel forgets a killed one.

    On a file system without locks nobody can be kept out.

    Args:
        path: of the lock, which goes with the block.
        taken: says that another run is in it.

    Raises:
        VideozooError: another run is in it.
        OSError: the lock cannot be made.
    """
    from filelock import FileLock, Timeout  # takes longer than all of this file

    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise taken from None
    except NotImplementedError:
        pass
    try:
        yield
    finally:
        if lock.is_locked:
            path.unlink(missing_ok=True)
            lock.release()
