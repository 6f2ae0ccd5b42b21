"""Two hosts train as one; where one of them is cut off, both say so, and both go on later.

Each host is a network namespace, and a pair of virtual interfaces is the cable between them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_training import experiment_of, run_quietly, write_config, write_shards

from two_hosts import ADDRESSES, HOSTS, cable, ip  # noqa: F401 (cable is one of all tests)
from videozoo.config import Experiment

pytestmark = pytest.mark.slow

MODEL = "AttentionCluster"
PATIENCE = 20  # seconds
SENTENCE = "error: another process of this run has ended or cannot be reached"


@contextmanager
def training(
    config: Path, save: Path, launcher: str
) -> Iterator[list[tuple[subprocess.Popen[bytes], Path]]]:
    """Starts the command on both hosts; gives its processes and what they write to."""
    started = []
    words = ["train", "--model-name", MODEL, "--config", str(config), "--save-dir", str(save)]
    words += ["--use-gpu", "False", "--log-interval", "1", "--resume", "auto"]
    for number, (host, address) in enumerate(zip(HOSTS, ADDRESSES, strict=True)):
        begin, more = ["-m", "videozoo"], ["--num-nodes", "2", "--devices", "1"]
        if launcher == "torchrun":
            # Both have one name, by which torchrun else finds out which of them is the first.
            begin = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1",
                     "--rdzv-backend", "c10d", "--rdzv-endpoint", f"{ADDRESSES[0]}:29500",
                     "--rdzv-conf", f"is_host={number == 0}", "--local-addr", address,
                     *begin]  # fmt: skip
            more = []
        place = {"MASTER_ADDR": ADDRESSES[0], "MASTER_PORT": "29500", "NODE_RANK": str(number)}
        out = save.with_name(f"{save.name}-{len(list(save.parent.glob('*.out')))}.out")
        with out.open("wb") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", host, sys.executable, *begin, *words, *more],
                stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, **place, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1",
                     "GLOO_SOCKET_IFNAME": "eth0", "VIDEOZOO_PEER_TIMEOUT": str(PATIENCE)},
            )  # fmt: skip
        started.append((process, out))
    try:
        yield started
    finally:
        for process, _ in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, Path]:
    """Trains on two hosts without a break; returns the config and the folder."""
    folder = tmp_path_factory.mktemp("hosts")
    listing = write_shards(folder / "features", 40)
    valid = write_shards(folder / "valid", 6, first=50)
    experiment = experiment_of(
        MODEL, listing, valid_list=valid, num_gpus=2, epoch=12, precision="64"
    )
    config = write_config(experiment, folder / "config.txt")
    with training(config, folder / "save", "torchrun") as started:
        for process, out in started:
            assert process.wait(240) == 0, out.read_text()
    return experiment, folder


def test_two_hosts_train_as_one(whole: tuple[Experiment, Path], tmp_path: Path) -> None:
    experiment, folder = whole
    one, _ = run_quietly(experiment, tmp_path, log_interval=1)
    wanted, found = load_file(one.last), load_file(folder / "save" / one.last.name)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        assert value.dtype in (torch.float64, torch.int64)
        atol = max(1e-9 * float(value.abs().max()), 1e-11)  # as in test_equal_processes.py
        torch.testing.assert_close(found[key], value, rtol=0, atol=atol, msg=key)


@pytest.mark.parametrize("launcher", ["devices", "torchrun"])
def test_a_host_that_is_cut_off_ends_the_others_and_all_go_on(
    launcher: str, whole: tuple[Experiment, Path], tmp_path: Path
) -> None:
    _, folder = whole
    config, save = folder / "config.txt", tmp_path / "save"
    with training(config, save, launcher) as started:
        (first, out), _ = started
        limit = time.monotonic() + 120
        while "epoch 3/" not in out.read_text():
            assert first.poll() is None, out.read_text()
            assert time.monotonic() < limit, out.read_text()
            time.sleep(0.02)
        ip("-n", HOSTS[1], "link", "set", "eth0", "down")
        try:
            cut, ends = time.monotonic(), []
            for process, out in started:
                code = process.wait(120)
                ends.append(time.monotonic() - cut)
                said = out.read_text()
                assert said.count(SENTENCE) == 1, said
                assert code == (1 if launcher == "torchrun" else 2)
                assert "fault of videozoo" not in said
                assert launcher == "torchrun" or "Traceback" not in said
        finally:
            ip("-n", HOSTS[1], "link", "set", "eth0", "up")
    assert "epoch 12/" not in started[0][1].read_text()
    # by the time-out, not by TCP; of torchrun, that of the host which the others meet at
    assert max(ends[: 1 if launcher == "torchrun" else 2]) < PATIENCE + 25
    with training(config, save, launcher) as started:
        for process, out in started:
            assert process.wait(240) == 0, out.read_text()
    assert "resum" in started[0][1].read_text()
    for name in (f"{MODEL}_last.safetensors", f"{MODEL}_curves.csv"):
        assert (save / name).read_bytes() == (folder / "save" / name).read_bytes()
