from __future__ import annotations

import os
from pathlib import Path

import pytest

from videozoo.bench import disk
from videozoo.bench.blocks import Span
from videozoo.errors import VideozooError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bytes"
    path.write_bytes(os.urandom(3 * 2**20 + 17))
    os.sync()  # what is not on the disk yet cannot be dropped
    return path


def test_plain_reading_reads_all_that_is_there(file: Path) -> None:
    size = file.stat().st_size
    assert disk.read_plainly([Span(file, 0, size)]) == size
    assert disk.read_plainly([Span(file, 5, 9), Span(file, size - 3, size + 50)]) == 4 + 3
    assert disk.read_plainly([]) == 0


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        disk.read_plainly([Span(tmp_path / "gone", 0, 9)])


@pytest.mark.skipif(not disk.can_drop(), reason="this system cannot drop files from memory")
def test_dropping_files(file: Path, tmp_path: Path) -> None:
    spans = [Span(file, 0, file.stat().st_size)]
    other = tmp_path / "other"
    other.write_bytes(bytes(2**20))
    others = [Span(other, 0, 2**20)]
    disk.read_plainly(spans)
    if disk.kept_share(spans) != 1.0:
        pytest.skip("this system does not tell what it has in memory")
    disk.drop(spans)
    if disk.kept_share(spans) == 1.0:
        pytest.skip("this file system lies in memory")
    assert disk.kept_share(spans) == 0.0
    assert disk.kept_share(others) == 1.0
    disk.read_plainly(spans)
    assert disk.kept_share(spans) == 1.0


def test_systems_that_cannot_drop_or_tell(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "posix_fadvise", raising=False)
    monkeypatch.delattr(os, "RWF_NOWAIT", raising=False)
    assert not disk.can_drop()
    assert disk.kept_share([Span(file, 0, 9)]) is None
    with pytest.raises(VideozooError, match="--cold: this system cannot drop files"):
        disk.drop([Span(file, 0, 9)])
