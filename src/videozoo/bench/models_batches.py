"""What models are measured on: one made-up batch, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from videozoo.config.clip_keys import ClipSettings
from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import Settings
from videozoo.data.batches import (
    Batch,
    Chunk,
    ClipBatch,
    ClipSample,
    FeatureBatch,
    FeatureSample,
    Unreadable,
    collate_clips,
    collate_features,
)
from videozoo.specs.attention_cluster import AttentionClusterSettings

Frames = tuple[int, int]
_FRAMES = 300  # of a YouTube-8M video at most
_LABELS = 3  # of a video


def frames_of(settings: Settings, given: Frames | None) -> Frames:
    """Returns the frames of the shortest and of the longest video of a feature model.

    Args:
        settings: of the model.
        given: what was asked for; None: 300, of AttentionCluster the frames that it samples.
    """
    if given is not None:
        return given
    if isinstance(settings, AttentionClusterSettings):
        return settings.seg_num, settings.seg_num
    return _FRAMES, _FRAMES


def lengths_between(frames: Frames, count: int) -> list[int]:
    """Returns frames of `count` videos: evenly from the shortest to the longest, in mixed order."""
    lengths = np.linspace(*frames, count).round().astype(int)
    if count == 1:
        return [sum(frames) // 2]
    return [int(n) for n in np.random.default_rng(0).permutation(lengths)]


def describe_shape(settings: Settings, frames: Frames) -> str:
    """Returns the batch in words: "16 x 300", "16 x 120-300" frames, "4 x 3x1 x 224" pixels."""
    if isinstance(settings, ClipSettings):
        sampled = f"{settings.seg_num}x{settings.seglen}"
        return f"{settings.batch_size} x {sampled} x {settings.target_size}"
    shortest, longest = frames
    return f"{settings.batch_size} x {longest if shortest == longest else f'{shortest}-{longest}'}"


def make_batch(settings: Settings, frames: Frames) -> Batch:
    """Makes a batch of `batch_size` videos of random bytes and random labels, always the same.

    Args:
        settings: of the model.
        frames: of the shortest and of the longest video, where the model takes features.
    """
    rng = np.random.default_rng(0)
    count, classes = settings.batch_size, settings.num_classes
    if isinstance(settings, ClipSettings):
        shape = (settings.seg_num, settings.seglen * 3, settings.target_size, settings.target_size)
        clips = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]
        return collate_clips([ClipSample("made up", c, int(rng.integers(classes))) for c in clips])
    assert isinstance(settings, FeatureSettings)
    samples = []
    for n in lengths_between(frames, count):
        made = [rng.integers(0, 256, (n, dim), dtype=np.uint8) for dim in settings.feature_dims]
        labels = np.unique(rng.integers(classes, size=_LABELS))
        samples.append(FeatureSample("made up", tuple(made), labels))
    return collate_features(samples, num_classes=classes)


class SameBatch:
    """A sample source whose batches are all the same one, so that reading takes no time.

    Args:
        batch: on the host; a batch of fewer videos is the first of these.
        count: how often it comes.
    """

    draws = False

    def __init__(self, batch: Batch, count: int) -> None:
        self.batch = batch
        self.count = count

    def __len__(self) -> int:
        return len(self.batch) * self.count

    def name(self, index: int) -> str:
        """Returns the name of every sample."""
        return "made up"

    def read(self, index: int, rng: np.random.Generator | None) -> int:
        """Returns the index: the batch is there already."""
        return index

    def placeholder(self) -> int:
        """Returns what `read` does."""
        return 0

    def collate(
        self,
        samples: Sequence[Any],
        *,
        unreadable: Sequence[Unreadable] = (),
        chunk: Chunk | None = None,
        weight: float = 1.0,
    ) -> Batch:
        """Returns as many videos of the batch as there are samples."""
        batch = self.batch
        if len(samples) < len(batch):
            batch = batch.part(0, len(samples))
        return replace(batch, chunk=chunk)


def batch_bytes(batch: Batch) -> int:
    """Returns the bytes of the videos of a batch, as they are stored and padded."""
    if isinstance(batch, ClipBatch):
        return batch.clips.nbytes
    assert isinstance(batch, FeatureBatch)
    return sum(feature.nbytes for feature in batch.features)


def pinned(batch: Batch, device: torch.device) -> Batch:
    """Returns the batch as a loader hands it over: for a GPU in page-locked memory."""
    return batch.pin_memory() if device.type == "cuda" else batch
