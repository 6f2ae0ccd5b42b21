from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tiny import World

QUICK = ("--rounds", 2, "--seconds", 0.01, "--batch-size", 2)
READERS = ["plain read", "this process", "workers: 1", "workers: 2"]


def readers_of(path: Path) -> dict[str, dict[str, float]]:
    found = {row["reader"]: row for row in json.loads(path.read_text())["readers"]}
    for row in found.values():
        assert len(row["seconds"]) == 2
        assert 0 < row["lowest"] <= row["videos/s"] <= row["highest"]
        assert row["MB/s"] > 0
    return found


@pytest.mark.slow
def test_shards(script: Callable[..., str], feature_data: World, tmp_path: Path) -> None:
    out = tmp_path / "data.json"
    config = ("--model-name", "AttentionCluster", "--config", feature_data.config)
    words = ("--workers", 2, "--profile", "--json", out)
    said = script("data.py", "--youtube8m", feature_data.listing, *config, *words, *QUICK)
    assert "5 videos of 2 files" in said
    assert "fastest here:" in said
    assert "cumtime" in said  # the profile
    assert list(readers_of(out)) == READERS
    written = json.loads(out.read_text())
    assert written["bytes"] == sum(file.stat().st_size for file in feature_data.files)
    assert written["videos"] == 5


@pytest.mark.slow
def test_clips_of_which_one_cannot_be_read(
    script: Callable[..., str], clip_data: World, tmp_path: Path
) -> None:
    out, listing = tmp_path / "data.json", tmp_path / "clips.list"
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    listing.write_text(clip_data.listing.read_text() + f"{broken} 0\n")
    words = ("--config", clip_data.config, "--workers", 0, "--cold", "--json", out)
    said = script("data.py", "--clips", listing, *words, *QUICK)
    assert "5 videos of 6 files" in said
    assert f"unreadable: {broken}" in said
    assert list(readers_of(out)) == READERS[:2]


@pytest.mark.slow
def test_nothing_to_read_is_one_sentence(script: Callable[..., str], tmp_path: Path) -> None:
    assert "no such list" in script("data.py", "--youtube8m", tmp_path / "none", code=2)
