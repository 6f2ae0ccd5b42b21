"""From samples to a batch.

Shapes: B videos, K classes; L frames (padded) of D_m values; T segments of seglen frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from videozoo.data.batch import NO_LABEL, ClipBatch, FeatureBatch
from videozoo.data.framing import Views
from videozoo.data.sample import ClipSample, FeatureSample, Int64Array, UInt8Array

Empty = Callable[[tuple[int, ...]], UInt8Array]
"""Gives a uint8 array of a shape, its content undefined."""


def empty_array(shape: tuple[int, ...]) -> UInt8Array:
    """Returns a uint8 array of that shape, its content undefined."""
    return np.empty(shape, dtype=np.uint8)


def collate_features(
    samples: Iterable[FeatureSample],
    *,
    num_classes: int,
    multi_label: bool = True,
    count: int | None = None,
    longest: int = 0,
    empty: Empty = empty_array,
) -> FeatureBatch:
    """Pads feature samples to the longest of them; each is copied once, to where it stays.

    One sample at a time is kept: where they are read when they are asked for, each is copied while
    it is in the processor's cache, and a few buffers serve them all.

    Args:
        samples: at least one.
        num_classes: K.
        multi_label: a video may have many classes; False: it has one.
        count: how many samples may come; None: samples has a length.
        longest: frames of the longest of them, as far as is known: a wrong number costs a copy of
            the batch, nothing else.
        empty: gives the memory of the features.
    """
    if count is None:
        samples = list(samples)
        count, longest = len(samples), max(len(sample.features[0]) for sample in samples)
    padded: list[UInt8Array] = []  # a modality: [count, room, D_m]
    videos: list[str] = []
    lengths: list[int] = []
    classes: list[Sequence[int] | Int64Array] = []
    labelled: list[bool] = []
    for row, sample in enumerate(samples):
        frames = len(sample.features[0])
        if not padded or frames > padded[0].shape[1]:
            padded = _with_room(padded, sample, (count, max(frames, longest)), row, empty)
        for rows, feature in zip(padded, sample.features, strict=True):
            rows[row, :frames] = feature
            rows[row, frames:] = 0
        videos.append(sample.video)
        lengths.append(frames)
        classes.append(() if sample.labels is None else sample.labels)
        labelled.append(_is_labelled(sample.labels, multi_label))
    features = [np.ascontiguousarray(rows[: len(videos), : max(lengths)]) for rows in padded]
    return FeatureBatch(
        videos=videos,
        weights=torch.ones(len(videos)),
        labels=_labels(classes, num_classes if multi_label else None),
        labelled=torch.tensor(labelled),
        features=tuple(map(torch.from_numpy, features)),  # [B, L, D_m]
        lengths=torch.tensor(lengths),
    )


def _is_labelled(labels: Sequence[int] | Int64Array | None, multi_label: bool) -> bool:
    """An empty list of many classes is known to have none; of one class it is not known which."""
    return labels is not None and (multi_label or len(labels) > 0)


def _with_room(
    padded: Sequence[UInt8Array],
    sample: FeatureSample,
    size: tuple[int, int],
    done: int,
    empty: Empty,
) -> list[UInt8Array]:
    """Returns the rows of a batch with room for more frames; `done` of them are filled."""
    larger = [empty((*size, feature.shape[1])) for feature in sample.features]
    for before, rows in zip(padded, larger, strict=False):  # the first time there is none
        rows[:done, : before.shape[1]] = before[:done]
        rows[:done, before.shape[1] :] = 0
    return larger


def collate_clips(
    samples: Iterable[ClipSample],
    *,
    multi_label: int | None = None,
    views: Views | None = None,
    empty: Empty = empty_array,
) -> ClipBatch:
    """Stacks clip samples; with `views` frames may differ in size and are padded.

    Args:
        samples: at least one.
        multi_label: K where a clip may have many classes; None where it has one.
        views: see ClipBatch.
        empty: gives the memory of the clips.
    """
    samples = list(samples)
    clips, sizes = _stacked([sample.clip for sample in samples], pad=views is not None, empty=empty)
    return ClipBatch(
        videos=[sample.video for sample in samples],
        weights=torch.ones(len(samples)),
        labels=_labels([sample.labels or () for sample in samples], multi_label),
        labelled=torch.tensor([_is_labelled(s.labels, multi_label is not None) for s in samples]),
        clips=torch.from_numpy(clips),  # [B, T, seglen*3, H, W]
        views=views,
        sizes=sizes,
    )


def _labels(classes: Sequence[Sequence[int] | Int64Array], multi_label: int | None) -> Tensor:
    """Returns the labels of a batch: bool [B, K]; int64 [B] where a video has one class."""
    if multi_label is None:
        return torch.tensor([int(own[0]) if len(own) else NO_LABEL for own in classes])  # [B]
    labels = np.zeros((len(classes), multi_label), dtype=np.bool_)  # [B, K]
    for row, own in zip(labels, classes, strict=True):
        row[np.asarray(own, dtype=np.int64)] = True
    return torch.from_numpy(labels)


def _stacked(
    clips: Sequence[UInt8Array], *, pad: bool, empty: Empty
) -> tuple[UInt8Array, Tensor | None]:
    """Returns clips as one array, and their heights and widths where it pads."""
    if len(clips) == 1:
        return clips[0][None], None  # no copy
    sizes = np.array([clip.shape[-2:] for clip in clips])  # [B, 2]
    if not pad or (sizes == sizes[0]).all():
        return np.stack(clips, out=empty((len(clips), *clips[0].shape))), None
    stacked = empty((len(clips), *clips[0].shape[:2], *sizes.max(axis=0).tolist()))
    stacked[...] = 0
    for padded, clip in zip(stacked, clips, strict=True):
        padded[..., : clip.shape[-2], : clip.shape[-1]] = clip
    return stacked, torch.from_numpy(sizes)
