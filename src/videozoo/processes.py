"""This process among those that train or test together."""

from __future__ import annotations

import os


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
