"""Each script that compares with peers runs where none is installed, or none is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tiny import World, example
from videozoo.data.youtube8m.tfrecord import write_tfrecord

ALONE = ("--only", "none of them")


@pytest.mark.slow
def test_youtube8m(script: Callable[..., str], tmp_path: Path) -> None:
    shard, out = tmp_path / "a.tfrecord", tmp_path / "youtube8m.json"
    write_tfrecord(shard, [example(i, rgb=1024, audio=128) for i in range(3)])
    words = ("--rounds", 1, "--json", out, *ALONE)
    assert "equal: 1 batches of 32, 3 videos" in script("youtube8m.py", shard, *words)
    (table,) = json.loads(out.read_text())["tables"]
    assert table["peers"]["videozoo"]["per_second"] > 0


@pytest.mark.slow
def test_clips(script: Callable[..., str], clip_data: World) -> None:
    words = ("--rounds", 1, "--frames", "3x1", *ALONE)
    assert "videozoo" in script("clips.py", clip_data.files[0], *words)


@pytest.mark.slow
def test_runtimes(script: Callable[..., str]) -> None:
    words = ("AttentionCluster", "forward float32", "--rounds", 1, *ALONE)
    assert "AttentionCluster 32x100 forward float32" in script("runtimes.py", *words)


@pytest.mark.slow
def test_metrics(script: Callable[..., str]) -> None:
    said = script("metrics.py", "--videos", 250, "--rounds", 1)
    assert "250 videos x 3862 classes" in said
    assert "NeXtVLAD in bf16" in said


@pytest.mark.slow
def test_encoders(script: Callable[..., str], clip_data: World) -> None:
    said = script("encoders.py", clip_data.files[0].parent, "--rounds", 1, *ALONE)
    assert "stages" in said
    assert "efficientnet_lite0 bfloat16" in said


@pytest.mark.slow
def test_engines(script: Callable[..., str]) -> None:
    said = script("engines.py", "LINEAR", "--rounds", 1)
    assert "LINEAR 32x300" in said
    assert said.count("differs by") == 3


@pytest.mark.slow
def test_fleet(script: Callable[..., str]) -> None:
    said = script("fleet.py", "--videos", 40, "--only", "alone", "1 worker")
    rows = [line.split() for line in said.splitlines() if line.endswith(("yes", "NO"))]
    assert [row[-5:] for row in rows] == [["40", "40", "0", "0", "yes"]] * 2
