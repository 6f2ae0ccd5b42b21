"""Who reads which sample when: steps, their micro-batches, and the processes' shares.

    list of 10, batch_size 4, micro_batch_size 2, two processes (r0, r1), shuffled:

    step 0  [7 2 | 9 0]    r0 reads 7 2, r1 reads 9 0, both step
    step 1  [4 1 | 8 3]    r0 reads 4 1, r1 reads 8 3, both step
    step 2  [6 5]          the last batch is kept; r0 reads 6 5, r1 has no share, both step

The micro-batches of a step are the same for any number of processes (they are the groups that batch
norms see) and as even as can be: a last batch of 6 and micro-batches of 4 make 3 + 3. A process
without a micro-batch in the last round gets an empty one and steps with weight zero. Where there
are more processes than groups, each group is split over all processes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from videozoo.data.sample import Int64Array


@dataclass(frozen=True)
class MicroBatch:
    """The samples that one process takes through the model at once: a part of one training step.

    Attributes:
        epoch, step: the optimizer step (counted from 0 within the epoch) this is a part of.
        indices: the samples; empty for a process without a share of the last batch.
        step_size: how many samples the whole step has, over all its parts and processes.
        last: the optimizer steps after this micro-batch.
        group: number of the group that batch norms see, within the step.
        repeats: how often each of the samples came earlier in the epoch; empty: none did.
    """

    epoch: int
    step: int
    indices: tuple[int, ...]
    step_size: int
    last: bool
    group: int = 0
    repeats: tuple[int, ...] = ()


@dataclass(frozen=True)
class ReadGroups:
    """Runs of samples that are read together, such as the shards of a list.

    Attributes:
        stops: int64 [G]: one after the last sample of each run; the first begins at 0.
        at_once: how many runs are shuffled among each other.
    """

    stops: Int64Array
    at_once: int


class EpochOrder:
    """The order of one epoch, made window by window: (seed, epoch) alone decide it.

    Without groups the one window is the whole list. With them the groups are shuffled and dealt
    into windows of at most `at_once`, and the samples of a window are shuffled among each other:

        groups A B C D E, at_once 2     [D A] [C E] [B]     each lies in one window

    A window's order comes from (seed, epoch, window), so that a run that goes on in the middle of
    an epoch makes no other, and memory holds one.

    Args:
        length: number of samples.
        seed: decides the order, together with the epoch.
        epoch: from 0.
        groups: the runs; None: all samples are shuffled among each other.
    """

    def __init__(
        self, length: int, *, seed: int, epoch: int, groups: ReadGroups | None = None
    ) -> None:
        rng = np.random.default_rng([seed, epoch, 0])
        self._key = (seed, epoch, 0)
        self._made: tuple[int, Int64Array] | None = None
        self._windows: list[Int64Array] = []
        if groups is None:
            self._stops = np.array([length])
            self._made = (0, rng.permutation(length))
            return
        count = len(groups.stops)
        self._starts = np.concatenate([[0], groups.stops[:-1]])  # [G]
        self._sizes = groups.stops - self._starts  # [G]
        # as even as can be: a last shard alone would not be mixed with others
        self._windows = np.array_split(rng.permutation(count), max(1, -(-count // groups.at_once)))
        self._stops = np.cumsum([self._sizes[window].sum() for window in self._windows])

    def take(self, start: int, stop: int) -> Int64Array:
        """Returns the samples at the places `start` to `stop` - 1 of the order.

        Fast where the places are asked for in their order.
        """
        parts: list[Int64Array] = [np.empty(0, dtype=np.int64)]
        number = int(np.searchsorted(self._stops, start, side="right"))
        while start < stop and number < len(self._stops):
            end = int(self._stops[number])
            window = self._window(number)
            first = end - len(window)
            parts.append(window[start - first : stop - first])
            start, number = end, number + 1
        return np.concatenate(parts)

    def _window(self, number: int) -> Int64Array:
        if self._made is None or self._made[0] != number:
            groups = self._windows[number]
            runs = [np.arange(self._starts[g], self._starts[g] + self._sizes[g]) for g in groups]
            rng = np.random.default_rng([*self._key, 1 + number])
            self._made = (number, rng.permutation(np.concatenate(runs)))
        return self._made[1]


class BalancedOrder:
    """An order of one epoch in which every class comes equally often, to within one.

    Class-aware sampling: L. Shen, Z. Lin, Q. Huang: "Relay Backpropagation for Effective Learning
    of Deep Convolutional Neural Networks", ECCV 2016, section 3.2. Classes take turns in random
    rounds, each round a new permutation; so do the samples of a class, so that all of them come
    before one comes again. With five samples of class a and two of class b:

        class    b  a | a  b | a  b | b  a ...
        sample   6  2 | 0  5 | 4  5 | 6  1 ...

    A sample with many classes takes part in the rounds of each of them, one with none in no round.

    Args:
        classes: the classes of each sample; at least one sample has one.
        seed: decides the order, together with the epoch.
        epoch: from 0.
    """

    def __init__(self, classes: Sequence[Sequence[int]], *, seed: int, epoch: int) -> None:
        members: dict[int, list[int]] = {}
        for index, numbers in enumerate(classes):
            for number in numbers:
                members.setdefault(number, []).append(index)
        rng = np.random.default_rng([seed, epoch, 0])
        turns = _rounds(len(members), len(classes), rng)  # [N]
        self._order = np.empty(len(classes), dtype=np.int64)  # [N]
        for turn, number in enumerate(sorted(members)):
            places = np.flatnonzero(turns == turn)
            own = np.array(members[number])
            self._order[places] = own[_rounds(len(own), len(places), rng)]

    def take(self, start: int, stop: int) -> Int64Array:
        """Returns the samples at the places `start` to `stop` - 1 of the order."""
        return self._order[start:stop]

    def repeats(self) -> Int64Array:
        """Returns how often the sample of each place has come before: int64 [N]."""
        sorted_places = np.argsort(self._order, kind="stable")
        ordered = self._order[sorted_places]
        counts = np.empty_like(ordered)
        counts[sorted_places] = np.arange(len(ordered)) - np.searchsorted(ordered, ordered)
        return counts


def _rounds(count: int, length: int, rng: np.random.Generator) -> Int64Array:
    """Returns the first `length` numbers of one permutation of 0..count-1 after another."""
    rounds = [rng.permutation(count) for _ in range(-(-length // count))]
    return np.concatenate([np.empty(0, dtype=np.int64), *rounds])[:length]


def split_evenly(indices: Int64Array, size: int) -> list[tuple[int, ...]]:
    """Splits indices into the fewest parts of at most `size`, whose lengths differ by one at most.

    Even parts keep batch norms from seeing a lone sample where that can be avoided.
    """
    count = -(-len(indices) // size)
    return [tuple(part.tolist()) for part in np.array_split(indices, count)] if count else []


class StepSampler(Sampler[MicroBatch]):
    """The micro-batches that one process reads in an epoch.

    Args:
        length: number of samples in the list.
        batch_size: samples a step, over all processes.
        micro_batch_size: samples of a group: those a process takes through the model at once.
        split_groups: each process takes its part of every group, instead of groups of its own.
        shuffle: a new order each epoch; otherwise the order of the list.
        seed: decides the orders together with the epoch.
        rank: this process.
        world: number of processes.
        groups: see EpochOrder.
        classes: of each sample, to be drawn equally often: see BalancedOrder; None: they are not.
    """

    def __init__(
        self,
        length: int,
        *,
        batch_size: int,
        micro_batch_size: int,
        shuffle: bool,
        split_groups: bool = False,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        groups: ReadGroups | None = None,
        classes: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self.length = length
        self.batch_size = batch_size
        self.micro_batch_size = min(micro_batch_size, batch_size)
        self.shuffle = shuffle
        self.split_groups = split_groups
        self.seed = seed
        self.rank = rank
        self.world = world
        self.groups = groups
        self.classes = classes
        self.epoch = 0
        self._resume = (0, 0)
        self.stop: int | None = None  # the step before which an epoch ends; None: its last one

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
        groups = -(-step_size // self.micro_batch_size)
        return groups if self.split_groups else -(-groups // self.world)

    def __iter__(self) -> Iterator[MicroBatch]:
        epoch, size = self.epoch, self.batch_size
        order: EpochOrder | BalancedOrder | None = None
        repeats: Int64Array | None = None
        if self.classes is not None:
            order = BalancedOrder(self.classes, seed=self.seed, epoch=epoch)
            repeats = order.repeats()
        elif self.shuffle:
            order = EpochOrder(self.length, seed=self.seed, epoch=epoch, groups=self.groups)
        first = self._resume[1] if self._resume[0] == epoch else 0
        for step in range(first, self.steps if self.stop is None else self.stop):
            start, stop = step * size, min((step + 1) * size, self.length)
            indices = np.arange(start, stop) if order is None else order.take(start, stop)
            parts = split_evenly(indices, self.micro_batch_size)
            again: list[tuple[int, ...]] = []
            if repeats is not None:
                again = split_evenly(repeats[start:stop], self.micro_batch_size)
            rounds = self._rounds(len(indices))
            for i in range(rounds):
                group = i if self.split_groups else i * self.world + self.rank
                yield MicroBatch(
                    epoch=epoch,
                    step=step,
                    indices=self._share(parts, group),
                    step_size=len(indices),
                    last=i == rounds - 1,
                    group=group,
                    repeats=self._share(again, group),
                )

    def _share(self, groups: list[tuple[int, ...]], number: int) -> tuple[int, ...]:
        """Returns what this process takes of a group; nothing where there is no such group."""
        if number >= len(groups):
            return ()
        if not self.split_groups:
            return groups[number]
        return tuple(np.array_split(groups[number], self.world)[self.rank].tolist())
