"""A process's place, as its launcher says it."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch

from videozoo import distributed
from videozoo.errors import VideozooError
from videozoo.launcher import launch

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that what a test sets is taken away again
        monkeypatch.delenv(name)


def slurm(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"SLURM_{name}", value)


def test_one_process_is_the_first_and_no_worker() -> None:
    assert distributed.is_first_process()
    assert not distributed.is_worker()
    assert not distributed.has_launcher()


def test_srun_gives_each_process_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    slurm(
        monkeypatch, NTASKS="4", STEP_NUM_TASKS="4", PROCID="3", LOCALID="1",
        STEP_NODELIST="gpu[07-08]", JOB_ID="12",
    )  # fmt: skip
    assert distributed.is_worker()
    assert not distributed.is_first_process()
    assert distributed.local_rank() == 1
    assert [distributed.os.environ[name] for name in NAMES[:5]] == ["3", "4", "1", "gpu07", "20012"]


def test_a_batch_script_without_srun_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    slurm(monkeypatch, NTASKS="4", PROCID="0")
    assert not distributed.is_worker()


def test_a_launcher_of_one_process_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert distributed.has_launcher()
    assert not distributed.is_worker()


@pytest.mark.parametrize(
    ("names", "first"),
    [("node3", "node3"), ("node[03-07,9],other", "node03"), ("a[5,7]", "a5"), ("x,y", "x")],
)
def test_the_first_host_of_a_list(names: str, first: str) -> None:
    assert distributed.first_host(names) == first


def test_a_worker_hands_its_fault_to_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not distributed.tell_launcher("a label is out of range")  # torchrun prints nothing of it
    monkeypatch.setenv("VIDEOZOO_LAUNCHED", "1")
    assert distributed.tell_launcher("a label is out of range")
    assert json.loads(file.read_text())["message"]["message"] == "a label is out of range"


def test_more_gpus_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    wanted = distributed.processes_for
    assert wanted(use_gpu=True, num_gpus=8, devices=None) == 4
    assert wanted(use_gpu=True, num_gpus=2, devices=None) == 2
    assert wanted(use_gpu=True, num_gpus=2, devices=3) == 3
    assert wanted(use_gpu=False, num_gpus=8, devices=None) == 1
    with pytest.raises(distributed.VideozooError, match="--devices 5: this machine has 4 GPUs"):
        wanted(use_gpu=True, num_gpus=8, devices=5)


def test_several_machines_need_to_know_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_RANK", "1")
    with pytest.raises(distributed.VideozooError, match="set MASTER_ADDR, MASTER_PORT"):
        launch(["train"], processes=1, nodes=2)


def test_processes_that_do_not_meet_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = str(one.getsockname()[1])
    place = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in {**place, "VIDEOZOO_PEER_TIMEOUT": "1"}.items():
        monkeypatch.setenv(name, value)
    with (
        pytest.raises(VideozooError, match=f"do not meet at 127.0.0.1:{port} .*every machine"),
        distributed.joined(torch.device("cpu")),
    ):
        pass


@pytest.mark.parametrize("given", ["soon", "nan", "inf", "0", "-5", ""])
def test_a_time_to_wait_that_is_none_is_refused(
    given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("VIDEOZOO_PEER_TIMEOUT", given)
    with (
        pytest.raises(VideozooError, match=r"VIDEOZOO_PEER_TIMEOUT is .*: must be a number of sec"),
        distributed.joined(torch.device("cpu")),
    ):
        pass
