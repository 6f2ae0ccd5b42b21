"""The family of models on frame features of videos, as YouTube-8M has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from videozoo.config.feature_keys import FeatureSettings
from videozoo.data.batch import Batch, FeatureBatch
from videozoo.data.transforms import dequantise, unwhiten
from videozoo.data.youtube8m.dataset import YouTube8MDataset
from videozoo.data.youtube8m.frames import sample_cluster_frames, sample_kept_frames
from videozoo.data.youtube8m.shards import list_shards
from videozoo.errors import VideozooError
from videozoo.families.family import Family, Samples, each_once

if TYPE_CHECKING:
    from torchmetrics import Metric


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


class FeatureFamily(Family):
    """Frame features of a video in, classes out."""

    settings: FeatureSettings
    takes_videos = False
    monitor = "gap"

    def open(
        self,
        source: str | Sequence[str],
        *,
        augment: bool = False,
        labelled: bool = True,
        class_names: Sequence[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Samples:
        """Opens TFRecord or pickle shards; see Family.open."""
        settings = self.settings
        shards = list_shards(source) if isinstance(source, str) else each_once(source, list_shards)
        frames = None
        if settings.frames_sampled is not None:
            frames = partial(sample_cluster_frames, seg_num=settings.frames_sampled)
        if augment and settings.frame_drop:
            frames = partial(sample_kept_frames, drop=settings.frame_drop, frames=frames)
        dataset = YouTube8MDataset(
            shards,
            feature_names=settings.feature_names,
            feature_dims=settings.feature_dims,
            num_classes=settings.num_classes,
            frames=frames,
            labelled=labelled,
            progress=progress,
        )
        return Samples(dataset, None if class_names is None else list(class_names))

    def inputs(self, eigenvalues: Tensor | None = None) -> nn.Module:
        """Returns what makes float features of a batch."""
        return FeatureInputs(feature_names=self.settings.feature_names, eigenvalues=eigenvalues)

    def eigenvalues(self) -> Tensor | None:
        """Reads what un-whitens rgb, where the settings name a file of it.

        Raises:
            VideozooError: the file is missing or holds something else.
        """
        settings = self.settings
        if settings.whitening is None or "rgb" not in settings.feature_names:
            return None
        width = settings.feature_dims[settings.feature_names.index("rgb")]
        return read_eigenvalues(settings.whitening, width)

    def metric(self) -> Metric:
        """Returns YouTube-8M's metrics, with nothing taken in yet."""
        from videozoo.metrics import YouTube8MMetrics

        return YouTube8MMetrics(num_classes=self.settings.num_classes, top_k=self.settings.topk)

    def describe(self) -> dict[str, Any]:
        """Returns what is done to a video before the model, as results and checkpoints state it."""
        settings = self.settings
        frames: dict[str, Any] = {"frames": "all"}
        if settings.frames_sampled is not None:
            frames = {"frames": settings.frames_sampled, "sampling": "evenly, with repeats"}
        return {
            **frames,
            "feature_names": list(settings.feature_names),
            "feature_dims": list(settings.feature_dims),
            "dequantise": "v * 4 / 255 + 4 / 512 - 2",
        }


def sampled(batch: FeatureBatch, count: int) -> FeatureBatch:
    """Takes `count` frames of each video as AttentionCluster does in test (`cluster_frames`).

    Args:
        batch: features [B, L, D].
        count: S.

    Returns:
        A batch of features [B, S, D]; short videos repeat frames.
    """
    middles = torch.arange(count, device=batch.lengths.device, dtype=torch.float64) + 0.5  # [S]
    places = (middles * batch.lengths[:, None] / count).long()  # [B, S]
    places = places.minimum(batch.lengths[:, None] - 1)  # [B, S]
    rows = torch.arange(len(places), device=places.device)[:, None]  # [B, 1]
    return replace(
        batch,
        features=tuple(feature[rows, places] for feature in batch.features),
        lengths=torch.full_like(batch.lengths, count),
    )


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
