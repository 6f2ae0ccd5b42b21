"""videozoo bench data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Command

from tiny import World, write_list, write_shard
from videozoo.bench.machine import Machine

QUICK = ("--seconds", 0.2, "--workers", 0)
DIMS = "TEST.feature_dims=[8, 4]"


def said(text: str) -> str:
    """Returns what was printed, without the breaks of lines."""
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def _idle_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine("Test CPU", cores=2, load=0.0, versions={"torch": "1.2"})
    monkeypatch.setattr("videozoo.bench.data.this_machine", lambda: machine)


def test_shards_need_nothing_but_a_path(command: Command, tmp_path: Path) -> None:
    write_shard(tmp_path / "a.tfrecord", (0, 1, 2))
    done = command("bench", "data", "--youtube8m", ".", *QUICK, "--set", DIMS, "--json", "r/b.json")
    assert done.code == 0
    told = said(done.out)
    assert "machine: Test CPU, cores: 2, load 0.0; torch 1.2" in told
    assert "read: 3 of 3 videos" in told
    assert "all frames of rgb (8) and audio (4); batches of 3 instead of 32;" in told
    assert "warm: the files had been read before" in told
    for word in ("plain read", "this process", "read", "checksum", "parse", "pad", "One process:"):
        assert word in told
    assert "1 worker" not in told
    assert max(map(len, done.out.splitlines()[1:])) <= 100  # the first names a folder
    found = json.loads(Path("r/b.json").read_text())
    assert [p.name for p in Path("r").iterdir()] == ["b.json"]
    assert (found["path"], found["listed"], found["measured"]) == (".", 3, 3)
    assert found["stored"] == Path("a.tfrecord").stat().st_size
    assert [cost["stage"]["name"] for cost in found["stages"]] == [
        "read", "checksum", "parse", "pad",
    ]  # fmt: skip
    assert sum(cost["share"] for cost in found["stages"]) == pytest.approx(1)
    assert [speed["workers"] for speed in found["speeds"]] == [0]
    assert all(sentence in told for sentence in found["verdict"])


def test_clips_in_any_layout(command: Command, clip_data: World) -> None:
    Path("loose").mkdir()
    Path("loose", "a [b].mp4").symlink_to(clip_data.files[0])
    Path("loose", "broken.mp4").write_bytes(b"no video")
    sizes = ("--set", "TEST.short_size=36", "--set", "TEST.target_size=32")
    done = command("bench", "data", "--clips", "loose", *sizes, *QUICK)
    assert done.code == 0
    told = said(done.out)
    assert "loose: clips listed: 2" in told
    assert "read: 1 of 2 clips" in told
    assert "3x1 frames, short side 36 (4:3), crop 32" in told
    assert "unreadable: 1" in told
    assert "broken.mp4" in told
    assert all(word in told for word in ("open", "decode", "resize", "crop", "clips/s"))
    for path in (clip_data.files[0], write_list(Path("x.list"), clip_data.files)):
        done = command("bench", "data", "--clips", path, *sizes, *QUICK, "--frames", "3x1")
        assert done.code == 0


def test_a_config_says_what_is_read(
    command: Command, clip_data: World, feature_data: World
) -> None:
    words = ("bench", "data", *QUICK, "--json", "b.json")

    def wanted_batch_size() -> int:
        return int(json.loads(Path("b.json").read_text())["plan"]["wanted_batch_size"])

    done = command(*words, "--config", clip_data.config, "--clips", clip_data.listing)
    assert done.code == 0
    assert "3x1 frames, short side 36 (4:3), crop 32; batches of" in said(done.out)
    assert wanted_batch_size() == 2
    done = command(*words, "--config", clip_data.config, "--frames", "4x1", "--videos", 2)
    assert "read: 2 of 5 clips" in said(done.out)
    assert "4x1 frames" in said(done.out)
    done = command(*words, "--config", feature_data.config, "--batch-size", 4)
    assert "5 frames of rgb (8) and audio (4); batches of" in said(done.out)
    assert wanted_batch_size() == 4


def test_workers_and_cold(command: Command, feature_data: World) -> None:
    words = ("--config", feature_data.config, "--workers", 1, "--seconds", 0.2, "--cold")
    done = command("bench", "data", *words)
    assert done.code == 0
    assert "1 worker" in said(done.out)
    assert "COLD" in done.out or "cold: dropped from memory before each reading" in said(done.out)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ((), "give --youtube8m or --clips a path, or --config a config file"),
        (("--youtube8m", "a", "--clips", "b"), "give --youtube8m or --clips, not both"),
        (("--youtube8m", "gone"), "gone: there is no such list, folder or shard"),
        (("--clips", "gone.mp4"), "gone.mp4: no such file, folder or pattern"),
        (("--clips", "gone"), "gone: "),
        (("--clips", ".", "--frames", "3"), "--frames 3: give segments x frames, such as 3x1"),
        (("--youtube8m", ".", "--frames", "3x1"), "--frames: is for --clips"),
        (("--clips", ".", "--model-name", "NEXTVLAD"), "NEXTVLAD reads youtube8m: give"),
        (("--youtube8m", ".", "--model-name", "TSN"), "TSN reads clips: give --clips PATH"),
        (("--clips", ".", "--model-name", "TSM"), "did you mean 'TSN'?"),
        (("--clips", ".", "--json", "."), "--json .: is a folder; give the name of a file"),
        (("--clips", ".", "--json", "file/b.json"), "--json file/b.json: "),
        (("--clips", "empty.mp4"), "none of the 1 clips that were tried can be read; the first:"),
    ],
)
def test_faults(command: Command, words: tuple[str, ...], fault: str) -> None:
    Path("file").write_text("")
    Path("empty.mp4").write_bytes(b"")
    done = command("bench", "data", *words, *QUICK)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert fault in done.err
    assert done.err.count("\n") == 1


def test_features_of_other_sizes(command: Command) -> None:
    write_shard(Path("a.tfrecord"), (0, 1))
    done = command("bench", "data", "--youtube8m", "a.tfrecord", *QUICK)
    assert done.code == 2
    assert "rgb has 8 values a frame, the config's feature_dims says 1024" in done.err


def test_flags_may_be_shortened(command: Command) -> None:
    write_shard(Path("a.tfrecord"), (0, 1))
    done = command("bench", "data", "--you", "a.tfrecord", "--batch_size=1", *QUICK, "--set", DIMS)
    assert done.code == 0
    assert "batches of 1" in said(done.out)


def test_help(command: Command) -> None:
    done = command("bench", "--help")
    assert done.code == 0
    assert "data" in done.out
    done = command("bench", "data", "--help")
    assert "--youtube8m" in done.out
