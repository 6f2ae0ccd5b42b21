"""Files and texts of the user's: regular ones of bounded size, whatever stands at their path."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from videozoo.addresses.copies import local
from videozoo.errors import FileError
from videozoo.text import csv_value

TEXT_LIMIT = 256 << 20  # bytes of a list: millions of lines
_LEAST = 16 << 20  # bytes, of files whose size is not known


def open_regular(path: Path | str) -> BinaryIO:
    """Opens a file for reading; a pipe would keep waiting, and a device may never end.

    Raises:
        FileError: it is a pipe, a device or a socket.
        OSError: it cannot be opened; a folder cannot either.
    """
    waits = getattr(os, "O_NONBLOCK", 0)  # opening a pipe, and reading some files of /proc
    with local(path) as file:
        fd = os.open(file, os.O_RDONLY | waits | getattr(os, "O_CLOEXEC", 0))
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return open(fd, "rb")
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise FileError(path, "is a pipe or a device, not a file; give a file")


def read_bytes(path: Path | str, *, most: int = TEXT_LIMIT) -> bytes:
    """Reads a regular file that has at most `most` bytes.

    Raises:
        FileError: it is no regular file, or larger.
        OSError: it cannot be opened or read.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        # files of /proc have the size 0, and some of them nothing to read yet
        # no more than is needed, for all of it is allocated before
        data = b"" if size > most else file.read(min(most, max(size, _LEAST)) + 1) or b""
    if max(size, len(data)) > most:
        limit = f"{most >> 20} MB" if most >> 20 else f"{most >> 10} KB"
        raise FileError(path, f"is larger than {limit}, the most that such a file may have")
    return data


def read_text(path: Path | str, *, most: int = TEXT_LIMIT) -> str:
    """Reads a text of the user's: a config, a list, names.

    Args:
        path: of a regular file in UTF-8, with or without a byte order mark.
        most: bytes.

    Raises:
        FileError: it is no regular file, or larger.
        UnicodeDecodeError: it is no text in UTF-8.
        OSError: it cannot be opened or read.
    """
    text = read_bytes(path, most=most).decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str | bytes) -> Any:
    """Reads JSON.

    Raises:
        ValueError: it is none, nested too deep, or has a number of too many digits.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_plain_text(path: Path, *, most: int = TEXT_LIMIT) -> str:
    """Reads a list, a label file or a table of the user's, see read_text.

    Raises:
        FileError: it is no regular file, too large, cannot be read, or is no text in UTF-8.
    """
    try:
        text = read_text(path, most=most)
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
    with local(path) as file:
        text = file.read_bytes().decode("utf-8", "replace")
    return [[csv_value(cell) for cell in cells] for _, cells in csv_lines(text, path)]
