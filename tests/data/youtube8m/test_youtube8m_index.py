"""Indexes of shards and their cache."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from videozoo.data.youtube8m import index as module
from videozoo.data.youtube8m.dataset import YouTube8MDataset
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.index import cache_folder, index_shards
from videozoo.data.youtube8m.tfrecord import (
    RecordIndex,
    index_shard,
    masked_crc,
    write_tfrecord,
)
from videozoo.errors import ChangedError, VideozooError


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
    first, begun = index_shards(paths)
    assert sorted(walks) == sorted(paths)
    second, again = index_shards(paths)
    assert len(walks) == 3
    assert [len(i) for i in second] == [3, 2, 4]
    assert [i.kind for i in second] == ["tfrecord", "tfrecord", "pickle"]
    for old, new in zip(first, second, strict=True):
        np.testing.assert_array_equal(old.records.offsets, new.records.offsets)
        np.testing.assert_array_equal(old.records.lengths, new.records.lengths)
        assert new.records.offsets.dtype == np.int64
        assert new.records.lengths.dtype == np.uint32
    assert [i.remembered for i in first + second] == [False] * 3 + [True] * 3
    assert (begun.shards, begun.videos, begun.remembered) == (3, 9, 0)
    assert (again.shards, again.videos, again.remembered) == (3, 9, 3)
    np.testing.assert_array_equal(second[0].records.offsets, index_shard(shards[0]).offsets)


def test_a_changed_file_is_walked_again(shards: list[Path], walks: list[Path]) -> None:
    index_shards(shards)
    write_tfrecord(shards[0], [encode_example(video="n", labels=None, features={})])
    assert [len(i) for i in index_shards(shards)[0]] == [1, 2]
    state = shards[0].stat()
    os.utime(shards[0], ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    index_shards(shards)
    assert walks.count(shards[0]) == 3
    assert walks.count(shards[1]) == 1


def test_a_record_beyond_4_gib_is_remembered_with_its_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "huge.tfrecord"
    lengths = [5, 2**32 + 7]
    with open(path, "wb") as file:
        for place, length in zip((0, 21), lengths, strict=True):
            header = struct.pack("<Q", length)
            file.seek(place)
            file.write(header + struct.pack("<I", masked_crc(header)))
        file.truncate(sum(lengths) + 32)  # a file with a hole: it takes no room
    walked = RecordIndex.from_lengths(lengths, None)
    monkeypatch.setattr(module, "index_shard", lambda _: walked)
    for remembered in (False, True):
        [index], _ = index_shards([path])
        assert index.records.lengths.tolist() == lengths
        assert index.records.offsets.tolist() == [12, 33]
        assert index.remembered == remembered


def test_what_indexing_took_is_a_line_for_people(
    shards: list[Path], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[int, int]] = []
    _, report = index_shards(shards, progress=lambda *now: done.append(now))
    assert done == [(1, 2), (2, 2)]
    assert 0 < report.seconds < 60
    line = re.sub(r"[\d.]+ s\b", "T", str(report))
    assert line == f"indexed 2 shards, 5 videos, in T; remembered in {cache}"
    write_tfrecord(shards[0], [encode_example(video="n", labels=None, features={})])
    line = re.sub(r"[\d.]+ s\b", "T", str(index_shards(shards)[1]))
    assert line == f"indexed 2 shards, 3 videos (1 shard known), in T; remembered in {cache}"
    line = re.sub(r"[\d.]+ s\b", "T", str(index_shards(shards[:1])[1]))
    assert line == f"index of 1 shard, 1 video, read in T from {cache}"
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "file"))
    _, report = index_shards(shards)
    assert re.sub(r"[\d.]+ s\b", "T", str(report)) == "indexed 2 shards, 3 videos, in T"
    large = replace(report, shards=3844, videos=4998123, seconds=21.4, folder=Path("D"))
    wanted = "indexed 3,844 shards, 4,998,123 videos, in 21 s; remembered in D"
    assert str(large) == wanted
    elsewhere = replace(large, remembered=3844, folder=None)  # a folder that can only be read
    assert str(elsewhere) == "index of 3,844 shards, 4,998,123 videos, read in 21 s"


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
    assert len(index_shards(shards[:1])[0][0]) == 3
    assert len(walks) == 2


def test_a_cache_that_cannot_be_written_costs_nothing_else(
    shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "file" / "below"))
    assert [len(i) for i in index_shards(shards)[0]] == [3, 2]


def test_the_default_folder_is_in_the_home(
    shards: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIDEOZOO_CACHE")
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "moved"))
    assert cache_folder() == tmp_path / "moved"
    monkeypatch.delenv("VIDEOZOO_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder() == tmp_path / "caches" / "videozoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
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
        faults = [i.records.fault for i in index_shards(paths)[0]]
        assert "record 2 is cut off" in str(faults[0])
        assert faults[1] is None
        assert "bad.pkl: a damaged or cut off pickle" in str(faults[2])
        assert "none.tfrecord: cannot be read: No such file" in str(faults[3])
    assert walks.count(shards[0]) == 2


def test_a_pickle_that_wants_to_run_code_stops_the_work(tmp_path: Path) -> None:
    (tmp_path / "evil.pkl").write_bytes(b"\x80\x02cos\nsystem\n.")
    with pytest.raises(VideozooError, match=r"evil\.pkl wants to run os\.system"):
        index_shards([tmp_path / "evil.pkl"])


def labelled(path: Path, counts: list[int]) -> Path:
    """Writes a shard of videos of so many frames, each of one byte."""
    made = ({"rgb": np.full((n, 1), i, np.uint8)} for i, n in enumerate(counts))
    write_tfrecord(path, [encode_example(video="v", labels=[0], features=m) for m in made])
    return path


def frames_of(path: Path) -> list[int]:
    data = YouTube8MDataset([path], feature_names=["rgb"], feature_dims=[1], num_classes=1)
    return [len(data.read(i).features[0]) for i in range(len(data))]


@pytest.mark.parametrize("counts", [[3, 5, 4], [5, 4, 3], [4, 5, 3], [1, 1, 10]])
def test_a_shard_replaced_by_one_of_the_same_size_and_time(
    counts: list[int], tmp_path: Path
) -> None:
    path = labelled(tmp_path / "a.tfrecord", [4, 3, 5])
    assert frames_of(path) == [4, 3, 5]
    state = path.stat()
    other = labelled(tmp_path / "b.tfrecord", counts)
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size
    assert frames_of(path) == counts


@pytest.mark.parametrize("wholly", [0, 1 << 20])
@pytest.mark.parametrize(
    "lengths",
    [lambda n: n[::-1], lambda n: [n[0] + n[1] + 16, *n[2:]], lambda n: [n[1], n[0], *n[2:]]],
)
def test_a_poisoned_index_is_found_out(
    lengths: object, wholly: int, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WHOLLY_CHECKED", wholly)
    path = labelled(tmp_path / "a.tfrecord", [4, 3, 5, 2])
    assert frames_of(path) == [4, 3, 5, 2]
    [file] = (cache / "youtube8m").iterdir()
    head, _, body = file.read_bytes().partition(b"\n")
    poisoned = np.array(lengths(np.frombuffer(body, "<u4").tolist()), "<u4")  # type: ignore[operator]
    said = json.loads(head) | {
        "records": len(poisoned),
        "sha256": hashlib.sha256(poisoned.tobytes()).hexdigest(),
    }
    file.write_bytes(json.dumps(said).encode() + b"\n" + poisoned.tobytes())
    with suppress(ChangedError):  # other numbers of videos: said once, and right from then on
        assert frames_of(path) == [4, 3, 5, 2]
    assert frames_of(path) == [4, 3, 5, 2]


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"size": ' + b"9" * 5000 + b"}", b"3", b""])
def test_an_index_of_odd_content_is_made_anew(content: bytes, tmp_path: Path, cache: Path) -> None:
    path = labelled(tmp_path / "a.tfrecord", [4, 3])
    frames_of(path)
    [file] = (cache / "youtube8m").iterdir()
    file.write_bytes(content)
    assert frames_of(path) == [4, 3]


def test_a_remembered_number_of_records_of_a_pickle_is_compared(
    tmp_path: Path, cache: Path
) -> None:
    path = tmp_path / "a.pkl"
    video = {"feature": np.zeros((2, 1), np.uint8), "label": [0]}
    path.write_bytes(pickle.dumps([video] * 3, 2))
    assert frames_of(path) == [2, 2, 2]
    [file] = (cache / "youtube8m").iterdir()
    head, _, body = file.read_bytes().partition(b"\n")
    said = json.loads(head) | {"records": 2, "sha256": hashlib.sha256(body[:8]).hexdigest()}
    file.write_bytes(json.dumps(said).encode() + b"\n" + body[:8])
    with pytest.raises(ChangedError, match="give the command again"):
        frames_of(path)
    assert frames_of(path) == [2, 2, 2]
