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
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from videozoo.errors import VideozooError

HOME_VARIABLE = "VIDEOZOO_HOME"
_SURROGATE = re.compile("[\ud800-\udfff]")


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


@contextmanager
def writing(path: Path) -> Iterator[BinaryIO]:
    """Gives a file to write to that becomes `path` in one step, its folder made where needed.

    Raises:
        VideozooError: the folder cannot be written to.
    """
    try:
        with replacing(path) as temporary, temporary.open("wb") as file:
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
    write_bytes(path, _bytes_of(text))


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON in one step, see json_text."""
    try:
        write_bytes(path, (json_text(value) + "\n").encode())
    except ValueError as error:
        raise VideozooError(f"{path}: cannot be written: {error}") from None


def json_text(value: Any) -> str:
    r"""Returns readable JSON that every reader takes: a byte of a name that is no UTF-8 is \xe9.

    Raises:
        ValueError: it holds a number that JSON has no word for: NaN, or an infinite one.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return _SURROGATE.sub(lambda found: json.dumps(_spelled(found[0]))[1:-1], text)


def utf8(text: str) -> str:
    r"""Returns a text that can be written as UTF-8: bytes of names that are none become \xe9."""
    return _SURROGATE.sub(lambda found: _spelled(found[0]), text)


def _spelled(surrogate: str) -> str:
    number = ord(surrogate)  # of 0xdc80 to 0xdcff the byte that os.fsdecode has met
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


def _bytes_of(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # surrogates that stand for no byte
        return utf8(text).encode()


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a csv with a header in one step; rows may be made as they are asked for."""
    with writing(path) as file:
        for row in chain([header], rows):
            file.write(csv_line(row))


@contextmanager
def appending(path: Path) -> Iterator[Callable[[Sequence[Any]], None]]:
    """Gives what adds a row to a csv, at once, so that work that is stopped can go on behind it.

    Adding raises VideozooError where the file cannot be written to.
    """
    with path.open("ab", buffering=0) as file:

        def add(row: Sequence[Any]) -> None:
            try:
                file.write(csv_line(row))
            except OSError as error:
                raise VideozooError(f"{path}: cannot be written: {error.strerror}") from None

        yield add


def csv_line(row: Sequence[Any]) -> bytes:
    """Returns a row of a csv as it is written."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(row)
    return _bytes_of(text.getvalue())


def write_pickle(path: Path, value: Any) -> None:
    """Writes a pickle that Python 2 reads too, as the original did."""
    write_bytes(path, pickle.dumps(value, protocol=2))
