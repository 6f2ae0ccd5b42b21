"""videozoo scan."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from commands import Command

from tiny import World, example, write_list, write_shard
from videozoo.cli.main import main
from videozoo.data.clips.dataset import ClipDataset
from videozoo.data.youtube8m.tfrecord import write_tfrecord


def table(path: str) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_good_videos(command: Command, clip_data: World) -> None:
    done = command("scan", *clip_data.files, "--out", "found/scan.csv", "--workers", 1)
    assert done.code == 0
    assert "5 of 5 samples can be used; written to found/scan.csv" in done.out
    rows = table("found/scan.csv")
    assert [row["index"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row["sample"] for row in rows] == [str(f) for f in clip_data.files]
    assert {(row["status"], row["reason"]) for row in rows} == {("ok", "")}


def test_bad_videos_and_labels(command: Command, clip_data: World) -> None:
    Path("broken.mp4").write_bytes(b"no video")
    files = clip_data.files
    lines = [f"{files[0]} 0", "broken.mp4 1", f"{files[1]} 7", "missing.mp4 1", f"{files[2]} 2"]
    listing = write_list(Path("some.list"), lines)
    words = ("scan", "--model=TSN", "--config", clip_data.config, "--mode", "test")
    done = command(*words, "--filelist", write_list(Path("x.list"), [lines[i] for i in (0, 1, 3)]))
    assert done.code == 2
    assert "1 of 3 samples can be used" in done.out
    rows = table("scan.csv")
    assert [row["status"] for row in rows] == ["ok", "unusable", "unusable"]
    assert rows[1]["reason"].startswith("broken.mp4: ")
    assert "missing.mp4" in rows[2]["reason"]
    assert all(row["reason"] in done.out for row in rows)
    done = command(*words, "--filelist", listing)  # a label that no class has: the door says it
    assert done.code == 2
    assert f"label 7 of {files[1]} is out of range" in done.err


def test_shards(command: Command, feature_data: World) -> None:
    cut = write_shard(Path("cut.tfrecord"), (0, 1))
    cut.write_bytes(cut.read_bytes()[:-5])
    write_tfrecord(Path("labels.tfrecord"), [example(2), example(3, [9])])
    listing = write_list(Path("some.list"), [cut, feature_data.files[1], "labels.tfrecord"])
    done = command("scan", "--config", feature_data.config, "--filelist", listing)
    assert done.code == 2
    rows = table("scan.csv")
    assert [row["status"] for row in rows] == ["ok", "unusable", "ok", "ok", "ok", "unusable"]
    assert Path(rows[1]["sample"]).name == "cut.tfrecord#1"
    assert "record 1 is cut off" in rows[1]["reason"]
    assert "label 9 is out of range 0..7" in rows[5]["reason"]


def test_a_stopped_scan_goes_on(
    command: Command, clip_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["scan", *map(str, clip_data.files), "--workers", "1"]
    reads: list[int] = []
    read = ClipDataset.read

    def spy(self, index, rng):  # type: ignore[no-untyped-def]
        reads.append(index)
        if len(reads) == 4:
            raise KeyboardInterrupt  # as when Ctrl-C comes within the fourth video
        return read(self, index, rng)

    monkeypatch.setattr(ClipDataset, "read", spy)
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 130
    assert not Path("scan.csv").exists()
    done = command(*words)
    assert done.code == 0
    assert reads == [0, 1, 2, 3, 3, 4]
    assert [row["status"] for row in table("scan.csv")] == ["ok"] * 5
    command(*words, "--restart")
    assert reads[6:] == [0, 1, 2, 3, 4]


def test_faults_of_scan(command: Command) -> None:
    done = command("scan", "--mode", "vald", "a.mp4")
    assert (done.code, done.err) == (2, "error: --mode vald: unknown; did you mean 'valid'?\n")
    done = command("scan", "a.mp4")
    assert (done.code, done.err) == (2, "error: a.mp4: no such file, folder or pattern\n")
