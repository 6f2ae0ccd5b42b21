"""A made-up batch of a model's config, for benchmarks and tests: random bytes, always the same."""

from __future__ import annotations

import numpy as np

from videozoo.config.keys import Settings
from videozoo.data.batch import Batch
from videozoo.data.collate import collate_clips, collate_features
from videozoo.data.sample import ClipSample, FeatureSample

LABELS = 3  # of a video of features


def make_batch(settings: Settings, frames: tuple[int, int] = (300, 300)) -> Batch:
    """Makes a batch of `batch_size` videos of random bytes and random labels.

    Args:
        settings: of the model.
        frames: of the shortest and of the longest video, where the model takes features; the
            others lie evenly between them, in mixed order.
    """
    rng = np.random.default_rng(0)
    count, classes = settings.batch_size, settings.num_classes
    dims = getattr(settings, "feature_dims", None)
    if dims is None:
        size = settings.target_size
        shape = (settings.seg_num, settings.seglen * 3, size, size)
        clips = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]
        return collate_clips(
            [ClipSample("made up", c, (int(rng.integers(classes)),)) for c in clips]
        )
    samples = []
    for n in rng.permutation(np.linspace(*frames, count).round().astype(int)):
        features = tuple(rng.integers(0, 256, (n, dim), dtype=np.uint8) for dim in dims)
        labels = np.unique(rng.integers(classes, size=LABELS))
        samples.append(FeatureSample("made up", features, labels))
    return collate_features(samples, num_classes=classes)


def describe_shape(settings: Settings, frames: tuple[int, int]) -> str:
    """Returns the batch in words: "16 x 300", "16 x 120-300" frames, "4 x 3x1 x 224" pixels."""
    if not hasattr(settings, "feature_dims"):
        sampled = f"{settings.seg_num}x{settings.seglen}"
        return f"{settings.batch_size} x {sampled} x {settings.target_size}"
    shortest, longest = frames
    return f"{settings.batch_size} x {longest if shortest == longest else f'{shortest}-{longest}'}"
