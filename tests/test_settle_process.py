"""What a process does with its machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

AGAIN = """
import resource
from videozoo.distributed import settle_process
settle_process()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(64 << 20)
before = faults()
bytearray(64 << 20)
print((faults() - before) * resource.getpagesize() >> 20)
"""


def megabytes_asked_for_again(**variables: str) -> int:
    """How much of 64 MB that were free is taken from the system once more."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", AGAIN],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_freed_memory_is_used_again() -> None:
    assert megabytes_asked_for_again() < 8
    assert megabytes_asked_for_again(MALLOC_MMAP_MAX_="65536") > 32
