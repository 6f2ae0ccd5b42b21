"""This process: how it uses its machine, and its place among those that work together."""

from __future__ import annotations

import ctypes
import os
import sys

# Parameters of glibc's mallopt; see its manual.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def settle_process() -> None:
    """Makes this process wait and keep memory as suits a CPU's training; before torch is imported.

    Threads that wait for work must not spin on cores that readers need; OpenMP reads that once. And
    glibc gives large blocks back to the system as soon as they are free, to be filled with zeros
    and handed out again at the next step, which takes up to half of a step's time: they are kept.
    OMP_WAIT_POLICY and MALLOC_MMAP_MAX_ in the environment go before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if sys.platform == "linux" and "MALLOC_MMAP_MAX_" not in os.environ:
        # Other C libraries have other allocators, and no mallopt or one that says no.
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            mallopt(_M_MMAP_MAX, 0)
            mallopt(_M_TRIM_THRESHOLD, -1)


def usable_cores() -> int:
    """Returns how many cores this process may use: a cluster or container may leave it a few."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def is_first_process() -> bool:
    """Tells whether this is the process that speaks and writes, among all of all machines.

    torchrun and most clusters set RANK; Lightning's own launcher NODE_RANK and LOCAL_RANK.
    """
    if "RANK" in os.environ:
        return int(os.environ["RANK"]) == 0
    node = os.environ.get("NODE_RANK", os.environ.get("GROUP_RANK", "0"))
    return int(node) == 0 and int(os.environ.get("LOCAL_RANK", "0")) == 0


def process_place() -> tuple[int, int]:
    """Returns this process's rank and the number of processes that have joined."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def leave_processes() -> None:
    """Parts from the other processes: what follows is for each alone."""
    import torch.distributed as dist

    if process_place()[1] > 1:
        dist.barrier()
        dist.destroy_process_group()
    os.environ["WORLD_SIZE"] = "1"
