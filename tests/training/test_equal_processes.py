"""In float64, two processes train as one does, to rounding, however they share a step."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import experiment_of, run_forked, write_clips, write_shards

from videozoo.config.ini import format_config
from videozoo.training.state import load_state

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Case:
    """A model, and keys of [TRAIN]: how a step is shared."""

    model: str
    keys: dict[str, Any] = field(default_factory=dict)


OWN = {"num_gpus": 2}  # each process has one group of two videos
FOUR = {"batch_size": 8, "micro_batch": 2}  # two groups a process
SHARED = {"num_gpus": 1}  # one group of four videos, spread over both
CASES = {
    **{
        f"{model} own groups": Case(model, OWN)
        for model in ("AttentionCluster", "AttentionLSTM", "LINEAR", "NEXTVLAD", "TSN", "STNET")
    },
    "AttentionLSTM two micro-batches": Case("AttentionLSTM", {**FOUR, "drop_rate": 0.5}),
    "NEXTVLAD two micro-batches": Case("NEXTVLAD", FOUR),
    # (Norms of two values or a larger rate would blow rounding errors up.)
    "TSN two micro-batches": Case(
        "TSN", {"batch_size": 6, "micro_batch": 2, "seg_num": 4, "learning_rate": 1e-4}
    ),
    "NEXTVLAD a group shared": Case("NEXTVLAD", SHARED),
    "TSN a group shared": Case("TSN", SHARED),
}


def train(case: Case, folder: Path) -> None:
    """Trains in one process and in two, in forks; the folders have their numbers as names."""
    # The last batch is smaller, and one sample cannot be read.
    if case.model in ("TSN", "STNET"):
        listing = write_clips(folder / "clips", 7, unreadable=[2])
        valid = write_clips(folder / "valid", 3)
    else:
        listing = write_shards(folder / "features", 9, unreadable=[3])
        valid = write_shards(folder / "valid", 5, first=50)
    values = experiment_of(case.model, listing, valid_list=valid, **case.keys).as_dict()
    for keys in values.values():
        keys["precision"] = "64"
    config = folder / "config.txt"
    config.write_text(format_config(values, header=[]))
    trainings = []
    for processes in (1, 2):
        arguments = ["train", "--model-name", case.model, "--config", str(config)]
        arguments += ["--use-gpu", "False", "--devices", str(processes), "--log-interval", "1"]
        arguments += ["--pretrain", "none", "--save-dir", str(folder / str(processes))]
        trainings.append({"arguments": arguments, "processes": processes})
    ends, errors = run_forked(trainings)
    assert ends == [[0], [0, 0]], errors


def curves(path: Path) -> tuple[list[tuple[str, ...]], list[float]]:
    """Returns what each row is of, and the rows' values."""
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [tuple(row[:4]) for row in rows], [float(row[4]) for row in rows]


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_as_one(name: str, tmp_path: Path) -> None:
    model = CASES[name].model
    train(CASES[name], tmp_path)
    one, two = (tmp_path / processes / model for processes in "12")
    last = [path.with_name(f"{model}_last.safetensors") for path in (one, two)]
    states = [load_state(path, model) for path in last]
    losses = [state.position.best_loss for state in states]
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)  # as the curves below
    assert replace(states[0].position, best_loss=losses[1]) == states[1].position
    assert len(states[0].position.unreadable) == 1
    wanted, found = (state.model for state in states)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert value.dtype in (torch.float64, torch.int64)
        # A bias in front of a softmax or a norm has no gradient but rounding errors, which Adam
        # blows up; it stays near nought.
        atol = max(1e-9 * float(value.abs().max()), 1e-11)
        torch.testing.assert_close(found[key], value, rtol=0, atol=atol, msg=key)
    of_one, of_two = (curves(path.with_name(f"{model}_curves.csv")) for path in (one, two))
    assert of_one[0] == of_two[0]
    assert {row[2] for row in of_one[0]} == {"train", "valid"}
    assert of_two[1] == pytest.approx(of_one[1], rel=1e-9)
