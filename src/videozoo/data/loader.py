"""From a data set to batches, in this process or in workers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from videozoo.data.augment import DevicePolicy, Float32Array
from videozoo.data.batch import Batch
from videozoo.data.collate import Empty
from videozoo.data.dataset import VideoDataset
from videozoo.data.sample import Damaged, Unreadable
from videozoo.data.sampler import MicroBatch, StepSampler
from videozoo.data.shared_memory import RecycledArrays, SharedBlocks
from videozoo.distributed import usable_cores
from videozoo.errors import SampleError, VideozooError

PREFETCH = 2  # batches that are read ahead, a worker
IN_USE = 4  # batches that a consumer may hold before workers lack memory that is used again


@dataclass(frozen=True)
class FatalDataError:
    """Comes out of a loader in a batch's place: the data show that the config is wrong.

    A worker process cannot raise an error as it is: PyTorch adds a traceback to its message.

    Attributes:
        message: the error's.
        placeholder: a batch of weight zero, for a process that must tell the others first.
    """

    message: str
    placeholder: Batch


def raise_if_fatal(batch: Batch | FatalDataError) -> Batch:
    """Returns the batch.

    Raises:
        VideozooError: there is none, since the data show that the config is wrong.
    """
    if isinstance(batch, FatalDataError):
        raise VideozooError(batch.message)
    return batch


def or_placeholder(batch: Batch | FatalDataError) -> Batch:
    """Returns the batch; where there is none, what stands for it."""
    return batch.placeholder if isinstance(batch, FatalDataError) else batch


class MicroBatchReader(Dataset[Batch | FatalDataError]):
    """Reads one micro-batch at a time: `reader[micro_batch]` is a batch.

    What cannot be read is left out and named in `batch.unreadable`; what is damaged and read in
    part is named in `batch.damaged`. A micro-batch of which nothing
    is left becomes one placeholder of weight zero, so that every process goes through the model.
    In training a sample that names no class counts as unreadable: nothing can be learnt from it.

    Args:
        dataset: the samples.
        training: draw frames, crops and flips from (seed, epoch, index); otherwise none is drawn.
        seed: see training.
        policy: what the device does to the samples; drawn here. None: nothing.
        blocks: memory in which worker processes send their batches; None: they send them as
            PyTorch does.
    """

    def __init__(
        self,
        dataset: VideoDataset,
        *,
        training: bool,
        seed: int = 0,
        policy: DevicePolicy | None = None,
        blocks: SharedBlocks | None = None,
    ) -> None:
        self.dataset = dataset
        self.training = training
        self.seed = seed
        self.policy = policy
        self.draws = policy is not None or (training and dataset.draws)
        self._blocks = blocks
        self._arrays = RecycledArrays()

    def __getitem__(self, micro_batch: MicroBatch) -> Batch | FatalDataError:
        if self._blocks is None or get_worker_info() is None:
            return self.read(micro_batch, self._arrays.empty)
        block = self._blocks.take()
        if block is None:
            return self.read(micro_batch, self._arrays.empty)
        try:
            packed: Batch | FatalDataError = block.packed(self.read(micro_batch, block.empty))
        except BaseException:
            block.give_back()
            raise
        return packed

    def read(self, micro_batch: MicroBatch, empty: Empty) -> Batch | FatalDataError:
        """Reads a micro-batch; large arrays may be made by `empty`."""
        indices = micro_batch.indices
        unreadable: list[Unreadable] = []
        damaged: list[Damaged] = []
        draws: list[Float32Array] = []
        self.dataset.prefetch(indices)
        samples = self._samples(micro_batch, unreadable, damaged, draws)
        try:
            first = list(islice(samples, 1))
            if not first:
                return self._placeholder(micro_batch, unreadable)
            # read one by one, as each is copied into the batch
            batch = self.dataset.collate(chain(first, samples), indices=indices, empty=empty)
        except VideozooError as error:
            return FatalDataError(str(error), self._placeholder(micro_batch, unreadable))
        return replace(
            batch,
            unreadable=unreadable,
            damaged=damaged,
            micro_batch=micro_batch,
            draws=torch.from_numpy(np.stack(draws)) if draws else None,
        )

    def _samples(
        self,
        micro_batch: MicroBatch,
        unreadable: list[Unreadable],
        damaged: list[Damaged],
        draws: list[Float32Array],
    ) -> Iterator[Any]:
        """Yields what can be read; notes what cannot or in part, and what the device is to draw."""
        for place, index in enumerate(micro_batch.indices):
            rng = np.random.default_rng(self._key(micro_batch, place)) if self.draws else None
            try:
                sample = self.dataset.read(index, rng)
                if self.training and sample.labels is None:
                    raise SampleError("names no class, so nothing can be learnt from it")
            except SampleError as error:
                unreadable.append(Unreadable(index, self.dataset.name(index), str(error)))
                continue
            if (damage := getattr(sample, "damage", None)) is not None:
                damaged.append(Damaged(index, self.dataset.name(index), damage))
            if self.policy is not None and rng is not None:
                draws.append(self.policy.draw(rng))
            yield sample

    def _key(self, micro_batch: MicroBatch, place: int) -> list[int]:
        """Returns what decides all that is drawn for a sample."""
        index = 1 + micro_batch.indices[place]
        # One that comes again in an epoch must not be drawn alike.
        again = micro_batch.repeats[place : place + 1]
        return [self.seed, micro_batch.epoch, index, *(n for n in again if n)]

    def _placeholder(self, micro_batch: MicroBatch, unreadable: Sequence[Unreadable]) -> Batch:
        batch = self.dataset.collate([self.dataset.placeholder()])
        return replace(
            batch,
            weights=torch.zeros(1),
            unreadable=list(unreadable),
            micro_batch=micro_batch,
        )


def as_it_is(batch: Any) -> Any:
    """Collates nothing: readers give whole batches."""
    return batch


def one_thread(_: int) -> None:
    """Makes a worker process use one thread."""
    # Workers are the parallelism; torch and BLAS threads inside them only get in each other's way.
    torch.set_num_threads(1)


def make_loader(
    dataset: VideoDataset,
    sampler: StepSampler,
    *,
    training: bool,
    num_workers: int | None,
    seed: int = 0,
    policy: DevicePolicy | None = None,
    pin_memory: bool = False,
) -> DataLoader[Batch | FatalDataError]:
    """Returns the batches of a sampler's micro-batches, in order; each must pass `raise_if_fatal`.

    Args:
        dataset: the samples.
        sampler: which samples when.
        training: see MicroBatchReader.
        num_workers: reader processes; None: the cores that this process may use, at most 8,
            and none where the list is too short to gain from them.
        seed: see MicroBatchReader.
        policy: see MicroBatchReader.
        pin_memory: put batches into page-locked memory, for copies to a GPU.
    """
    if num_workers is None:
        num_workers = min(usable_cores(), 8, len(sampler) // 2)
    blocks = None
    if num_workers:
        with suppress(OSError):  # a system without such memory: PyTorch's own way is slower
            blocks = SharedBlocks(PREFETCH * num_workers + IN_USE)
    return DataLoader(
        MicroBatchReader(dataset, training=training, seed=seed, policy=policy, blocks=blocks),
        sampler=sampler,
        batch_size=None,
        collate_fn=as_it_is,
        num_workers=num_workers,
        worker_init_fn=one_thread,
        persistent_workers=num_workers > 0,
        pin_memory=pin_memory,
        prefetch_factor=PREFETCH if num_workers else None,
    )
