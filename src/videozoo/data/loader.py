"""From a data set to batches, in this process or in reader processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, islice
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from videozoo.data.augment import DevicePolicy, Float32Array
from videozoo.data.batch import Batch
from videozoo.data.collate import Empty
from videozoo.data.dataset import VideoDataset
from videozoo.data.reader_process import NOWHERE, Begin
from videozoo.data.readers import PREFETCH, Readers, readers_can_be_made
from videozoo.data.sample import Damaged, Unreadable
from videozoo.data.sampler import MicroBatch, StepSampler
from videozoo.data.shared_memory import RecycledArrays, SharedBlock, SharedBlocks
from videozoo.distributed import usable_cores
from videozoo.errors import SampleError, VideozooError

IN_USE = 4  # batches that a consumer may hold before readers lack memory that is used again
READER_TIMEOUT = 300.0  # seconds that a sample may take, where no setting says it


@dataclass(frozen=True)
class FatalDataError:
    """Comes out of a loader in a batch's place: the data show that the config is wrong.

    A reader process cannot raise an error where the batches are used.

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
    """

    def __init__(
        self,
        dataset: VideoDataset,
        *,
        training: bool,
        seed: int = 0,
        policy: DevicePolicy | None = None,
    ) -> None:
        self.dataset = dataset
        self.training = training
        self.seed = seed
        self.policy = policy
        self.draws = policy is not None or (training and dataset.draws)
        self._arrays = RecycledArrays()

    def __getitem__(self, micro_batch: MicroBatch) -> Batch | FatalDataError:
        return self.read(micro_batch, self._arrays.empty)

    def __call__(
        self,
        task: MicroBatch,
        *,
        lost: Mapping[int, str],
        begin: Begin,
        block: SharedBlock | None,
    ) -> Batch | FatalDataError:
        """Reads a micro-batch in a reader process, see reader_process.Read."""
        if block is None:
            return self.read(task, self._arrays.empty, lost, begin)
        packed: Batch | FatalDataError = block.packed(self.read(task, block.empty, lost, begin))
        return packed

    def read(
        self,
        micro_batch: MicroBatch,
        empty: Empty,
        lost: Mapping[int, str] = MappingProxyType({}),
        begin: Begin = lambda place: None,
    ) -> Batch | FatalDataError:
        """Reads a micro-batch; `empty` makes large arrays, for the rest see reader_process.Read."""
        indices = micro_batch.indices
        unreadable: list[Unreadable] = []
        damaged: list[Damaged] = []
        draws: list[Float32Array] = []
        self.dataset.prefetch(indices)
        samples = self._samples(micro_batch, unreadable, damaged, draws, lost, begin)
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
        lost: Mapping[int, str],
        begin: Begin,
    ) -> Iterator[Any]:
        """Yields what can be read; notes what cannot or in part, and what the device is to draw."""
        for place, index in enumerate(micro_batch.indices):
            rng = np.random.default_rng(self._key(micro_batch, place)) if self.draws else None
            begin(place)
            try:
                if place in lost:
                    raise SampleError(lost[place])
                sample = self._sample(index, rng)
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
        begin(NOWHERE)

    def _sample(self, index: int, rng: np.random.Generator | None) -> Any:
        try:
            return self.dataset.read(index, rng)
        except MemoryError:
            raise SampleError("there is too little memory to read it") from None
        except OSError as error:
            raise SampleError(f"cannot be read: {error.strerror or error}") from None

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


class BatchLoader:
    """The batches of a sampler's micro-batches, in order, again and again: see make_loader.

    Attributes:
        multiprocessing_context: how readers start; None: as is usual here.
    """

    multiprocessing_context: str | None = None

    def __init__(
        self,
        reader: MicroBatchReader,
        sampler: StepSampler,
        *,
        num_workers: int,
        timeout: float,
        pin_memory: bool,
        say: Callable[[str], None],
    ) -> None:
        self.num_workers = num_workers
        self.sampler = sampler
        self._reader = reader
        self._timeout, self._say = timeout, say
        self._pinning = ThreadPoolExecutor(1) if pin_memory else None
        self._readers: Readers[MicroBatch, Batch | FatalDataError] | None = None

    def __len__(self) -> int:
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch | FatalDataError]:
        """Yields batches; each must pass `raise_if_fatal`."""
        if not self.num_workers:
            for micro_batch in self.sampler:
                yield _pinned(self._reader[micro_batch], self._pinning).result()
            return
        if self._readers is None:
            blocks = None
            with suppress(OSError):  # a system without such memory: PyTorch's own way is slower
                blocks = SharedBlocks(PREFETCH * self.num_workers + IN_USE)
            self._readers = Readers(
                self._reader,
                self.num_workers,
                timeout=self._timeout,
                say=self._say,
                blocks=blocks,
                start=self.multiprocessing_context,
            )
        for waiting in self._readers(self.sampler, lambda batch: _pinned(batch, self._pinning)):
            batch = waiting.result()
            del waiting
            yield batch
            del batch


def _pinned(
    batch: Batch | FatalDataError, thread: ThreadPoolExecutor | None
) -> Future[Batch | FatalDataError]:
    """Returns what will be the batch; a thread copies it to page-locked memory meanwhile."""
    if thread is not None and isinstance(batch, Batch):
        return thread.submit(batch.pin_memory)
    there: Future[Batch | FatalDataError] = Future()
    there.set_result(batch)
    return there


def make_loader(
    dataset: VideoDataset,
    sampler: StepSampler,
    *,
    training: bool,
    num_workers: int | None,
    seed: int = 0,
    policy: DevicePolicy | None = None,
    pin_memory: bool = False,
    reader_timeout: float = READER_TIMEOUT,
    say: Callable[[str], None] = print,
) -> BatchLoader:
    """Returns the batches of a sampler's micro-batches, in order; each must pass `raise_if_fatal`.

    Args:
        dataset: the samples.
        sampler: which samples when.
        training: see MicroBatchReader.
        num_workers: reader processes; None: the cores that this process may use, at most 8,
            and none where the list is too short to gain from them. A process that may have no
            children, such as a worker of multiprocessing.Pool, reads itself.
        seed: see MicroBatchReader.
        policy: see MicroBatchReader.
        pin_memory: put batches into page-locked memory, for copies to a GPU.
        reader_timeout: seconds that a sample may take; its reader counts as hung then. 0: any time.
        say: prints a line, such as that a reader process was killed.
    """
    if num_workers is None:
        num_workers = min(usable_cores(), 8, len(sampler) // 2)
    return BatchLoader(
        MicroBatchReader(dataset, training=training, seed=seed, policy=policy),
        sampler,
        num_workers=num_workers if readers_can_be_made() else 0,
        timeout=reader_timeout,
        pin_memory=pin_memory,
        say=say,
    )
