"""Samples and batches: what the readers give, what the models' tasks take.

Everything is uint8 as it was stored: dequantising and normalising happen on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FeatureSample:
    """One video as frame features.

    Attributes:
        video: the id in the record.
        features: one uint8 array [n, D_m] a modality, n frames, in the order of feature_names.
        labels: the classes of the video [number of labels]; None where the record names none.
    """

    video: str
    features: tuple[UInt8Array, ...]
    labels: Int64Array | None


@dataclass(frozen=True)
class ClipSample:
    """One video as cropped frames.

    Attributes:
        video: the id in the pickle, or the path of the file.
        clip: uint8 [T, seglen * 3, H, W]: T segments, their frames' channels one after another.
        label: the class; None where none is known.
    """

    video: str
    clip: UInt8Array
    label: int | None


@dataclass(frozen=True)
class Unreadable:
    """A listed sample that could not be read, and why."""

    index: int
    video: str
    reason: str


@dataclass(frozen=True)
class Chunk:
    """The samples that one process takes through the model at once: a part of one training step.

    Attributes:
        epoch, step: the optimizer step (counted from 0 within the epoch) this chunk belongs to.
        indices: the samples; empty for a process without a share of the last batch.
        step_size: how many samples the whole step has, over all its chunks and processes.
        last: the optimizer steps after this chunk.
    """

    epoch: int
    step: int
    indices: tuple[int, ...]
    step_size: int
    last: bool


@dataclass(frozen=True)
class _Batch:
    videos: list[str]
    weights: Tensor
    unreadable: list[Unreadable]
    chunk: Chunk | None

    def __len__(self) -> int:
        return len(self.videos)

    def to(self, device: torch.device | str) -> Self:
        """Returns the same batch with its tensors on `device`."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Self:
        """Returns the same batch in page-locked memory (called by the DataLoader)."""
        return self._each(Tensor.pin_memory)

    def part(self, start: int, stop: int) -> Self:
        """Returns the videos `start` to `stop` - 1 as a batch of their own."""
        return replace(self._each(lambda t: t[start:stop]), videos=self.videos[start:stop])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                values[field.name] = change(value)
            elif isinstance(value, tuple):
                values[field.name] = tuple(change(v) for v in value)
        return replace(self, **values)


@dataclass(frozen=True)
class FeatureBatch(_Batch):
    """Videos as frame features, padded behind their last frame.

    Attributes:
        videos: B ids.
        weights: float32 [B]: 1, or 0 for a placeholder that must not count.
        unreadable: samples of this batch that could not be read (not among the B).
        chunk: the part of a training step this is; None in test and infer.
        features: one uint8 tensor [B, L, D_m] a modality.
        lengths: int64 [B]: the number of real frames of each video.
        labels: bool [B, K]: the classes of each video.
        labelled: bool [B]: whether the record named its classes.
    """

    features: tuple[Tensor, ...]
    lengths: Tensor
    labels: Tensor
    labelled: Tensor


@dataclass(frozen=True)
class ClipBatch(_Batch):
    """Videos as cropped frames.

    Attributes:
        videos, weights, unreadable, chunk: as in FeatureBatch.
        clips: uint8 [B, T, seglen * 3, H, W].
        labels: int64 [B]; -1 where none is known.
    """

    clips: Tensor
    labels: Tensor


Sample = FeatureSample | ClipSample
Batch = FeatureBatch | ClipBatch


def collate_features(
    samples: Sequence[FeatureSample],
    *,
    num_classes: int,
    unreadable: Sequence[Unreadable] = (),
    chunk: Chunk | None = None,
    weight: float = 1.0,
) -> FeatureBatch:
    """Pads feature samples to the longest of them."""
    lengths = torch.tensor([s.features[0].shape[0] for s in samples], dtype=torch.int64)
    longest = int(lengths.max()) if samples else 0
    features = []
    for m in range(len(samples[0].features) if samples else 0):
        dim = samples[0].features[m].shape[1]
        padded = np.zeros((len(samples), longest, dim), dtype=np.uint8)  # [B, L, D_m]
        for row, sample in zip(padded, samples, strict=True):
            row[: len(sample.features[m])] = sample.features[m]
        features.append(torch.from_numpy(padded))
    labels = torch.zeros(len(samples), num_classes, dtype=torch.bool)  # [B, K]
    for i, sample in enumerate(samples):
        if sample.labels is not None:
            labels[i, torch.from_numpy(sample.labels)] = True
    return FeatureBatch(
        videos=[s.video for s in samples],
        weights=torch.full((len(samples),), weight),
        unreadable=list(unreadable),
        chunk=chunk,
        features=tuple(features),
        lengths=lengths,
        labels=labels,
        labelled=torch.tensor([s.labels is not None for s in samples], dtype=torch.bool),
    )


def collate_clips(
    samples: Sequence[ClipSample],
    *,
    unreadable: Sequence[Unreadable] = (),
    chunk: Chunk | None = None,
    weight: float = 1.0,
) -> ClipBatch:
    """Stacks clip samples, which have one size."""
    return ClipBatch(
        videos=[s.video for s in samples],
        weights=torch.full((len(samples),), weight),
        unreadable=list(unreadable),
        chunk=chunk,
        clips=torch.from_numpy(np.stack([s.clip for s in samples])),  # [B, T, seglen*3, H, W]
        labels=torch.tensor(
            [-1 if s.label is None else s.label for s in samples], dtype=torch.int64
        ),
    )
