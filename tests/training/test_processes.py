"""Two processes on this machine's CPU train as one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_training import (
    assert_close,
    experiment_of,
    run_forked,
    run_quietly,
    write_config,
    write_shards,
)

from videozoo.classifier import load_weights
from videozoo.data.sampler import StepSampler
from videozoo.evaluate import evaluate
from videozoo.inputs import open_samples
from videozoo.training.state import load_state

pytestmark = pytest.mark.slow

TRAIN = Path(__file__).parents[2] / "train.py"
BY_TWO = ["--use-gpu", "False", "--devices", "2", "--log-interval", "1"]


def second_share(length: int, *, seed: int = 0) -> list[tuple[int, ...]]:
    """Returns the micro-batches that the second of two processes reads in the first epoch."""
    sampler = StepSampler(
        length, batch_size=4, micro_batch_size=2, shuffle=True, seed=seed, rank=1, world=2
    )
    return [part.indices for part in sampler]


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    torn = second_share(9)[0][0]
    assert second_share(9)[-1] == ()  # the last batch, of one video, leaves the second without
    listing = write_shards(tmp_path / "features", 9, unreadable=[torn])
    valid = write_shards(tmp_path / "valid", 5, first=50)
    experiment = experiment_of("AttentionLSTM", listing, valid_list=valid, num_gpus=2)
    config = write_config(experiment, tmp_path / "config.txt")
    two = tmp_path / "two" / "AttentionLSTM_last.safetensors"
    done = subprocess.run(
        [sys.executable, str(TRAIN), "--model-name", "AttentionLSTM", "--config", str(config),
         "--save-dir", str(two.parent), *BY_TWO],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, _ = run_quietly(experiment, tmp_path / "one", log_interval=1)
    assert_close(load_file(two), load_file(one.last), atol=1e-6)
    positions = [load_state(path, "AttentionLSTM").position for path in (two, one.last)]
    assert positions[0] == positions[1]
    # The first process names what the second could not read; nothing is said twice.
    assert "1 training samples could not be read and were skipped" in done.stdout
    assert done.stdout.count("has no frames") == 1
    assert done.stdout.count("epoch 1/2  step 1/3") == 1
    assert "trained on 16 videos" in done.stdout


RECIPE: dict[str, Any] = {
    "num_gpus": 2,
    "mixup_alpha": 0.5,
    "frame_drop": 0.3,
    "sampler": "balanced",
    "ema_decay": 0.9,
    "schedule": "cosine",
}


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[list[int]], str]:
    """Runs trainings; the second ends at a label that the second process alone reads."""
    folder = tmp_path_factory.mktemp("two")
    valid = write_shards(folder / "valid", 6, first=50)
    statistics = experiment_of(
        "NEXTVLAD",
        write_shards(folder / "a", 8),
        valid_list=valid,
        num_gpus=2,
        epoch=1,
    )
    seed = next(s for s in range(20) if 3 in second_share(4, seed=s)[0])
    wrong = experiment_of(
        "AttentionLSTM", write_shards(folder / "b", 4), num_gpus=2, num_classes=3, seed=seed
    )
    recipe = experiment_of("AttentionLSTM", write_shards(folder / "c", 9), **RECIPE)
    trainings = []
    for name, experiment in (("statistics", statistics), ("wrong", wrong), ("recipe", recipe)):
        config = write_config(experiment, folder / f"{name}.txt")
        arguments = ["train", "--model-name", experiment.model, "--config", str(config)]
        arguments += [*BY_TWO, "--save-dir", str(folder / name)]
        trainings.append({"arguments": arguments, "processes": 2})
    return folder, *run_forked(trainings)


def test_all_processes_validate_with_the_statistics_that_are_saved(
    ends: tuple[Path, list[list[int]], str],
) -> None:
    folder, codes, _ = ends
    assert codes[0] == [0, 0]
    loaded = load_weights(folder / "statistics" / "NEXTVLAD_last.safetensors")
    settings = loaded.experiment["VALID"]
    found = evaluate(
        loaded.classifier,
        open_samples(settings, str(folder / "valid" / "videos.list")).dataset,
        settings=settings,
        device=torch.device("cpu"),
    )
    rows = (folder / "statistics" / "NEXTVLAD_curves.csv").read_text().splitlines()
    (loss,) = [float(row.split(",")[4]) for row in rows if ",valid,loss," in row]
    assert loss == pytest.approx(found.metrics["loss"], rel=1e-5)


def test_a_fault_that_one_process_finds_ends_all_with_one_sentence(
    ends: tuple[Path, list[list[int]], str],
) -> None:
    _, codes, errors = ends
    assert codes[1] == [2, 2]
    assert "Traceback" not in errors
    sentences = {line for line in errors.splitlines() if line.startswith("error")}
    assert len(sentences) == 1
    assert "label 3 is out of range 0..2" in sentences.pop()


def test_two_processes_train_as_one_with_a_recipe(
    ends: tuple[Path, list[list[int]], str], tmp_path: Path
) -> None:
    folder, codes, _ = ends
    assert codes[2] == [0, 0]
    experiment = experiment_of("AttentionLSTM", folder / "c" / "videos.list", **RECIPE)
    one, _ = run_quietly(experiment, tmp_path)
    two = folder / "recipe" / "AttentionLSTM_last.safetensors"
    assert_close(load_file(two), load_file(one.last), atol=1e-6)
    states = [load_state(path, "AttentionLSTM") for path in (two, one.last)]
    assert states[0].position == states[1].position
    assert states[0].average is not None
    assert states[1].average is not None
    assert_close(states[0].average, states[1].average, atol=1e-6)
