"""Signals that ask a training to stop: it saves, says what goes on, and can be gone on with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_training import experiment_of, run_forked, run_quietly, write_config, write_shards

from videozoo.training.state import load_state

MODEL = "AttentionCluster"
CODES = {"SIGTERM": 75, "SIGHUP": 75, "SIGUSR1": 75, "SIGINT": 130}


def test_each_signal_saves_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 9)
    experiment = experiment_of(MODEL, listing, valid_list=listing)
    config = write_config(experiment, tmp_path / "config.txt")
    given = ["train", "--model-name", MODEL, "--config", str(config), "--log-interval", "1"]
    runs = [
        {
            "arguments": [*given, "--save-dir", str(tmp_path / name)],
            "signal": int(getattr(signal, name)),
            "at": 2,
        }
        for name in CODES
    ]
    runs += [
        {"arguments": [*given, "--save-dir", str(tmp_path / name), "--resume", "auto"]}
        for name in CODES
    ]
    ends, errors = run_forked(runs)
    assert "Traceback" not in errors
    assert [code for (code,) in ends] == [*CODES.values(), 0, 0, 0, 0]
    whole, _ = run_quietly(experiment, tmp_path / "whole", log_interval=1)
    for name in CODES:
        for file in sorted((tmp_path / "whole").glob(f"{MODEL}_*.safetensors")):
            assert (tmp_path / name / file.name).read_bytes() == file.read_bytes()
        curves = f"{MODEL}_curves.csv"
        assert (tmp_path / name / curves).read_text() == (whole.last.parent / curves).read_text()


def test_the_position_is_behind_the_step_and_the_command_is_said(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 9)
    config = write_config(experiment_of(MODEL, listing), tmp_path / "config.txt")
    done, said = start(config, tmp_path / "save", ends_after="step 1/3", send=["SIGTERM"])
    assert done == 75, said
    line = said.splitlines()[-1].strip()
    assert line.startswith("videozoo train --model-name AttentionCluster --config ")
    assert line.endswith("--resume auto")
    assert line.count("--resume") == 1
    assert f"stopped by SIGTERM; saved as {tmp_path}/save/{MODEL}_last.safetensors" in said
    assert load_state(tmp_path / "save" / f"{MODEL}_last.safetensors", MODEL).position.steps_done


@pytest.mark.slow
@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_to_the_whole_group_is_one_stop(name: str, processes: int, tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 40)
    experiment = experiment_of(MODEL, listing, num_gpus=processes, epoch=50, num_workers=2)
    config = write_config(experiment, tmp_path / "config.txt")
    more = ["--devices", str(processes)]
    code, said = start(
        config, tmp_path / "save", *more, ends_after="epoch 2/", send=[name], group=True
    )
    assert code == CODES[name], said
    assert "Traceback" not in said
    assert said.count("--resume auto") == 1


@pytest.mark.slow
def test_a_second_interrupt_stops_at_once(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 40)
    config = write_config(experiment_of(MODEL, listing, epoch=50), tmp_path / "config.txt")
    code, said = start(config, tmp_path / "save", ends_after="epoch 2/", send=["SIGINT", "SIGINT"])
    # Where the second one comes when all is saved, the process ends by it: a shell says 130 too.
    assert code in (130, -signal.SIGINT), said
    assert "Traceback" not in said


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("launcher", ["devices", "torchrun"])
def test_where_a_process_dies_the_others_end(rank: int, launcher: str, tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 40)
    experiment = experiment_of(MODEL, listing, num_gpus=2, epoch=100)
    config = write_config(experiment, tmp_path / "config.txt")
    begin = ["-m", "videozoo"]
    more = ["--devices", "2"]
    if launcher == "torchrun":
        begin = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *begin]
        more = []
    code, said = start(
        config, tmp_path / "save", *more, begin=begin, ends_after="epoch 2/", kill=rank
    )
    assert code != 0, said
    if launcher == "devices":
        assert code == 2
        assert f"error: process {rank + 1} was ended by SIGKILL" in said
        assert "Traceback" not in said
        assert said.count("error: ") == 1
    else:
        assert said.count("another process of this run has ended") <= 1


def start(
    config: Path,
    save: Path,
    *more: str,
    ends_after: str,
    begin: list[str] | None = None,
    send: list[str] | None = None,
    group: bool = False,
    kill: int | None = None,
) -> tuple[int, str]:
    """Trains in a process group of its own until it has said something, then signals it."""
    out = save.with_suffix(".out")
    with out.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, *(begin or ["-m", "videozoo"]), "train", "--model-name", MODEL,
             "--config", str(config), "--save-dir", str(save), "--log-interval", "1",
             "--use-gpu", "False", *more],
            stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
    try:
        limit = time.monotonic() + 240
        while ends_after not in out.read_text():
            assert process.poll() is None, out.read_text()
            assert time.monotonic() < limit, out.read_text()
            time.sleep(0.02)
        for name in send or []:
            (os.killpg if group else os.kill)(process.pid, getattr(signal, name))
            time.sleep(0.02)
        if kill is not None:
            os.kill(workers_of(process.pid)[kill], signal.SIGKILL)
        return process.wait(120), out.read_text()
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def workers_of(pid: int) -> list[int]:
    """Returns the processes that a process has started, in order."""
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return sorted(int(word) for word in done.stdout.split())
