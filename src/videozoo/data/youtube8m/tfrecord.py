"""TFRecord files: records one after another, each with its length and two checksums.

A record is: uint64 length; masked CRC-32C of these 8 bytes; the data; masked CRC-32C of the data;
all little endian. Nothing in a file says where its records begin, so that finding them means
walking from header to header.

Source: TensorFlow, "TFRecord and tf.train.Example" (format of the file).
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import google_crc32c
import numpy as np
import numpy.typing as npt

from videozoo.addresses.copies import local
from videozoo.data.sample import Int64Array, UInt8Array
from videozoo.errors import SampleError, VideozooError
from videozoo.files import replacing

if sys.platform == "linux":
    import resource

Lengths = npt.NDArray[np.uint32] | npt.NDArray[np.int64]

HEADER_SIZE = 12  # length and its checksum
FOOTER_SIZE = 4  # the data's checksum
_HEADER = struct.Struct("<QI")
_CRC = struct.Struct("<I")
_LARGER_THAN_RECORDS = 8 << 20  # bytes
_OPEN_FILES = 64  # far below any system's limit, also with many workers
_SHORTER = "is cut off: the file has become shorter since it was indexed"
_DAMAGED = "checksum does not match: the file is damaged, get it again"


@dataclass(frozen=True, eq=False)
class RecordIndex:
    """Where the records of a file lie.

    Only the lengths are kept, as a list of shards has millions of records.

    Attributes:
        lengths: uint32 [N] (int64 where a record has 4 GiB): how long each record's data is, in
            bytes.
        fault: why the file cannot be followed beyond these N records; None if it ends there.
    """

    lengths: Lengths
    fault: str | None

    @classmethod
    def from_lengths(cls, lengths: Sequence[int] | Lengths, fault: str | None) -> RecordIndex:
        """Takes records of these lengths, which lie one after another."""
        wide = np.asarray(lengths, dtype=np.int64)
        small = not len(wide) or int(wide.max()) <= np.iinfo(np.uint32).max
        return cls(wide.astype(np.uint32) if small else wide, fault)

    @property
    def offsets(self) -> Int64Array:
        """Where each record's data begins, in bytes: int64 [N], computed anew at each call."""
        steps = self.lengths.astype(np.int64) + (HEADER_SIZE + FOOTER_SIZE)
        return HEADER_SIZE + np.cumsum(steps) - steps

    @property
    def file_size(self) -> int:
        """The bytes that the records take up."""
        each = HEADER_SIZE + FOOTER_SIZE
        return int(self.lengths.sum(dtype=np.int64)) + each * len(self.lengths)


def masked_crc(data: bytes | UInt8Array) -> int:
    """Returns the CRC-32C of `data`, masked as TFRecord stores it."""
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def is_header(data: bytes, *, length: int | None = None) -> bool:
    """Says whether `data` begins as a TFRecord does: a length with its right checksum.

    Args:
        data: from the beginning of a record.
        length: it must be this one, in bytes; None: any.
    """
    if len(data) < HEADER_SIZE:
        return False
    said, crc = _HEADER.unpack_from(data)
    return length in (None, said) and masked_crc(data[:8]) == crc


def index_shard(path: Path) -> RecordIndex:
    """Finds the records of a file by walking its headers.

    The headers' checksums are tested, the data's are not: `RecordReader.read` does that. Where a
    header is damaged or the file ends inside a record, the records before stay usable and `fault`
    says what is wrong.

    Raises:
        SampleError: the file cannot be opened.
    """
    try:
        file = _OpenFile(path)
        size = os.fstat(file.fd).st_size
        if hasattr(os, "posix_fadvise"):  # or the kernel would read on behind each header
            with suppress(OSError):  # of no use where a file system has no such hint
                os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_RANDOM)
        lengths, fault = _walk(file.fd, size)
    except OSError as error:
        raise SampleError(f"cannot be read: {error.strerror or error}", path=path) from error
    if size == 0:
        fault = "the file is empty"
    if fault is not None:
        fault = f"{path}: {fault}; the file is damaged, get it again"
    return RecordIndex.from_lengths(lengths, fault)


def _walk(fd: int, size: int) -> tuple[list[int], str | None]:
    """Returns the records' lengths, and why the file cannot be followed to its end or None."""
    lengths: list[int] = []
    unpack, pread = _HEADER.unpack, os.pread  # five million records go through this loop
    at = 0
    while at < size:
        header = pread(fd, HEADER_SIZE, at)
        if len(header) == HEADER_SIZE:
            length, crc = unpack(header)
            if masked_crc(header[:8]) != crc:
                return lengths, (
                    f"record {len(lengths)}: the checksum of its length does not match, so"
                    " neither it nor what follows it in the file can be read"
                )
            at += HEADER_SIZE + length + FOOTER_SIZE
        if len(header) != HEADER_SIZE or at > size:
            return lengths, f"record {len(lengths)} is cut off: the file ends inside it"
        lengths.append(length)
    return lengths, None


class RecordReader:
    """Reads single records, keeping a few files open and where their records lie.

    It may be forked and pickled: files are opened where they are read, and read by position.
    """

    def __init__(self) -> None:
        # glibc gives a record's memory back to the kernel and takes it again, page by page, with
        # each record, until a block far larger than records has been freed once: it learns from it.
        bytes(_LARGER_THAN_RECORDS)
        self._open = lru_cache(maxsize=_OPEN_FILES)(_OpenFile)
        self._offsets = lru_cache(maxsize=_OPEN_FILES)(_offsets)
        self._blocks_read = -1  # by this thread from disks, when it last prefetched

    def __reduce__(self) -> tuple[type[RecordReader], tuple[()]]:
        return RecordReader, ()

    def place(self, index: RecordIndex, record: int) -> tuple[int, int]:
        """Returns where the data of a record begins and how long it is, in bytes."""
        return int(self._offsets(index)[record]), int(index.lengths[record])

    def prefetch(self, records: Sequence[tuple[Path, int, int]]) -> None:
        """Lets the system fetch records that will be read soon, all at once.

        A cold disk gives half as many records again when it may serve many requests. While
        nothing comes from a disk the records are in memory, and prefetching them would be work
        for nothing.

        Args:
            records: file, offset and length of each, in bytes.
        """
        if sys.platform != "linux":
            return
        blocks = resource.getrusage(resource.RUSAGE_THREAD).ru_inblock
        if blocks == self._blocks_read:
            return
        self._blocks_read = blocks
        for path, offset, length in records:
            with suppress(OSError, VideozooError):  # reading will say what is wrong
                size = length + FOOTER_SIZE
                os.posix_fadvise(self._open(path).fd, offset, size, os.POSIX_FADV_WILLNEED)

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
            raise SampleError(_SHORTER)
        if masked_crc(data) != _CRC.unpack(footer)[0]:
            raise SampleError(_DAMAGED)
        return data


def write_tfrecord(path: Path, records: Iterable[bytes]) -> None:
    """Writes a file of records; it appears under its name when it is complete."""
    with replacing(path) as temporary, temporary.open("xb") as file:
        for data in records:
            length = struct.pack("<Q", len(data))
            file.write(length + _CRC.pack(masked_crc(length)))
            file.write(data)
            file.write(_CRC.pack(masked_crc(data)))


def _offsets(index: RecordIndex) -> Int64Array:
    return index.offsets


class _OpenFile:
    # closes itself when nobody uses it any more: another thread may still read what the LRU drops
    __slots__ = ("fd",)

    def __init__(self, path: Path) -> None:
        with local(path) as file:
            self.fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)
