"""From uint8 batches to a model's inputs, on the device: the one preprocessing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from videozoo.config.clip_keys import ClipSettings
from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import Settings
from videozoo.data.batches import Batch, ClipBatch, FeatureBatch
from videozoo.data.transforms import dequantise, normalise_clips, unwhiten
from videozoo.errors import VideozooError
from videozoo.predict.views import describe_views


class FeatureInputs(nn.Module):
    """Dequantises frame features and un-whitens rgb.

    Args:
        feature_names: the modalities.
        eigenvalues: float32 [D] that un-whiten the modality "rgb"; None: it is left as it is.
    """

    eigenvalues: Tensor | None

    def __init__(self, *, feature_names: Sequence[str], eigenvalues: Tensor | None = None) -> None:
        super().__init__()
        self.feature_names = tuple(feature_names)
        self.register_buffer("eigenvalues", eigenvalues, persistent=False)

    def forward(self, batch: Batch) -> tuple[list[Tensor], Tensor]:
        """Returns float features [B, L, D_m] by modality, and lengths [B]."""
        assert isinstance(batch, FeatureBatch)
        features = []
        for name, quantised in zip(self.feature_names, batch.features, strict=True):
            values = dequantise(quantised)  # [B, L, D_m]
            if name == "rgb" and self.eigenvalues is not None:
                values = unwhiten(values, self.eigenvalues)  # [B, L, D_m]
            features.append(values)
        return features, batch.lengths


class ClipInputs(nn.Module):
    """Scales pixels to 0..1 and normalises them by colour.

    Args:
        mean: of red, green and blue.
        std: of red, green and blue.
    """

    def __init__(self, *, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean = tuple(mean)
        self.std = tuple(std)

    def forward(self, batch: Batch) -> tuple[Tensor]:
        """Returns float clips [B, T, 3 * seglen, H, W]."""
        assert isinstance(batch, ClipBatch)
        return (normalise_clips(batch.clips, self.mean, self.std),)


class Classifier(nn.Module):
    """Preprocessing and model in one: a batch of uint8 in, logits out.

    Args:
        inputs: the preprocessing.
        model: one of videozoo.models.
        multi_label: scores are sigmoids, a video may have many classes; else softmax.
    """

    def __init__(self, *, inputs: nn.Module, model: nn.Module, multi_label: bool) -> None:
        super().__init__()
        self.inputs = inputs
        self.model = model
        self.multi_label = multi_label

    def forward(self, batch: Batch) -> Tensor:
        """Returns logits, float [B, K]."""
        return cast(Tensor, self.model(*self.inputs(batch)))

    def scores(self, logits: Tensor) -> Tensor:
        """Returns scores between 0 and 1, float32 [B, K]."""
        logits = logits.float()
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)


def build_classifier(settings: Settings, eigenvalues: Tensor | None = None) -> Classifier:
    """Builds the model that `settings` describe, with random weights.

    Args:
        settings: of any mode.
        eigenvalues: float32 [D]; see FeatureInputs.
    """
    from videozoo.specs import find_spec

    inputs: nn.Module
    if isinstance(settings, FeatureSettings):
        inputs = FeatureInputs(feature_names=settings.feature_names, eigenvalues=eigenvalues)
    else:
        assert isinstance(settings, ClipSettings)
        inputs = ClipInputs(mean=settings.image_mean, std=settings.image_std)
    model = find_spec(settings.NAME).build(settings)
    return Classifier(inputs=inputs, model=model, multi_label=settings.multi_label)


def read_eigenvalues(path: str, width: int) -> Tensor:
    """Reads the eigenvalues that un-whiten rgb.

    Args:
        path: .npy file of float32 [2048, 1] as Google published it, or any [>= width] values.
        width: values needed: the width of rgb.

    Returns:
        float32 [width].

    Raises:
        VideozooError: the file is missing, is no .npy array, or holds too few values.
    """
    if not Path(path).is_file():
        raise VideozooError(
            f"eigen_file {path}: no such file; it is eigenvals.npy of YouTube-8M's PCA matrix,"
            " or set MODEL.eigen_file=None for features that are not whitened"
        )
    try:
        values = np.load(path, allow_pickle=False).astype(np.float32).reshape(-1)
    except (ValueError, OSError, EOFError) as error:
        raise VideozooError(f"eigen_file {path}: not a .npy array: {error}") from None
    if len(values) < width:
        raise VideozooError(f"eigen_file {path}: has {len(values)} values, rgb needs {width}")
    if not np.isfinite(values[:width]).all() or (values[:width] < 0).any():
        raise VideozooError(f"eigen_file {path}: eigenvalues must be finite and not negative")
    return torch.from_numpy(values[:width].copy())


def describe_preprocessing(settings: Settings) -> dict[str, Any]:
    """Returns what is done to a video before the model, as results and checkpoints state it."""
    if isinstance(settings, ClipSettings):
        return {
            "segments": settings.seg_num,
            "frames_per_segment": settings.seglen,
            "frame_interval": settings.frame_interval,
            "sampling": "centre of each segment",
            "short_size": settings.short_size,
            "resize": settings.resize,
            "resize_with": settings.resize_with,
            **describe_views(settings),
            "image_mean": list(settings.image_mean),
            "image_std": list(settings.image_std),
        }
    assert isinstance(settings, FeatureSettings)
    sampled = settings.frames_sampled
    return {
        **(
            {"frames": sampled, "sampling": "evenly, with repeats"}
            if sampled
            else {"frames": "all"}
        ),
        "feature_names": list(settings.feature_names),
        "feature_dims": list(settings.feature_dims),
        "dequantise": "v * 4 / 255 + 4 / 512 - 2",
    }
