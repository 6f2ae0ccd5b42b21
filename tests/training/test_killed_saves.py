"""A training that is killed within a save, anywhere, leaves what one leaves that never was."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import experiment_of, run_forked, write_config, write_shards

from videozoo.files import is_temporary

MODEL = "AttentionCluster"
EPOCHS, KEPT = 4, 2


class Trainings:
    """Trainings of one config, each in a save folder of its own."""

    def __init__(self, folder: Path, *, processes: int = 1) -> None:
        listing = write_shards(folder / "features", 6)
        valid = write_shards(folder / "valid", 5, first=50)
        experiment = experiment_of(
            MODEL, listing, valid_list=valid, epoch=EPOCHS, keep_epochs=KEPT, num_gpus=processes
        )
        self.folder, self.processes = folder, processes
        self.config = write_config(experiment, folder / "config.txt")

    def of(self, name: str, **how: Any) -> dict[str, Any]:
        arguments = ["train", "--model-name", MODEL, "--config", str(self.config), "--log-interval"]
        arguments += ["1", "--save-dir", str(self.folder / name), "--resume", "auto"]
        return {"arguments": arguments, "processes": self.processes, **how}

    def left(self, name: str) -> dict[str, Any]:
        """Returns what lies in a save folder: bytes of weights and curves, values of states."""
        found: dict[str, Any] = {}
        for file in sorted((self.folder / name).iterdir()):
            if file.suffix == ".state":
                found[file.name] = torch.load(file, weights_only=True)
            elif file.is_file():
                found[file.name] = file.read_bytes()
        return found


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def check_kills(trainings: Trainings, kills: dict[str, dict[str, Any]]) -> None:
    """Kills trainings, resumes them, and compares them with one that was never killed."""
    runs = [trainings.of("whole")]
    runs += [trainings.of(name, **how) for name, how in kills.items()]
    runs += [trainings.of(name) for name in kills]
    ends, errors = run_forked(runs)
    assert "Traceback" not in errors
    assert set(ends[0]) == {0}
    whole = trainings.left("whole")
    assert {name for name in whole if "epoch" in name} == {
        f"{MODEL}_epoch{n}.{end}" for n in (3, 4) for end in ("safetensors", "state")
    }
    for name, codes in zip(kills, ends[1 + len(kills) :], strict=True):
        assert set(codes) == {0}, name
        left = trainings.left(name)
        assert left.keys() == whole.keys(), name
        for file in whole:
            assert_same(whole[file], left[file])
    killed = ends[1 : 1 + len(kills)]
    assert sum(-signal.SIGKILL in codes for codes in killed) >= 0.6 * len(killed)


def renames(count: int, **more: Any) -> dict[str, dict[str, Any]]:
    return {f"at {n}": {"place": "rename", "at": n, **more} for n in range(count)}


def test_a_kill_within_the_last_save_is_got_over(tmp_path: Path) -> None:
    kills = {f"at {n}": {"place": "rename", "at": n} for n in (4, 9)}
    check_kills(Trainings(tmp_path), kills)


@pytest.mark.slow
@pytest.mark.parametrize("copies", [False, True])
def test_a_kill_at_any_rename_or_link_is_got_over(copies: bool, tmp_path: Path) -> None:
    check_kills(Trainings(tmp_path), renames(36, copies=copies))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_kill_at_any_time_is_got_over(processes: int, tmp_path: Path) -> None:
    rng = random.Random(processes)
    kills = {f"at {n}": {"place": "second", "at": rng.uniform(0.1, 2.0)} for n in range(20)}
    check_kills(Trainings(tmp_path, processes=processes), kills)


@pytest.mark.slow
def test_a_kill_at_any_rename_is_got_over_by_two_processes(tmp_path: Path) -> None:
    check_kills(Trainings(tmp_path, processes=2), renames(20))


def test_what_killed_saves_leave_is_known_by_its_name(tmp_path: Path) -> None:
    name = f"{MODEL}_last.state"
    for left in (f".{name}.0123abcd.tmp", f".{name}.4711.tmp"):  # the second as 0.1.0 called it
        assert is_temporary(tmp_path / left, name)
    for other in (name, f".{name}.tmp", f"{name}.0123abcd.tmp", f".x{name}.0123abcd.tmp"):
        assert not is_temporary(tmp_path / other, name)
