"""How fast stored videos become batches, and what bounds it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from videozoo.bench.blocks import Block, cut
from videozoo.bench.disk import can_drop, drop, kept_share, read_plainly
from videozoo.bench.figures import DataBench, Figures, Unread
from videozoo.bench.machine import this_machine
from videozoo.bench.subjects import Subject
from videozoo.bench.timing import Clock, Plan, calibrate, make_plan, worker_counts
from videozoo.errors import SampleError, VideozooError

_PATIENCE = 1.5  # times the wanted seconds: no further turn is begun after that


def bench_data(
    subject: Subject,
    *,
    workers: int | None,
    batch_size: int,
    most: int,
    seconds: float,
    cold: bool = False,
    clock: Clock = time.perf_counter,
    cpu_clock: Clock = time.process_time,
) -> DataBench:
    """Measures reading by this process, by worker processes and stage by stage, in turns.

    Args:
        subject: the samples.
        workers: the largest number of processes to try; None: the cores; 0: none.
        batch_size: samples a batch.
        most: samples to read at most.
        seconds: what all of it may take, roughly.
        cold: drop files from memory before each reading.
        clock: tells seconds.
        cpu_clock: tells seconds that this process had a core.

    Raises:
        VideozooError: no sample can be read, the config does not fit the data, or files cannot be
            dropped from memory.
    """
    if cold and not can_drop():
        raise VideozooError("--cold: this system cannot drop files from memory; leave it away")
    machine = this_machine()
    counts = worker_counts(machine.cores if workers is None else workers)
    begun = clock()
    with _one_thread():
        plan = _plan(subject, counts, batch_size, most, seconds, clock)
        sound, unread = _readable(subject, subject.choose(plan.samples, plan.batch_size))
        blocks = cut(sound, plan.batch_size, subject.spans)
        kept = _prepare_memory(blocks, cold=cold)
        figures = Figures(
            subject,
            blocks,
            plan=plan,
            counts=counts,
            before=_drop_block if cold else _do_nothing,
            clock=clock,
            cpu_clock=cpu_clock,
        )
        while figures.turns < plan.turns:
            figures.take_turn()
            if clock() - begun > _PATIENCE * seconds:
                break
    return figures.result(
        unread=unread, seconds=clock() - begun, cold=cold, kept=kept, machine=machine
    )


def _drop_block(block: Block) -> None:
    drop(block.spans)


def _do_nothing(block: Block) -> None:
    return


def _prepare_memory(blocks: Sequence[Block], *, cold: bool) -> float | None:
    """Drops all files from memory, or reads them into it; returns the share that then is in it."""
    prepare: Callable[[Block], object] = (
        _drop_block if cold else lambda block: read_plainly(block.spans)
    )
    for block in blocks:
        prepare(block)
    return kept_share([span for block in blocks for span in block.spans])


def _plan(
    subject: Subject,
    counts: Sequence[int],
    batch_size: int,
    most: int,
    seconds: float,
    clock: Clock,
) -> Plan:
    per_sample = calibrate(
        lambda index: _reason(subject, index),
        subject.choose(min(batch_size, most), batch_size),
        limit=seconds / 20,
        clock=clock,
    )
    return make_plan(
        listed=len(subject.source),
        most=most,
        batch_size=batch_size,
        seconds=seconds,
        per_sample=per_sample,
        worker_counts=counts,
    )


def _readable(subject: Subject, indices: Sequence[int]) -> tuple[list[int], list[Unread]]:
    """Splits samples into those that can be read, and names and reasons of the others."""
    reasons = {index: _reason(subject, index) for index in indices}
    unread = [(subject.source.name(i), reason) for i, reason in reasons.items() if reason]
    sound = [index for index, reason in reasons.items() if not reason]
    if not sound:
        name, reason = unread[0]
        first = reason if name in reason else f"{name}: {reason}"
        raise VideozooError(
            f"none of the {len(unread)} {subject.noun} that were tried can be read; the first:"
            f" {first}"
        )
    return sound, unread


def _reason(subject: Subject, index: int) -> str:
    """Returns why a sample cannot be read; nothing where it can."""
    try:
        subject.source.read(index, None)
    except SampleError as error:
        return str(error)
    return ""


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
