"""Who reads which sample when: steps, the chunks they are made of, and the processes' shares.

    list of 10, batch_size 4, chunk_size 2, two processes (r0, r1), shuffled:

    step 0  [7 2 | 9 0]    r0 reads 7 2, r1 reads 9 0, both step
    step 1  [4 1 | 8 3]    r0 reads 4 1, r1 reads 8 3, both step
    step 2  [6 5]          the last batch is kept; r0 reads 6 5, r1 has no share, both step

The chunks of a step are the same for any number of processes (they are the groups that batch norms
see) and as even as can be: a last batch of 6 and chunks of 4 make 3 + 3. A process without a chunk
in the last round gets an empty one and steps with weight zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler

from videozoo.data.batches import Chunk, Int64Array

GROUPS_AT_ONCE = 2


def epoch_order(
    length: int,
    *,
    seed: int,
    epoch: int,
    groups: Sequence[tuple[int, int]] | None = None,
) -> Int64Array:
    """Returns the order of one epoch: a permutation that (seed, epoch) alone decide.

    Args:
        length: number of samples.
        seed: decides the order, together with the epoch.
        epoch: from 0.
        groups: first sample and the one after the last of runs that are slow to read from in
            turn. The runs are shuffled, and samples among GROUPS_AT_ONCE runs that follow each
            other. None: all samples are shuffled among each other.
    """
    rng = np.random.default_rng([seed, epoch, 0])
    if groups is None:
        return rng.permutation(length)
    runs = [np.arange(*groups[i]) for i in rng.permutation(len(groups))]
    windows = [
        np.concatenate(runs[i : i + GROUPS_AT_ONCE]) for i in range(0, len(runs), GROUPS_AT_ONCE)
    ]
    return np.concatenate([rng.permutation(window) for window in windows])


def split_evenly(indices: Int64Array, size: int) -> list[tuple[int, ...]]:
    """Splits indices into the fewest chunks of at most `size`, whose lengths differ by one at most.

    Even chunks keep batch norms from seeing a lone sample where that can be avoided.
    """
    count = -(-len(indices) // size)
    return [tuple(part.tolist()) for part in np.array_split(indices, count)] if count else []


class StepSampler(Sampler[Chunk]):
    """The chunks that one process reads in an epoch.

    Args:
        length: number of samples in the list.
        batch_size: samples a step, over all processes.
        chunk_size: samples a process takes through the model at once.
        shuffle: a new order each epoch; otherwise the order of the list.
        seed: decides the orders together with the epoch.
        rank: this process.
        world: number of processes.
        groups: see epoch_order.
    """

    def __init__(
        self,
        length: int,
        *,
        batch_size: int,
        chunk_size: int,
        shuffle: bool,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        groups: Sequence[tuple[int, int]] | None = None,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.chunk_size = min(chunk_size, batch_size)
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world = world
        self.groups = groups
        self.epoch = 0
        self._resume = (0, 0)

    @property
    def steps(self) -> int:
        """Optimizer steps an epoch."""
        return -(-self.length // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch of the next iteration."""
        self.epoch = epoch

    def resume_at(self, epoch: int, step: int) -> None:
        """Starts the given epoch at the given step; later epochs start at their beginning."""
        self.epoch = epoch
        self._resume = (epoch, step)

    def __len__(self) -> int:
        full, rest = divmod(self.length, self.batch_size)
        return full * self._rounds(self.batch_size) + (self._rounds(rest) if rest else 0)

    def _rounds(self, step_size: int) -> int:
        chunks = -(-step_size // self.chunk_size)
        return -(-chunks // self.world)

    def __iter__(self) -> Iterator[Chunk]:
        epoch = self.epoch
        if self.shuffle:
            order = epoch_order(self.length, seed=self.seed, epoch=epoch, groups=self.groups)
        else:
            order = np.arange(self.length)
        first = self._resume[1] if self._resume[0] == epoch else 0
        for step in range(first, self.steps):
            indices = order[step * self.batch_size : (step + 1) * self.batch_size]
            chunks = split_evenly(indices, self.chunk_size)
            rounds = -(-len(chunks) // self.world)
            for i in range(rounds):
                place = i * self.world + self.rank
                yield Chunk(
                    epoch=epoch,
                    step=step,
                    indices=chunks[place] if place < len(chunks) else (),
                    step_size=len(indices),
                    last=i == rounds - 1,
                )
