"""TFRecord framing: reading, writing, damage."""

from __future__ import annotations

import errno
import os
import pickle
import struct
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from videozoo.data.youtube8m.tfrecord import (
    RecordReader,
    index_shard,
    masked_crc,
    write_tfrecord,
)
from videozoo.errors import SampleError

RECORDS = [b"first", b"", b"x" * 300]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.tfrecord"
    write_tfrecord(path, RECORDS)
    return path


def read_all(path: Path) -> list[bytes]:
    index, reader = index_shard(path), RecordReader()
    pairs = zip(index.offsets.tolist(), index.lengths.tolist(), strict=True)
    return [reader.read(path, offset, length) for offset, length in pairs]


def test_checksum_is_the_published_one() -> None:
    # CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720, B.4)
    crc = 0x8A9136AA
    assert masked_crc(bytes(32)) == (((crc >> 15) | (crc << 17)) + 0xA282EAD8) % 2**32


def test_bytes_of_a_file(tmp_path: Path) -> None:
    # TensorFlow's writer gives these bytes for the record b"a"
    write_tfrecord(tmp_path / "a", [b"a"])
    length = struct.pack("<Q", 1)
    expected = length + struct.pack("<I", masked_crc(length)) + b"a"
    expected += struct.pack("<I", masked_crc(b"a"))
    assert (tmp_path / "a").read_bytes() == expected
    assert [p.name for p in tmp_path.iterdir()] == ["a"], "no temporary file stays"


def test_an_interrupted_write_leaves_nothing(tmp_path: Path) -> None:
    def records() -> object:
        yield b"a"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_tfrecord(tmp_path / "a", records())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_records_come_back(file: Path) -> None:
    index = index_shard(file)
    assert index.offsets.tolist() == [12, 33, 49]
    assert index.lengths.tolist() == [5, 0, 300]
    assert index.fault is None
    assert index.file_size == file.stat().st_size
    assert read_all(file) == RECORDS


@pytest.mark.parametrize("missing", [1, 4, 5, 303, 304, 310, 315])
def test_a_cut_off_record_is_numbered_and_the_rest_stays(file: Path, missing: int) -> None:
    file.write_bytes(file.read_bytes()[:-missing])
    index = index_shard(file)
    assert index.lengths.tolist() == [5, 0]
    assert f"{file}: record 2 is cut off" in str(index.fault)
    assert read_all(file) == RECORDS[:2]


def test_an_empty_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    index = index_shard(tmp_path / "a")
    assert len(index.lengths) == 0
    assert "the file is empty" in str(index.fault)


def test_a_damaged_length_ends_the_walk(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[21] ^= 1  # the second record's length
    file.write_bytes(content)
    index = index_shard(file)
    assert index.lengths.tolist() == [5]
    assert "record 1: the checksum of its length does not match" in str(index.fault)


@pytest.mark.parametrize("at", [12, 16, 17, 20])
def test_damaged_data_is_found_when_it_is_read(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 0x40
    file.write_bytes(content)
    assert index_shard(file).fault is None
    with pytest.raises(SampleError, match="checksum does not match"):
        RecordReader().read(file, 12, 5)
    assert RecordReader().read(file, 49, 300) == RECORDS[2]


def test_a_file_that_shrank_or_vanished_is_a_sample_error(file: Path) -> None:
    with pytest.raises(SampleError, match="is cut off"):
        RecordReader().read(file, 49, 301)
    with pytest.raises(SampleError, match="cannot be read: No such file"):
        RecordReader().read(file.with_name("b"), 12, 5)
    with pytest.raises(SampleError, match=r"b: cannot be read: No such file"):
        index_shard(file.with_name("b"))


def test_what_is_prefetched_is_read_and_its_faults_are_told_when_it_is_read(file: Path) -> None:
    index, reader = index_shard(file), RecordReader()
    for record, wanted in enumerate(RECORDS):
        place = reader.place(index, record)
        reader.prefetch([(file, *place)])
        assert reader.read(file, *place) == wanted
    for place, reason in (
        ((file, 49, 301), "is cut off"),
        ((file, 12, 4), "checksum does not match"),
        ((file.with_name("b"), 12, 5), "cannot be read: No such file"),
    ):
        RecordReader().prefetch([place])
        with pytest.raises(SampleError, match=reason):
            reader.read(*place)


def test_a_file_system_that_takes_no_hints_is_read_all_the_same(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*hint: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "posix_fadvise", refuse, raising=False)
    monkeypatch.setattr(os, "POSIX_FADV_RANDOM", 1, raising=False)
    index = index_shard(file)
    assert index.fault is None
    assert index.lengths.tolist() == [len(record) for record in RECORDS]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems are not told")
def test_records_are_prefetched_while_a_disk_is_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import resource

    told: list[tuple[int, ...]] = []
    blocks = [7, 7, 9, 9]  # read by this thread when it asks: the second time nothing has come
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, *rest: told.append(rest))
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_inblock=blocks.pop(0)))
    reader = RecordReader()
    for offset in (1, 2, 3, 4):
        reader.prefetch([(file, offset, 5), (file, offset + 10, 6)])
    wanted = [(1, 9), (11, 10), (3, 9), (13, 10)]
    assert told == [(*place, os.POSIX_FADV_WILLNEED) for place in wanted]


def test_few_files_stay_open(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.tfrecord" for i in range(100)]
    for i, path in enumerate(paths):
        write_tfrecord(path, [b"%d" % i])
    before = len(list(Path("/proc/self/fd").iterdir()))
    reader = RecordReader()
    for _ in range(2):
        for i, path in enumerate(paths):
            assert reader.read(path, 12, len(str(i))) == b"%d" % i
    after = len(list(Path("/proc/self/fd").iterdir()))
    assert 0 < after - before <= 64
    copy = pickle.loads(pickle.dumps(reader))
    assert copy.read(paths[7], 12, 1) == b"7"
    del reader, copy
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_offsets_are_64_bit() -> None:
    from videozoo.data.youtube8m.tfrecord import RecordIndex

    index = RecordIndex.from_lengths(np.array([2**31, 2**31]), None)
    assert index.offsets.tolist() == [12, 2**31 + 28]
