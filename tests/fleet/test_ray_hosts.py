"""A Ray cluster of two hosts, one of which is cut off while the list is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import deadly
import pytest
from commands import Command
from test_ray_fleet import PATCHED, long_list, same, until

from tiny import World
from two_hosts import ADDRESSES, HOSTS, cable, ip  # noqa: F401 (cable is one of all tests)

pytestmark = pytest.mark.slow

HEAD = f"{ADDRESSES[0]}:6379"
NODE = ("--num-cpus=2", "--object-store-memory=100000000")


@pytest.fixture
def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONUNBUFFERED": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "0" * 64,  # of this cluster, which nobody else reaches
        "RAY_USAGE_STATS_ENABLED": "0",
    }


@pytest.fixture
def hosts(environment: dict[str, str], tmp_path: Path) -> Iterator[None]:
    """Starts a cluster of both hosts."""
    pytest.importorskip("ray")
    started: list[subprocess.Popen[bytes]] = []
    program = str(Path(sys.executable).with_name("ray"))
    joins = (("--head", "--port=6379", "--include-dashboard=false"), (f"--address={HEAD}",))
    try:
        for host, address, how in zip(HOSTS, ADDRESSES, joins, strict=True):
            words = [program, "start", "--block", f"--node-ip-address={address}", *how, *NODE]
            out = tmp_path / f"{address}.out"
            with out.open("wb") as file:
                process = subprocess.Popen(
                    ["ip", "netns", "exec", host, *words],
                    env=environment, stdout=file, stderr=file, start_new_session=True,
                )  # fmt: skip
            started.append(process)
            until(lambda out=out: "Ray runtime started" in out.read_text(), out)
        yield
    finally:
        for process in started:
            os.killpg(process.pid, signal.SIGTERM)
        for process in started:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def test_a_host_that_is_cut_off_costs_no_result(
    command: Command, clip_data: World, hosts: None, environment: dict[str, str]
) -> None:
    words = ["infer", "--weights", clip_data.weights, "--filelist", long_list(clip_data)]
    command(*words, "--save-dir", "whole")
    more = ["--save-dir", "found", "--cluster", "ray", "--address", HEAD]
    driver = ["ip", "netns", "exec", HOSTS[0], sys.executable, "-c", PATCHED]
    with Path("said").open("w") as said:
        running = subprocess.Popen(
            [*driver, *map(str, words), *more], env=environment, stdout=said, stderr=said
        )
    until(lambda: deadly.NOTES.exists() and len({node for *_, node in deadly.notes()}) == 2)
    ip("-n", HOSTS[0], "link", "set", "eth0", "down")
    Path("go").touch()
    assert running.wait(240) == 2, Path("said").read_text()  # a video is missing
    assert "worker died" in Path("said").read_text()
    same(Path("found"), Path("whole"))
