"""From a source of samples to batches, in this process or in workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from videozoo.data.batches import Batch, Chunk, ClipSample, FeatureSample, Unreadable
from videozoo.data.samplers import StepSampler
from videozoo.errors import SampleError, VideozooError


class SampleSource(Protocol):
    """A list of samples with random access: YouTube8MSource, ClipSource, or your own.

    One that is slow to read from here and there may also have `groups_to_read_together`, the
    `groups` of samplers.epoch_order.
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
    """

    def __init__(self, source: SampleSource, *, training: bool, seed: int = 0) -> None:
        self.source = source
        self.training = training
        self.seed = seed

    def __getitem__(self, chunk: Chunk) -> Batch | Stop:
        samples, unreadable = [], []
        for index in chunk.indices:
            rng = (
                np.random.default_rng([self.seed, chunk.epoch, 1 + index])
                if self.training
                else None
            )
            try:
                sample = self.source.read(index, rng)
                if self.training and _names_no_class(sample):
                    raise SampleError("names no class, so nothing can be learnt from it")
                samples.append(sample)
            except SampleError as error:
                unreadable.append(Unreadable(index, self.source.name(index), str(error)))
            except VideozooError as error:
                return Stop(str(error), self._placeholder(chunk, unreadable))
        if samples:
            return self.source.collate(samples, unreadable=unreadable, chunk=chunk)
        return self._placeholder(chunk, unreadable)

    def _placeholder(self, chunk: Chunk, unreadable: Sequence[Unreadable]) -> Batch:
        return self.source.collate(
            [self.source.placeholder()], unreadable=unreadable, chunk=chunk, weight=0.0
        )


def _names_no_class(sample: Any) -> bool:
    if isinstance(sample, FeatureSample):
        return sample.labels is None
    return isinstance(sample, ClipSample) and sample.label is None


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
    pin_memory: bool = False,
) -> DataLoader[Batch | Stop]:
    """Returns the batches of a sampler's chunks, in their order; each must pass `checked`.

    Args:
        source: the samples.
        sampler: which samples when.
        training: see ChunkReader.
        num_workers: reader processes; None: the cores of this machine, at most 8, and none where
            the list is too short to gain from them.
        seed: see ChunkReader.
        pin_memory: put batches into page-locked memory, for copies to a GPU.
    """
    if num_workers is None:
        num_workers = min(os.cpu_count() or 1, 8, len(sampler) // 2)
    return DataLoader(
        ChunkReader(source, training=training, seed=seed),
        sampler=sampler,
        batch_size=None,
        collate_fn=as_it_is,
        num_workers=num_workers,
        worker_init_fn=one_thread,
        persistent_workers=num_workers > 0,
        pin_memory=pin_memory,
        prefetch_factor=2 if num_workers else None,
    )
