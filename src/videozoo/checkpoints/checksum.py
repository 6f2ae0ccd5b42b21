"""Checksums: what weights are called by, and what tells a file whose bytes have changed.

A .safetensors file of ours has it in its description, where a reader of another library passes it
over; any other file has it behind its end. Files of version 0.1.0 have none.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import google_crc32c

from videozoo.errors import FileError

KEY = "crc32c"
UNKNOWN = "0" * 8
_FIELD = f'\\"{KEY}\\": \\"'.encode()  # a JSON text within a JSON text
_MARK = b"vz-crc32c:"
_DAMAGED = "is damaged: its bytes are not those that were written; take another copy"
_BLOCK = 1 << 20
_MOST_FOLDER = 8 << 30  # bytes
_MOST_HEADER = 100_000_000  # of a .safetensors file, as its library says


def sha256_of_weights(path: Path | str) -> str:
    """Returns the SHA-256 of a checkpoint in hex: of the file, or of a folder's names and bytes.

    Raises:
        VideozooError: there is no such file or folder.
    """
    path = Path(path)
    digest = hashlib.sha256()
    if path.is_dir():
        files = sorted(f for f in path.rglob("*") if f.is_file())
        if sum(file.stat().st_size for file in files) > _MOST_FOLDER:
            raise FileError(path, "holds absurdly much; it is not read")
        for file in files:
            digest.update(file.relative_to(path).as_posix().encode() + b"\0")
            digest.update(file.stat().st_size.to_bytes(8, "little"))
            for block in _blocks(file):
                digest.update(block)
    elif path.is_file():
        for block in _blocks(path):
            digest.update(block)
    else:
        raise FileError(path, "there is no such checkpoint")
    return digest.hexdigest()


def seal(path: Path) -> None:
    """Adds its checksum to the end of a file, which must be readable with more behind its end."""
    with path.open("r+b") as file:
        crc = _crc_of(file.fileno(), 0, path.stat().st_size)
        file.seek(0, os.SEEK_END)
        file.write(_MARK + f"{crc:08x}".encode())


def check_seal(path: Path) -> bool:
    """Compares a file with the checksum at its end; False: it has none.

    Raises:
        VideozooError: they differ.
    """
    length = len(_MARK) + 8
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        end = os.pread(file.fileno(), length, max(0, size - length))
        if not end.startswith(_MARK):
            return False
        if end[len(_MARK) :] != f"{_crc_of(file.fileno(), 0, size - length):08x}".encode():
            raise FileError(path, _DAMAGED)
    return True


def fill_in(path: Path) -> None:
    """Writes its checksum into a .safetensors file whose description says UNKNOWN."""
    with path.open("r+b") as file:
        place = _place(file.fileno())
        assert place is not None, "its description has no checksum"
        os.pwrite(file.fileno(), f"{_crc_around(file.fileno(), place):08x}".encode(), place)


def check_filled_in(path: Path) -> None:
    """Compares a .safetensors file with the checksum in its description, where it has one.

    Raises:
        VideozooError: they differ.
    """
    with path.open("rb") as file:
        place = _place(file.fileno())
        if place is None:
            return
        if os.pread(file.fileno(), 8, place) != f"{_crc_around(file.fileno(), place):08x}".encode():
            raise FileError(path, _DAMAGED)


def _place(file: int) -> int | None:
    """Returns where the checksum stands in a .safetensors file."""
    length = int.from_bytes(os.pread(file, 8, 0), "little")
    found = os.pread(file, min(length, _MOST_HEADER), 8).find(_FIELD)
    return None if found < 0 else 8 + found + len(_FIELD)


def _crc_around(file: int, place: int) -> int:
    """Returns the checksum of a file in which that at `place` is UNKNOWN."""
    start = google_crc32c.extend(_crc_of(file, 0, place), UNKNOWN.encode())
    return _crc_of(file, place + 8, os.fstat(file).st_size, start)


def _crc_of(file: int, start: int, end: int, crc: int = 0) -> int:
    while start < end:
        block = os.pread(file, min(_BLOCK, end - start), start)
        if not block:
            break
        crc, start = google_crc32c.extend(crc, block), start + len(block)
    return crc


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            yield block
