"""How measurements are planned, taken and summed up: pure functions, driven by any clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median
from typing import TypeVar

B = TypeVar("B")
Clock = Callable[[], float]

_FEWEST_BLOCKS = 8  # of a reading: workers must have something to share out
# What one turn costs in readings of all samples by one process: the passes of the stages (each
# does a part of the work of the next, and the last is the whole), plain reading.
_STAGED_READINGS = 3.0
_MOST_TURNS, _FEWEST_TURNS = 5, 3


@dataclass(frozen=True)
class Spread:
    """What several measurements of the same thing gave.

    Attributes:
        middle: their median.
        lowest, highest: of them.
    """

    middle: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sums measurements up; there must be one at least."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Attributes:
        samples: how many of the listed ones.
        batch_size: samples a batch.
        wanted_batch_size: what was asked for; the list or the time may not suffice for it.
        passes: how often all of them are read for one measurement.
        turns: measurements of each kind; the kinds take turns.
        reading: seconds that one process should need for one measurement.
    """

    samples: int
    batch_size: int
    wanted_batch_size: int
    passes: int
    turns: int
    reading: float


def make_plan(
    *,
    listed: int,
    most: int,
    batch_size: int,
    seconds: float,
    per_sample: float,
    worker_counts: Sequence[int],
) -> Plan:
    """Plans measurements that take about `seconds` in all.

    Fewer turns are taken where five would leave time for a part of the samples only; then fewer
    samples; and smaller batches where one would take an eighth of a reading or more.

    Args:
        listed: how many samples there are.
        most: how many to read at most.
        batch_size: the wanted one.
        seconds: for all.
        per_sample: seconds that one process needs for one sample.
        worker_counts: numbers of reader processes that will be tried.
    """
    wanted = min(listed, most)
    # Workers may be no faster than one process. Before a measurement each of them reads two
    # batches, all at the same time.
    readings = _STAGED_READINGS + len(worker_counts) * (1 + 2 / _FEWEST_BLOCKS)
    turns = _MOST_TURNS
    reading = seconds / (turns * readings)
    if reading < wanted * per_sample:
        turns = _FEWEST_TURNS
        reading = seconds / (turns * readings)
    samples = min(wanted, max(_FEWEST_BLOCKS, int(reading / per_sample)))
    longest = max(1, int(reading / _FEWEST_BLOCKS / per_sample))
    return Plan(
        samples=samples,
        batch_size=min(batch_size, longest, samples),
        wanted_batch_size=batch_size,
        passes=max(1, int(reading / (per_sample * samples))),
        turns=turns,
        reading=reading,
    )


def calibrate(
    read: Callable[[int], object], indices: Sequence[int], *, limit: float, clock: Clock
) -> float:
    """Returns the seconds that a sample takes, roughly.

    Args:
        read: reads one; the first of them is not counted, for it sets things up.
        indices: samples to try.
        limit: seconds after which no more are read.
        clock: tells seconds.
    """
    read(indices[0])
    done = 0
    start = now = clock()
    for index in indices[1:] or indices:
        read(index)
        done += 1
        now = clock()
        if now - start >= limit:
            break
    return max((now - start) / done, 1e-7)


def go_round(
    passes: Sequence[Callable[[B], object]],
    blocks: Sequence[B],
    *,
    before: Callable[[B], None],
    clock: Clock,
) -> list[list[float]]:
    """Takes each pass over all blocks once.

    The passes go on side by side, so that a slow moment of the machine hits all of them; but never
    on the same block, for what one has just read lies ready in the processor's cache for the next:

        blocks 0 1 2 3, two passes a b:    a0 b2  a1 b3  a2 b0  a3 b1

    Args:
        passes: each takes a block.
        blocks: what is measured.
        before: what is done with a block before each measurement, outside of the clock.
        clock: tells seconds.

    Returns:
        Seconds, by pass and block.
    """
    seconds = [[0.0] * len(blocks) for _ in passes]
    for step in range(len(blocks)):
        for number, run in enumerate(passes):
            place = (step + number * len(blocks) // len(passes)) % len(blocks)
            before(blocks[place])
            start = clock()
            run(blocks[place])
            seconds[number][place] = clock() - start
    return seconds


def stage_shares(rounds: Sequence[Sequence[Sequence[float]]]) -> list[float]:
    """Returns which share of the whole each stage takes; the shares sum to 1.

    Each pass does the stages up to its own, and the last is the whole. What a pass takes is the sum
    of its medians by block, which short disturbances do not reach; and a stage is what its pass
    takes beyond the one before. What noise makes negative counts as nothing.

    Args:
        rounds: seconds, by round, pass and block.
    """
    by_pass = zip(*rounds, strict=True)
    sums = [sum(median(block) for block in zip(*each, strict=True)) for each in by_pass]
    upto = list(accumulate((min(seconds / sums[-1], 1.0) for seconds in sums), max))
    return [share - before for before, share in zip([0.0, *upto], upto, strict=False)]


def worker_counts(most: int) -> list[int]:
    """Returns the numbers of workers to try: 1, 2, 4, ... and `most`."""
    counts = [2**i for i in range(most.bit_length()) if 2**i < most]
    return [*counts, most] if most else []
