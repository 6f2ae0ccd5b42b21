"""Two hosts on one machine: each is a network namespace, a pair of interfaces is the cable."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress

import pytest

HOSTS = [f"videozoo-{os.getpid()}-{letter}" for letter in "ab"]
ADDRESSES = ["10.77.0.1", "10.77.0.2"]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module", autouse=True)
def cable() -> Iterator[None]:
    """Makes the hosts and joins them."""
    try:
        for host in HOSTS:
            ip("netns", "add", host)
        ip("link", "add", "eth0", "netns", HOSTS[0], "type", "veth",
           "peer", "name", "eth0", "netns", HOSTS[1])  # fmt: skip
        for host, address in zip(HOSTS, ADDRESSES, strict=True):
            ip("-n", host, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", host, "link", "set", "lo", "up")
            ip("-n", host, "link", "set", "eth0", "up")
            # TCP gives a peer up after 51 s in place of 15 minutes, which torchrun waits for.
            ip("netns", "exec", host, "sysctl", "-w", "net.ipv4.tcp_retries2=7")
        yield
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces can be made here: {error}")
    finally:
        with suppress(OSError):  # there is no such program
            for host in HOSTS:
                subprocess.run(["ip", "netns", "delete", host], capture_output=True)
