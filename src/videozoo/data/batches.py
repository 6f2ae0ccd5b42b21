"""Samples and batches: what the readers give, what the models' tasks take.

Everything is uint8 as it was stored: dequantising and normalising happen on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from videozoo.data.framing import Views

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
        labels: the classes, where a video may have many.
    """

    video: str
    clip: UInt8Array
    label: int | None
    labels: tuple[int, ...] = ()


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
        repeats: how often each of the samples came earlier in the epoch; empty: none did.
    """

    epoch: int
    step: int
    indices: tuple[int, ...]
    step_size: int
    last: bool
    repeats: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Batch:
    videos: list[str]
    weights: Tensor
    unreadable: list[Unreadable]
    chunk: Chunk | None
    draws: Tensor | None = field(default=None, kw_only=True)

    def __len__(self) -> int:
        return len(self.videos)

    def to(self, device: torch.device | str) -> Self:
        """Returns the same batch with its tensors on `device`.

        From page-locked memory, which PyTorch keeps until it is read, the copies go on when this
        returns. All other memory may be written to again at once, so there they are done.
        """
        return self._each(lambda tensor: tensor.to(device, non_blocking=tensor.is_pinned()))

    def pin_memory(self) -> Self:
        """Returns the same batch in page-locked memory (called by the DataLoader)."""
        return self._each(Tensor.pin_memory)

    def part(self, start: int, stop: int) -> Self:
        """Returns the videos `start` to `stop` - 1 as a batch of their own."""
        return replace(self._each(lambda t: t[start:stop]), videos=self.videos[start:stop])

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Tensor):
                values[one.name] = change(value)
            elif isinstance(value, tuple):
                values[one.name] = tuple(change(v) for v in value)
        return replace(self, **values)


@dataclass(frozen=True)
class FeatureBatch(_Batch):
    """Videos as frame features, padded behind their last frame.

    Attributes:
        videos: B ids.
        weights: float32 [B]: 1, or 0 for a placeholder that must not count.
        unreadable: samples of this batch that could not be read (not among the B).
        chunk: the part of a training step this is; None in test and infer.
        draws: float32 [B, D]: how the device changes each video (augment.DevicePolicy); None: not.
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
        labels: int64 [B], -1 where none is known; bool [B, K] where a video may have many.
        views: what is cut out of the frames and scored; None: the frames as they are.
        sizes: int64 [B, 2]: height and width of each video's frames, where some are smaller than
            H x W and have zeros to their right or below; None: none is.
    """

    clips: Tensor
    labels: Tensor
    views: Views | None = None
    sizes: Tensor | None = None


Sample = FeatureSample | ClipSample
Batch = FeatureBatch | ClipBatch
Empty = Callable[[tuple[int, ...]], UInt8Array]


def empty_array(shape: tuple[int, ...]) -> UInt8Array:
    """Returns a uint8 array of that shape, its content undefined."""
    return np.empty(shape, dtype=np.uint8)


class FeatureRows:
    """Builds a FeatureBatch video by video: each is copied once, to where it stays.

    Args:
        count: videos that may come.
        num_classes: K.
        longest: frames of the longest of them, as far as is known: a wrong number costs a copy of
            the batch, nothing else.
        empty: gives the memory of a uint8 array of that shape; its content does not matter.
    """

    def __init__(
        self, count: int, *, num_classes: int, longest: int = 0, empty: Empty = empty_array
    ) -> None:
        self._count = count
        self._room = longest
        self._empty = empty
        self._padded: list[UInt8Array] = []  # a modality: [count, room, D_m]
        self._videos: list[str] = []
        self._lengths: list[int] = []
        self._labelled: list[bool] = []
        self._labels = np.zeros((count, num_classes), dtype=np.bool_)  # [count, K]

    def __len__(self) -> int:
        """Returns the number of videos so far."""
        return len(self._videos)

    @property
    def longest(self) -> int:
        """The frames of the longest video so far."""
        return max(self._lengths, default=0)

    def append(self, sample: FeatureSample) -> None:
        """Copies a video into the batch; the sample's own arrays are not kept."""
        row, frames = len(self._videos), len(sample.features[0])
        if frames > self._room or not self._padded:
            self._make_room(sample, frames)
        for padded, feature in zip(self._padded, sample.features, strict=True):
            padded[row, :frames] = feature
            padded[row, frames:] = 0
        if sample.labels is not None:
            self._labels[row, sample.labels] = True
        self._videos.append(sample.video)
        self._lengths.append(frames)
        self._labelled.append(sample.labels is not None)

    def _make_room(self, sample: FeatureSample, frames: int) -> None:
        old, room, rows = self._padded, self._room, len(self._videos)
        self._room = max(frames, room)
        dims = [feature.shape[1] for feature in sample.features]
        self._padded = [self._empty((self._count, self._room, dim)) for dim in dims]
        for before, padded in zip(old, self._padded, strict=False):  # the first time there is none
            padded[:rows, :room] = before[:rows]
            padded[:rows, room:] = 0

    def batch(
        self,
        *,
        unreadable: Sequence[Unreadable] = (),
        chunk: Chunk | None = None,
        weight: float = 1.0,
    ) -> FeatureBatch:
        """Returns the batch of the B videos so far, as long as the longest of them."""
        count, longest = len(self._videos), self.longest
        features = [np.ascontiguousarray(p[:count, :longest]) for p in self._padded]  # [B, L, D_m]
        return FeatureBatch(
            videos=self._videos,
            weights=torch.full((count,), weight),
            unreadable=list(unreadable),
            chunk=chunk,
            features=tuple(map(torch.from_numpy, features)),
            lengths=torch.tensor(self._lengths, dtype=torch.int64),
            labels=torch.from_numpy(self._labels[:count]),
            labelled=torch.tensor(self._labelled, dtype=torch.bool),
        )


def collate_features(
    samples: Sequence[FeatureSample],
    *,
    num_classes: int,
    unreadable: Sequence[Unreadable] = (),
    chunk: Chunk | None = None,
    weight: float = 1.0,
) -> FeatureBatch:
    """Pads feature samples to the longest of them."""
    longest = max((len(sample.features[0]) for sample in samples), default=0)
    rows = FeatureRows(len(samples), num_classes=num_classes, longest=longest)
    for sample in samples:
        rows.append(sample)
    return rows.batch(unreadable=unreadable, chunk=chunk, weight=weight)


def collate_clips(
    samples: Sequence[ClipSample],
    *,
    unreadable: Sequence[Unreadable] = (),
    chunk: Chunk | None = None,
    weight: float = 1.0,
    views: Views | None = None,
) -> ClipBatch:
    """Stacks clip samples; with `views` frames may differ in size and are padded."""
    clips, sizes = _stacked([sample.clip for sample in samples], pad=views is not None)
    return ClipBatch(
        videos=[s.video for s in samples],
        weights=torch.full((len(samples),), weight),
        unreadable=list(unreadable),
        chunk=chunk,
        clips=torch.from_numpy(clips),  # [B, T, seglen*3, H, W]
        labels=torch.tensor(
            [-1 if s.label is None else s.label for s in samples], dtype=torch.int64
        ),
        views=views,
        sizes=sizes,
    )


def _stacked(clips: Sequence[UInt8Array], *, pad: bool) -> tuple[UInt8Array, Tensor | None]:
    """Returns clips as one array, and their heights and widths where it pads."""
    if len(clips) == 1:
        return clips[0][None], None  # no copy
    sizes = np.array([clip.shape[-2:] for clip in clips])  # [B, 2]
    if not pad or (sizes == sizes[0]).all():
        return np.stack(clips), None
    stacked = np.zeros((len(clips), *clips[0].shape[:2], *sizes.max(axis=0)), dtype=np.uint8)
    for padded, clip in zip(stacked, clips, strict=True):
        padded[..., : clip.shape[-2], : clip.shape[-1]] = clip
    return stacked, torch.from_numpy(sizes)
