"""TFRecord files: records one after another, each with its length and two checksums.

A record is: uint64 length; masked CRC-32C of these 8 bytes; the data; masked CRC-32C of the data;
all little endian. Nothing in a file says where its records begin, so that finding them means
walking from header to header.

Source: TensorFlow, "TFRecord and tf.train.Example" (format of the file).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from videozoo.errors import SampleError

Int64Array = npt.NDArray[np.int64]

HEADER_SIZE = 12  # length and its checksum
FOOTER_SIZE = 4  # the data's checksum
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_OPEN_FILES = 64  # far below any system's limit, also with many workers


@dataclass(frozen=True)
class RecordIndex:
    """Where the records of a file lie.

    Attributes:
        offsets: int64 [N]: where each record's data begins, in bytes.
        lengths: int64 [N]: how long the data is, in bytes.
        fault: why the file cannot be followed beyond these N records; None if it ends there.
    """

    offsets: Int64Array
    lengths: Int64Array
    fault: str | None

    @classmethod
    def from_lengths(cls, lengths: Int64Array, fault: str | None) -> RecordIndex:
        """Places records of these lengths one after another."""
        steps = lengths + (HEADER_SIZE + FOOTER_SIZE)
        return cls(HEADER_SIZE + np.cumsum(steps) - steps, lengths, fault)

    @property
    def file_size(self) -> int:
        """The bytes that the records take up."""
        return int((self.lengths + (HEADER_SIZE + FOOTER_SIZE)).sum())


def masked_crc(data: bytes | memoryview) -> int:
    """Returns the CRC-32C of `data`, masked as TFRecord stores it."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def is_header(data: bytes) -> bool:
    """Says whether `data` begins as a TFRecord does: a length with its right checksum."""
    if len(data) < HEADER_SIZE:
        return False
    crc: int = _HEADER.unpack_from(data)[1]
    return masked_crc(data[:8]) == crc


def index_shard(path: Path) -> RecordIndex:
    """Finds the records of a file by walking its headers.

    The headers' checksums are tested, the data's are not: `RecordReader.read` does that. Where a
    header is damaged or the file ends inside a record, the records before stay usable and `fault`
    says what is wrong.

    Raises:
        SampleError: the file cannot be opened.
    """
    lengths: list[int] = []
    fault: str | None = None
    try:
        file = _OpenFile(path)
        size = os.fstat(file.fd).st_size
        at = 0
        while at < size:
            header = os.pread(file.fd, HEADER_SIZE, at)
            if len(header) == HEADER_SIZE and not is_header(header):
                fault = (
                    f"record {len(lengths)}: the checksum of its length does not match, so"
                    " neither it nor what follows it in the file can be read"
                )
                break
            length = _HEADER.unpack(header)[0] if len(header) == HEADER_SIZE else 0
            at += HEADER_SIZE + length + FOOTER_SIZE
            if at > size:
                fault = f"record {len(lengths)} is cut off: the file ends inside it"
                break
            lengths.append(length)
    except OSError as error:
        raise SampleError(f"{path}: cannot be read: {error.strerror or error}") from error
    if size == 0:
        fault = "the file is empty"
    if fault is not None:
        fault = f"{path}: {fault}; the file is damaged, get it again"
    return RecordIndex.from_lengths(np.array(lengths, dtype=np.int64), fault)


class RecordReader:
    """Reads single records, keeping a few files open.

    It may be forked and pickled: files are opened where they are read, and read by position.
    """

    def __init__(self) -> None:
        self._open = lru_cache(maxsize=_OPEN_FILES)(_OpenFile)

    def __reduce__(self) -> tuple[type[RecordReader], tuple[()]]:
        return RecordReader, ()

    def read(self, path: Path, offset: int, length: int) -> bytes:
        """Returns the data of one record.

        Args:
            path: the file.
            offset: where its data begins, in bytes, from `index_shard`.
            length: how long it is, in bytes.

        Raises:
            SampleError: the file cannot be read or the data does not match its checksum; the
                message is only the reason: the caller knows the record's number.
        """
        try:
            fd = self._open(path).fd
            # the checksum is read apart because cutting it off would copy the data
            data = os.pread(fd, length, offset)
            footer = os.pread(fd, FOOTER_SIZE, offset + length)
        except OSError as error:
            raise SampleError(f"cannot be read: {error.strerror or error}") from error
        if len(data) != length or len(footer) != FOOTER_SIZE:
            raise SampleError("is cut off: the file has become shorter since it was indexed")
        if masked_crc(data) != _CRC.unpack(footer)[0]:
            raise SampleError("checksum does not match: the file is damaged, get it again")
        return data


def write_tfrecord(path: Path, records: Iterable[bytes]) -> None:
    """Writes a file of records; it appears under its name when it is complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            for data in records:
                length = struct.pack("<Q", len(data))
                file.write(length + _CRC.pack(masked_crc(length)))
                file.write(data)
                file.write(_CRC.pack(masked_crc(data)))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


class _OpenFile:
    # closes itself when nobody uses it any more: another thread may still read what the LRU drops
    __slots__ = ("fd",)

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)
