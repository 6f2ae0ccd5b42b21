"""Commands in two processes: the whole list, one result, the same figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command

from tiny import World
from videos import write_video

pytestmark = pytest.mark.slow


def in_processes(*words: object) -> str:
    """Runs `videozoo WORDS` under torchrun in two processes; returns what they said."""
    code = "from videozoo.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "--no-python", sys.executable, "-c", code, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_test_and_infer_in_two_processes(command: Command, clip_data: World) -> None:
    given = ("--weights", clip_data.weights, "--filelist", clip_data.listing, "--use-gpu", "False")
    for kind in ("test", "infer"):
        assert command(kind, *given, "--save-dir", "one").code == 0
        in_processes(kind, *given, "--save-dir", "two")
    one, two = (json.loads(Path(f"{n}/TSN_test_result.json").read_text()) for n in ("one", "two"))
    assert two["evaluated"] == one["evaluated"] == len(clip_data.files)
    assert two["confusion"] == one["confusion"]
    assert abs(two["loss"] - one["loss"]) < 1e-5
    for row, other in zip(two["classes"], one["classes"], strict=True):
        assert row == pytest.approx(other)
    one, two = (
        Path(f"{n}/TSN_test_predictions.csv").read_text().splitlines() for n in ("one", "two")
    )
    assert [line.split(",")[:3] for line in two] == [line.split(",")[:3] for line in one]
    one, two = (json.loads(Path(f"{n}/TSN_infer_result.json").read_text()) for n in ("one", "two"))
    assert [r["video"] for r in two] == [r["video"] for r in one]


def test_train_on_a_folder_in_two_processes_ends_with_its_test(tmp_path: Path) -> None:
    for name, size in (("tall", (48, 64)), ("wide", (64, 48))):
        (tmp_path / "videos" / name).mkdir(parents=True)
        for i in range(5):
            write_video(tmp_path / "videos" / name / f"{i}.mp4", 6 + i, size=size)
    said = in_processes(
        "train", "videos", "--model-name", "TSN", "--epoch-num", 1, "--devices", 2,
        "--use-gpu", "False", "--pretrain", "none",
    )  # fmt: skip
    assert said.count("TSN: 2 of 2 videos evaluated") == 1
    assert "videozoo infer --weights checkpoints/TSN_" in said
