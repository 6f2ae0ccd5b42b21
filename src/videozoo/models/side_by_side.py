"""Independent parts of a computation at once on a CPU, each on its share of the cores.

The threads of one layer wait for each other at every layer; parts that need nothing of each other
do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    run: Callable[[Item], Result], items: Sequence[Item], *, workers: int
) -> list[Result]:
    """Computes every item's result without gradients, so many at once.

    Args:
        run: computes one; autocast and inference mode are as they are for the caller.
        items: what there is to do.
        workers: how many at once, each with an equal share of PyTorch's threads; 1: one after the
            other with all of them.

    Returns:
        The results in the items' order.
    """
    if workers == 1:
        with torch.no_grad():
            return [run(item) for item in items]
    threads = torch.get_num_threads()
    inference = torch.is_inference_mode_enabled()
    short, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def on_its_share(item: Item) -> Result:
        torch.set_num_threads(max(1, threads // workers))
        with (
            torch.inference_mode(inference),  # turns gradients on where it is off
            torch.no_grad(),
            torch.autocast("cpu", dtype=dtype, enabled=short),
        ):
            return run(item)

    try:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(on_its_share, items))
    finally:
        # A thread that starts takes over the number that was set last, in whichever thread.
        torch.set_num_threads(threads)
