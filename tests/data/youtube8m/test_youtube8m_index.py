"""Indexes of shards and their cache."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from videozoo.data.youtube8m import index as module
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.index import index_shards
from videozoo.data.youtube8m.tfrecord import index_shard, write_tfrecord
from videozoo.errors import VideozooError


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Notes the files that are walked through or unpickled."""
    seen: list[Path] = []

    def noting(function: object) -> object:
        def noted(path: Path) -> object:
            seen.append(path)
            return function(path)  # type: ignore[operator]

        return noted

    monkeypatch.setattr(module, "index_shard", noting(module.index_shard))
    monkeypatch.setattr(module, "load_shard", noting(module.load_shard))
    return seen


def make_pickle(path: Path, count: int) -> Path:
    path.write_bytes(pickle.dumps([{"video": i} for i in range(count)], 2))
    return path


def test_the_second_time_nothing_is_walked(
    shards: list[Path], tmp_path: Path, walks: list[Path]
) -> None:
    paths = [*shards, make_pickle(tmp_path / "a.pkl", 4)]
    first = index_shards(paths)
    assert sorted(walks) == sorted(paths)
    second = index_shards(paths)
    assert len(walks) == 3
    assert [len(i) for i in second] == [3, 2, 4]
    assert [i.kind for i in second] == ["tfrecord", "tfrecord", "pickle"]
    for old, new in zip(first, second, strict=True):
        np.testing.assert_array_equal(old.records.offsets, new.records.offsets)
        np.testing.assert_array_equal(old.records.lengths, new.records.lengths)
        assert new.records.offsets.dtype == np.int64
    np.testing.assert_array_equal(second[0].records.offsets, index_shard(shards[0]).offsets)


def test_a_changed_file_is_walked_again(shards: list[Path], walks: list[Path]) -> None:
    index_shards(shards)
    write_tfrecord(shards[0], [encode_example(video="n", labels=None, features={})])
    assert [len(i) for i in index_shards(shards)] == [1, 2]
    state = shards[0].stat()
    os.utime(shards[0], ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    index_shards(shards)
    assert walks.count(shards[0]) == 3
    assert walks.count(shards[1]) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b"",
        lambda b: b"nonsense",
        lambda b: b[:-8],
        lambda b: b[:-3],
        lambda b: b[:-8] + b[-16:-8],
        lambda b: b.replace(b'"tfrecord"', b'"other"'),
        lambda b: b"[]\n",
    ],
)
def test_a_damaged_cache_is_not_believed(
    shards: list[Path], cache: Path, damage: object, walks: list[Path]
) -> None:
    index_shards(shards[:1])
    [file] = (cache / "youtube8m").iterdir()
    file.write_bytes(damage(file.read_bytes()))  # type: ignore[operator]
    assert len(index_shards(shards[:1])[0]) == 3
    assert len(walks) == 2


def test_a_cache_that_cannot_be_written_costs_nothing_else(
    shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "file" / "below"))
    assert [len(i) for i in index_shards(shards)] == [3, 2]


def test_the_default_folder_is_in_the_home(
    shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOZOO_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    index_shards(shards)
    files = list((tmp_path / "home" / ".cache" / "videozoo" / "youtube8m").iterdir())
    assert len(files) == 2
    assert all(file.suffix == ".index" for file in files), "no temporary file stays"


def test_faults_are_kept_apart_and_looked_at_again(
    shards: list[Path], tmp_path: Path, walks: list[Path]
) -> None:
    shards[0].write_bytes(shards[0].read_bytes()[:-1])
    (tmp_path / "bad.pkl").write_bytes(b"\x80\x02]")
    paths = [*shards, tmp_path / "bad.pkl", tmp_path / "none.tfrecord"]
    for _ in range(2):
        faults = [i.records.fault for i in index_shards(paths)]
        assert "record 2 is cut off" in str(faults[0])
        assert faults[1] is None
        assert "bad.pkl: a damaged or cut off pickle" in str(faults[2])
        assert "none.tfrecord: cannot be read: No such file" in str(faults[3])
    assert walks.count(shards[0]) == 2


def test_a_pickle_that_wants_to_run_code_stops_the_work(tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(b"\x80\x02cos\nsystem\n.")
    with pytest.raises(VideozooError, match=r"evil\.pkl wants to run os\.system"):
        index_shards([tmp_path / "evil.pkl"])
