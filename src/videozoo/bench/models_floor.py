"""The least time that a pass through a model can take on a device: its floor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from videozoo.bench.timing import Clock

_MATRIX = {"cpu": 2048, "cuda": 8192}  # rows and columns: far more than any cache holds
_COPIED = {"cpu": 2**28, "cuda": 2**30}  # bytes
_FEWEST = 3
_WIDTHS = {"32": 4, "bf16": 2}  # bytes of a number
_MASTER = 4  # bytes of a weight as it is kept, in either precision


@dataclass(frozen=True)
class Rates:
    """What a device can do at most.

    Attributes:
        operations: a second in a large matrix product; a multiplication and an addition are two.
        copied: bytes a second in a large copy; a byte read and written counts twice.
    """

    operations: float
    copied: float

    def best(self, other: Rates) -> Rates:
        """Returns the higher of each: other programs can only lower a rate."""
        return Rates(max(self.operations, other.operations), max(self.copied, other.copied))


@dataclass(frozen=True)
class Floor:
    """The least time of a pass.

    Attributes:
        seconds: of a batch.
        bound: what takes them: "operations" or "bytes".
    """

    seconds: float
    bound: str


def floor_of(*, operations: int, moved: int, rates: Rates) -> Floor:
    """Returns the longer of what the operations and what moving the bytes takes.

    Args:
        operations: of a batch.
        moved: bytes of a batch, see least_bytes.
        rates: of the device, in the precision.
    """
    by_operations, by_bytes = operations / rates.operations, moved / rates.copied
    if by_operations >= by_bytes:
        return Floor(by_operations, "operations")
    return Floor(by_bytes, "bytes")


def least_bytes(
    *, parameters: int, batch: int, precision: str, training: bool, optimizer: int = 0
) -> int:
    """Returns the bytes that any way of computing a pass must move.

    Inference reads the batch and every weight once. A training step reads the weights forward and
    backward, writes and reads their gradients, reads and writes the weights and what the optimizer
    keeps. What lies between layers does not count: a cache may hold it.

    Args:
        parameters: numbers that the model has learnt.
        batch: bytes of the stored batch.
        precision: "32" or "bf16": how wide the weights are read; they are kept in 32 bits.
        training: a training step, not inference.
        optimizer: bytes that the optimizer keeps.
    """
    read = parameters * _WIDTHS[precision]
    if not training:
        return batch + read
    step = 4 * parameters * _MASTER  # gradients and weights, each written and read
    return batch + 2 * read + step + 2 * optimizer


def measure_rates(
    device: torch.device,
    precision: str,
    *,
    seconds: float,
    clock: Clock = time.perf_counter,
    matrix: int | None = None,
    copied: int | None = None,
) -> Rates:
    """Measures both rates; the fastest of several turns counts.

    Args:
        device: to measure.
        precision: "32" or "bf16".
        seconds: for both, roughly; each is measured three times at least.
        clock: tells seconds.
        matrix: rows and columns of the product; None: many.
        copied: bytes of the copy; None: many.
    """
    size, length = matrix or _MATRIX[device.type], copied or _COPIED[device.type]
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.rand(2, size, size, device=device).to(kind)  # [size, size] both
    product = torch.empty_like(left)
    best = _fastest(lambda: torch.mm(left, right, out=product), device, seconds / 2, clock)
    source = torch.ones(length, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    moved = _fastest(lambda: target.copy_(source), device, seconds / 2, clock)
    if device.type == "cuda":
        del left, right, product, source, target
        torch.cuda.empty_cache()  # other processes need it
    return Rates(operations=2 * size**3 / best, copied=2 * length / moved)


def _fastest(
    run: Callable[[], object], device: torch.device, seconds: float, clock: Clock
) -> float:
    """Returns the seconds of the fastest turn; the first is not counted, for it sets things up."""
    taken: list[float] = []
    run()
    synchronise(device)
    begun = clock()
    while len(taken) < _FEWEST or clock() - begun < seconds:
        start = clock()
        run()
        synchronise(device)
        taken.append(clock() - start)
    return min(taken)


def synchronise(device: torch.device) -> None:
    """Waits until a GPU has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
