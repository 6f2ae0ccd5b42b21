"""The family of models on frame features of videos, as YouTube-8M has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from videozoo.addresses.places import is_file
from videozoo.checkpoints.exports import GraphInput
from videozoo.config.feature_keys import FeatureSettings
from videozoo.data.batch import Batch, FeatureBatch, unlabelled
from videozoo.data.clips.clip_files import why_missing
from videozoo.data.transforms import dequantise, unwhiten
from videozoo.data.youtube8m.dataset import ChooseFrames, YouTube8MDataset
from videozoo.data.youtube8m.frames import sample_cluster_frames, sample_kept_frames
from videozoo.data.youtube8m.shards import list_shards
from videozoo.errors import VideozooError
from videozoo.families.eigenvalues import read_eigenvalues
from videozoo.families.family import Family, Samples, each_brought, each_once
from videozoo.families.videos import holds_videos, open_videos

if TYPE_CHECKING:
    from torchmetrics import Metric

    from videozoo.data.clips.clip_list import ClipEntry
    from videozoo.encoders.encoded_videos import EncodedVideos
    from videozoo.encoders.recipe import Recipe
    from videozoo.timeline.windows import WindowSamples


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
    monitor_of_many = "gap"

    @property
    def takes_videos(self) -> bool:  # type: ignore[override]
        """It is trained on videos, encoded on the way."""
        return self.settings.encoder is not None

    def open(
        self,
        source: str | Sequence[str],
        *,
        augment: bool = False,
        labelled: bool = True,
        class_names: Sequence[str] | None = None,
        recipe: Recipe | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Samples:
        """Opens TFRecord or pickle shards; or videos, where an encoder is known; see Family.open.

        Raises:
            VideozooError: videos are given to a model of YouTube-8M's own features.
        """
        from videozoo.encoders.recipe import stored_recipe

        settings, source = self.settings, each_brought(source)
        for one in [source] if isinstance(source, str) else source:
            if not Path(one).exists() and (why := why_missing(one)):
                raise VideozooError(f"{one}: {why}")
        takes = recipe is not None or settings.encoder is not None
        if holds_videos(source, otherwise=takes):
            recipe = recipe or self._recipe(source)
            listing = open_videos(source, settings, labelled=labelled, class_names=class_names)
            videos = self._encoded(listing.entries, recipe, augment=augment)
            return Samples(videos, listing.class_names, listing.notes)
        shards = list_shards(source) if isinstance(source, str) else each_once(source, list_shards)
        dataset = YouTube8MDataset(
            shards,
            feature_names=settings.feature_names,
            feature_dims=settings.feature_dims,
            num_classes=settings.num_classes,
            frames=self._frames(augment=augment),
            labelled=labelled,
            multi_label=settings.multi_label,
            progress=progress,
        )
        dataset.recipe = stored_recipe(shards[0].parent)
        for folder in sorted({shard.parent for shard in shards}):
            check_recipe(recipe or dataset.recipe, folder)
        return Samples(dataset, None if class_names is None else list(class_names))

    def _frames(self, *, augment: bool) -> ChooseFrames | None:
        """Returns what chooses among a video's frames; None: all are taken."""
        settings, frames = self.settings, None
        if settings.frames_sampled is not None:
            frames = partial(sample_cluster_frames, seg_num=settings.frames_sampled)
        if augment and settings.frame_drop:
            frames = partial(sample_kept_frames, drop=settings.frame_drop, frames=frames)
        return frames

    def _recipe(self, source: str | Sequence[str]) -> Recipe:
        """Returns how the config says that videos become rows.

        Raises:
            VideozooError: it names no encoder, or there is none of that name.
        """
        from videozoo.encoders.find import open_encoder, recipe_of
        from videozoo.encoders.recipe import Sampling

        settings = self.settings
        if settings.encoder is None:
            what = source if isinstance(source, str) else source[0]
            raise VideozooError(
                f"{what}: holds videos, but this {settings.NAME} takes records of features"
                f" ({', '.join(settings.feature_names)}) made elsewhere, such as YouTube-8M's own;"
                " give --weights a checkpoint that takes videos, such as"
                " checkpoints/LINEAR_best.safetensors, or train a model that takes"
                " videos: videozoo train FOLDER"
            )
        sampling = Sampling(
            settings.rows_per_second,
            settings.max_rows,
            settings.spread_rows,
            settings.sound,
            settings.motion,
        )
        return recipe_of(open_encoder(settings.encoder, torch.device("cpu")), sampling)

    def _encoded(
        self, entries: Sequence[ClipEntry], recipe: Recipe, *, augment: bool
    ) -> EncodedVideos:
        from videozoo.encoders.encoded_videos import EncodedVideos

        settings = self.settings
        check_dims(settings, recipe)
        return EncodedVideos(
            entries,
            recipe=recipe,
            feature_names=settings.feature_names,
            num_classes=settings.num_classes,
            multi_label=settings.multi_label,
            rows=self._frames(augment=augment),
            cached=settings.cache_rows,
        )

    def windows(self, video: str, recipe: Recipe | None, device: torch.device) -> WindowSamples:
        """Returns what makes rows of windows of a video; see Family.windows."""
        from videozoo.timeline.rows import RowWindows

        recipe = recipe or self._recipe(video)
        return RowWindows(self._encoded([], recipe, augment=False), device)

    def inputs(self, eigenvalues: Tensor | None = None) -> nn.Module:
        """Returns what makes float features of a batch.

        Raises:
            VideozooError: the eigenvalues are not those of rgb.
        """
        widths = dict(zip(self.settings.feature_names, self.settings.feature_dims, strict=True))
        if eigenvalues is not None and "rgb" in widths:
            shape, dtype = tuple(eigenvalues.shape), eigenvalues.dtype
            if shape != (widths["rgb"],) or dtype != torch.float32:
                raise VideozooError(
                    f"the checkpoint's eigenvalues are {dtype} {list(shape)}, but rgb has"
                    f" {widths['rgb']} values; get it again"
                )
        return FeatureInputs(feature_names=self.settings.feature_names, eigenvalues=eigenvalues)

    def graph_inputs(self) -> list[GraphInput]:
        """Returns the features of each modality and the lengths."""
        widths = zip(self.settings.feature_names, self.settings.feature_dims, strict=True)
        features = [GraphInput(n, "uint8", ("batch", "length", width)) for n, width in widths]
        return [*features, GraphInput("lengths", "int64", ("batch",))]

    def graph_batch(self, tensors: Sequence[Tensor]) -> Batch:
        """Returns the features of unlabelled videos."""
        return FeatureBatch(**unlabelled(), features=tuple(tensors[:-1]), lengths=tensors[-1])

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

    def metric_of_many(self) -> Metric:
        """Returns YouTube-8M's metrics, with nothing taken in yet."""
        from videozoo.metrics import YouTube8MMetrics

        return YouTube8MMetrics(num_classes=self.settings.num_classes, top_k=self.settings.topk)


def check_dims(settings: FeatureSettings, recipe: Recipe) -> None:
    """Checks that an encoder gives the modalities that a config names.

    Raises:
        VideozooError: one is missing, or has another width.
    """
    for name, dim in zip(settings.feature_names, settings.feature_dims, strict=True):
        if recipe.dims.get(name) != dim:
            has = ", ".join(f"{name} ({width})" for name, width in recipe.dims.items())
            raise VideozooError(
                f"feature_names and feature_dims ask for {name} ({dim}), the encoder"
                f" {recipe.encoder} gives {has}"
            )


def check_recipe(recipe: Recipe | None, folder: Path) -> None:
    """Checks that records were made as a model's own rows were, where that is known of both.

    Args:
        recipe: of the model, or of other records.
        folder: where the records lie.

    Raises:
        VideozooError: they were made in another way.
    """
    from videozoo.encoders.recipe import RECIPE_FILE, stored_recipe

    if recipe is None or not is_file(folder / RECIPE_FILE):
        return
    other = stored_recipe(folder)
    names = ["version of videozoo"] if other is None else recipe.differences(other)
    if names:
        raise VideozooError(
            f"{folder}: holds features made with another {' and '.join(names)} than those that the"
            " model was trained on; give the videos themselves, or make their features with"
            " videozoo prepare features OUT VIDEOS --encoder WEIGHTS.safetensors"
        )


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
