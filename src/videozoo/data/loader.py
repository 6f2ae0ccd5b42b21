"""From a source of samples to batches, in this process or in workers."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from videozoo.data.augment import DevicePolicy, Float32Array
from videozoo.data.batches import (
    Batch,
    Chunk,
    ClipSample,
    Empty,
    FeatureSample,
    Unreadable,
)
from videozoo.data.memory import RecycledArrays, SharedBlocks
from videozoo.data.samplers import StepSampler
from videozoo.errors import SampleError, VideozooError
from videozoo.processes import usable_cores

PREFETCH = 2  # batches that are read ahead, a worker
IN_USE = 4  # batches that a consumer may hold before workers lack memory that is used again


class SampleSource(Protocol):
    """A list of samples with random access: YouTube8MSource, ClipSource, or your own.

    It may also have, and YouTube8MSource has:

        read_groups    a samplers.ReadGroups: which samples to read near each other in time
        draws          False: `read` makes no use of `rng`, so that none need be made
        batch_builder  a function of the indices of a chunk and of `empty` (which gives the memory
                       of a uint8 array by its shape) that returns a BatchBuilder: what builds a
                       batch faster than read and collate do
    """

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Returns what a sample is called in reports."""
        ...

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """Reads one sample; `rng` draws in training and is None in test.

        Raises:
            SampleError: the sample cannot be read; the message is the reason.
            VideozooError: the sample shows that the config is wrong: work must stop.
        """
        ...

    def placeholder(self) -> Any:
        """Returns a sample that stands in a batch where none can be read."""
        ...

    def collate(
        self,
        samples: Sequence[Any],
        *,
        unreadable: Sequence[Unreadable] = (),
        chunk: Chunk | None = None,
        weight: float = 1.0,
    ) -> Batch:
        """Makes a batch of samples."""
        ...


class BatchBuilder(Protocol):
    """Reads the samples of one batch."""

    def __len__(self) -> int:
        """Returns the number of samples in the batch so far."""
        ...

    def read(self, index: int, rng: np.random.Generator | None) -> Any:
        """Reads a sample as SampleSource.read does; it need hold only until the next is read."""
        ...

    def append(self, sample: Any) -> None:
        """Takes the sample that was read last into the batch."""
        ...

    def batch(self, *, unreadable: Sequence[Unreadable], chunk: Chunk) -> Batch:
        """Returns the batch of the samples taken, at least one."""
        ...


class SampleList:
    """The BatchBuilder of a source that has none of its own."""

    def __init__(self, source: SampleSource) -> None:
        self._source = source
        self._samples: list[Any] = []
        self.read = source.read
        self.append = self._samples.append

    def __len__(self) -> int:
        """Returns the number of samples in the batch so far."""
        return len(self._samples)

    def batch(self, *, unreadable: Sequence[Unreadable], chunk: Chunk) -> Batch:
        """Returns the batch of the samples taken."""
        return self._source.collate(self._samples, unreadable=unreadable, chunk=chunk)


@dataclass(frozen=True)
class Stop:
    """Comes out of a loader in a batch's place: the data show that the config is wrong.

    A worker process cannot raise an error as it is: PyTorch adds a traceback to its message.

    Attributes:
        message: the error's.
        placeholder: a batch of weight zero, for a process that must tell the others first.
    """

    message: str
    placeholder: Batch


def checked(batch: Batch | Stop) -> Batch:
    """Returns the batch.

    Raises:
        VideozooError: there is none, since the data show that the config is wrong.
    """
    if isinstance(batch, Stop):
        raise VideozooError(batch.message)
    return batch


class ChunkReader(Dataset[Batch | Stop]):
    """Reads one chunk at a time: `reader[chunk]` is a batch.

    What cannot be read is left out and named in `batch.unreadable`. A chunk of which nothing is
    left becomes one placeholder of weight zero, so that every process goes through the model.
    In training a sample that names no class counts as unreadable: nothing can be learnt from it.

    Args:
        source: the samples.
        training: draw frames, crops and flips from (seed, epoch, index); otherwise none is drawn.
        seed: see training.
        policy: what the device does to the samples; drawn here. None: nothing.
        blocks: memory in which worker processes send their batches; None: they send them as
            PyTorch does.
    """

    def __init__(
        self,
        source: SampleSource,
        *,
        training: bool,
        seed: int = 0,
        policy: DevicePolicy | None = None,
        blocks: SharedBlocks | None = None,
    ) -> None:
        self.source = source
        self.training = training
        self.seed = seed
        self.policy = policy
        self.draws = policy is not None or (training and getattr(source, "draws", True))
        self._blocks = blocks
        self._arrays = RecycledArrays()

    def __getitem__(self, chunk: Chunk) -> Batch | Stop:
        if self._blocks is None or get_worker_info() is None:
            return self.read(chunk, self._arrays.empty)
        block = self._blocks.take()
        if block is None:
            return self.read(chunk, self._arrays.empty)
        try:
            packed: Batch | Stop = block.packed(self.read(chunk, block.empty))
        except BaseException:
            block.give_back()
            raise
        return packed

    def read(self, chunk: Chunk, empty: Empty) -> Batch | Stop:
        """Reads a chunk; large arrays may be made by `empty`."""
        builder = self._builder(chunk, empty)
        unreadable: list[Unreadable] = []
        draws: list[Float32Array] = []
        for place, index in enumerate(chunk.indices):
            rng = np.random.default_rng(self._key(chunk, place)) if self.draws else None
            try:
                sample = builder.read(index, rng)
                if self.training and _names_no_class(sample):
                    raise SampleError("names no class, so nothing can be learnt from it")
                builder.append(sample)
                if self.policy is not None and rng is not None:
                    draws.append(self.policy.draw(rng))
            except SampleError as error:
                unreadable.append(Unreadable(index, self.source.name(index), str(error)))
            except VideozooError as error:
                return Stop(str(error), self._placeholder(chunk, unreadable))
        if not len(builder):
            return self._placeholder(chunk, unreadable)
        batch = builder.batch(unreadable=unreadable, chunk=chunk)
        return replace(batch, draws=torch.from_numpy(np.stack(draws))) if draws else batch

    def _key(self, chunk: Chunk, place: int) -> list[int]:
        """Returns what decides all that is drawn for a sample."""
        # One that comes again in an epoch must not be drawn alike.
        again = chunk.repeats[place : place + 1]
        return [self.seed, chunk.epoch, 1 + chunk.indices[place], *(n for n in again if n)]

    def _builder(self, chunk: Chunk, empty: Empty) -> BatchBuilder:
        own = getattr(self.source, "batch_builder", None)
        return own(chunk.indices, empty) if own is not None else SampleList(self.source)

    def _placeholder(self, chunk: Chunk, unreadable: Sequence[Unreadable]) -> Batch:
        return self.source.collate(
            [self.source.placeholder()], unreadable=unreadable, chunk=chunk, weight=0.0
        )


def _names_no_class(sample: Any) -> bool:
    if isinstance(sample, FeatureSample):
        return sample.labels is None
    return isinstance(sample, ClipSample) and sample.label is None and not sample.labels


def as_it_is(batch: Any) -> Any:
    """Collates nothing: readers give whole batches."""
    return batch


def one_thread(_: int) -> None:
    """Makes a worker process use one thread."""
    # Workers are the parallelism; torch and BLAS threads inside them only get in each other's way.
    torch.set_num_threads(1)


def make_loader(
    source: SampleSource,
    sampler: StepSampler,
    *,
    training: bool,
    num_workers: int | None,
    seed: int = 0,
    policy: DevicePolicy | None = None,
    pin_memory: bool = False,
) -> DataLoader[Batch | Stop]:
    """Returns the batches of a sampler's chunks, in their order; each must pass `checked`.

    Args:
        source: the samples.
        sampler: which samples when.
        training: see ChunkReader.
        num_workers: reader processes; None: the cores that this process may use, at most 8,
            and none where the list is too short to gain from them.
        seed: see ChunkReader.
        policy: see ChunkReader.
        pin_memory: put batches into page-locked memory, for copies to a GPU.
    """
    if num_workers is None:
        num_workers = min(usable_cores(), 8, len(sampler) // 2)
    blocks = None
    if num_workers:
        with suppress(OSError):  # a system without such memory: PyTorch's own way is slower
            blocks = SharedBlocks(PREFETCH * num_workers + IN_USE)
    return DataLoader(
        ChunkReader(source, training=training, seed=seed, policy=policy, blocks=blocks),
        sampler=sampler,
        batch_size=None,
        collate_fn=as_it_is,
        num_workers=num_workers,
        worker_init_fn=one_thread,
        persistent_workers=num_workers > 0,
        pin_memory=pin_memory,
        prefetch_factor=PREFETCH if num_workers else None,
    )
