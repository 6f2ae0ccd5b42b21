"""How fast reader processes give batches, once they are under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, cycle

from videozoo.bench.blocks import Block
from videozoo.bench.subjects import as_chunk
from videozoo.bench.timing import Clock
from videozoo.data.batches import Chunk
from videozoo.data.loader import SampleSource, checked, make_loader
from videozoo.data.samplers import StepSampler
from videozoo.errors import VideozooError


class EndlessBlocks(StepSampler):
    """Asks for the same blocks again and again.

    Args:
        blocks: in the order of reading.
        before: what is done with each just before it is asked for.
    """

    def __init__(self, blocks: Sequence[Block], before: Callable[[Block], None]) -> None:
        samples = sum(len(block.indices) for block in blocks)
        size = max(len(block.indices) for block in blocks)
        super().__init__(samples, batch_size=size, chunk_size=size, shuffle=False)
        self.blocks = blocks
        self.before = before

    def __iter__(self) -> Iterator[Chunk]:
        for step, block in zip(count(), cycle(self.blocks), strict=False):
            self.before(block)
            yield as_chunk(block, step)


def deliver(
    source: SampleSource,
    blocks: Sequence[Block],
    *,
    workers: int,
    rounds: int,
    limit: float,
    before: Callable[[Block], None],
    clock: Clock,
) -> float:
    """Measures the batches of reader processes.

    The clock starts when every process has given two batches: starting them is no part of reading.
    It stops after whole rounds, so that every number of processes has the same to read.

    Args:
        source: the samples.
        blocks: what to read.
        workers: processes, at least 1.
        rounds: over all blocks; more are read where a process would get fewer than two batches.
        limit: seconds after which no further round is begun.
        before: what is done with a block before it is read.
        clock: tells seconds.

    Returns:
        Samples a second.

    Raises:
        VideozooError: a process has died, or the config does not fit the data.
    """
    sampler = EndlessBlocks(blocks, before)
    loader = make_loader(source, sampler, training=False, num_workers=workers)
    batches = iter(loader)
    fewest = -(-2 * workers // len(blocks))
    samples = 0
    try:
        for _ in range(2 * workers):
            checked(next(batches))
        start = clock()
        for done in range(1, max(rounds, fewest) + 1):
            samples += sum(len(checked(next(batches))) for _ in blocks)
            if done >= fewest and clock() - start > limit:
                break
        return samples / (clock() - start)
    except RuntimeError as error:  # PyTorch's, with a traceback of the process in it
        reason = str(error).strip().splitlines()[-1]
        raise VideozooError(f"--workers {workers}: a reader process failed: {reason}") from error
    finally:
        del batches, loader  # ends the processes
