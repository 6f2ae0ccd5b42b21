"""--devices 2: the command starts its own workers, and speaks as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from small_training import experiment_of, run_quietly, write_clips, write_config, write_shards

from videozoo import launcher
from videozoo.data.sampler import StepSampler
from videozoo.errors import VideozooError

pytestmark = pytest.mark.slow


def videozoo(*words: object) -> subprocess.CompletedProcess[str]:
    """Runs a command of videozoo in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "videozoo", *map(str, words), "--use-gpu", "False"],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def read_by(rank: int, seed: int) -> set[int]:
    """Returns what a process reads in the first step of a training on four videos."""
    sampler = StepSampler(
        4, batch_size=4, micro_batch_size=2, shuffle=True, seed=seed, rank=rank, world=2
    )
    return set(next(iter(sampler)).indices)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_fault_that_one_process_finds_is_said_once(rank: int, tmp_path: Path) -> None:
    seed = next(s for s in range(50) if 3 in read_by(rank, s))
    listing = write_shards(tmp_path / "features", 4)  # the last one's label is 3
    experiment = experiment_of("AttentionLSTM", listing, num_gpus=2, num_classes=3, seed=seed)
    config = write_config(experiment, tmp_path / "config.txt")
    done = videozoo(
        "train", "--model-name", "AttentionLSTM", "--config", config, "--devices", 2,
        "--save-dir", tmp_path / "save",
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    said = done.stdout + done.stderr
    assert said.count("label 3 is out of range 0..2") == 1, said
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "extraInfo" not in line
    assert "Traceback" not in said
    assert list((tmp_path / "save").glob("*.safetensors")) == []


TIMES = {"seconds", "videos_per_second"}


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in TIMES}
    return [without_times(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("model", ["NEXTVLAD", "TSN"])
def test_two_processes_write_the_results_of_one(model: str, tmp_path: Path) -> None:
    write = write_clips if model == "TSN" else write_shards
    listing = write(tmp_path / "data", 7, unreadable=[2])
    experiment = experiment_of(model, listing, epoch=1, learning_rate=1e-4)
    trained, _ = run_quietly(experiment, tmp_path / "save", pretrain="none")
    for kind in ("test", "infer"):
        found = []
        for devices in (1, 2):
            folder = tmp_path / f"{kind} {devices}"
            done = videozoo(
                kind, "--weights", trained.last, "--filelist", listing, "--devices", devices,
                "--batch-size", 2, "--save-dir", folder,
            )  # fmt: skip
            assert done.returncode == 2, done.stderr  # one video cannot be read
            found.append(
                {
                    path.name: without_times(json.loads(path.read_text()))
                    for path in folder.glob("*.json")
                }
            )
        assert f"{model}_{kind}_result.json" in found[0]
        assert found[1] == found[0]


def test_what_a_process_has_told_counts_more_than_how_it_ended(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    fault = json.dumps({"message": {"message": "label 3 is out of range"}})
    code = f"import os; open({str(told)!r}, 'w').write({fault!r}); os.abort()"
    workers = launcher._Workers([sys.executable, "-c", code], [os.environ])
    with workers.forwarding():
        workers.wait()
    with pytest.raises(VideozooError, match="label 3 is out of range"):
        workers.raise_fault([told], 0)
    with pytest.raises(VideozooError, match="process 1 was ended by SIGABRT"):
        workers.raise_fault([tmp_path / "nothing.json"], 0)
