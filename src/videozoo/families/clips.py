"""The family of models on clips: the frames of videos, as Kinetics has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from videozoo.checkpoints.exports import GraphInput
from videozoo.config.clip_keys import ClipSettings
from videozoo.data.augment import DevicePolicy
from videozoo.data.batch import Batch, ClipBatch, unlabelled
from videozoo.data.framing import Views
from videozoo.data.transforms import normalise_clips
from videozoo.families.family import Family, Samples, each_brought
from videozoo.families.videos import open_videos, refuse_records

if TYPE_CHECKING:
    from torchmetrics import Metric

    from videozoo.data.clips.clip_list import ClipEntry
    from videozoo.data.clips.dataset import ClipDataset
    from videozoo.encoders.recipe import Recipe
    from videozoo.timeline.windows import WindowSamples


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


class ClipFamily(Family):
    """Frames of a video in, classes out."""

    settings: ClipSettings
    takes_videos = True
    monitor_of_many = "map"

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
        """Opens videos and Kinetics pickles; see Family.open.

        Raises:
            VideozooError: records of features are given.
        """
        settings, source = self.settings, each_brought(source)
        folder = Path(settings.video_folder) if settings.video_folder else None
        refuse_records(map(Path, [source] if isinstance(source, str) else source), settings.NAME)
        listing = open_videos(
            source, settings, labelled=labelled, class_names=class_names, video_folder=folder
        )
        refuse_records((entry.path for entry in listing.entries), settings.NAME)
        dataset = self._dataset(listing.entries, augment=augment, labelled=labelled)
        return Samples(dataset, listing.class_names, listing.notes)

    def _dataset(
        self, entries: Sequence[ClipEntry], *, augment: bool = False, labelled: bool = False
    ) -> ClipDataset:
        # FFmpeg comes with what is read, not with a model that is loaded.
        from videozoo.data.clips.dataset import ClipDataset

        settings = self.settings
        return ClipDataset(
            entries,
            num_classes=settings.num_classes,
            seg_num=settings.seg_num,
            seglen=settings.seglen,
            frame_interval=settings.frame_interval,
            short_size=settings.short_size,
            target_size=settings.target_size,
            resize=settings.resize,
            augment=augment,
            flip=settings.flip,
            random_resized_crop=settings.random_resized_crop,
            scale_jitter=settings.scale_jitter,
            resize_with=settings.resize_with,
            labelled=labelled,
            multi_label=settings.multi_label,
            views=None if augment else self.views(),
        )

    def windows(self, video: str, recipe: Recipe | None, device: torch.device) -> WindowSamples:
        """Returns what makes clips of windows of a video; see Family.windows."""
        from videozoo.timeline.clips import ClipWindows

        return ClipWindows(self._dataset([]))

    def inputs(self, eigenvalues: Tensor | None = None) -> nn.Module:
        """Returns what makes float clips of a batch."""
        return ClipInputs(mean=self.settings.image_mean, std=self.settings.image_std)

    def graph_inputs(self) -> list[GraphInput]:
        """Returns the clips, a view of each."""
        settings, views = self.settings, self.views()
        side = settings.target_size if views is None else views.size
        shape = ("batch", "segments", 3 * settings.seglen, side, side)
        return [GraphInput("clips", "uint8", shape)]

    def graph_batch(self, tensors: Sequence[Tensor]) -> Batch:
        """Returns unlabelled clips."""
        return ClipBatch(**unlabelled(), clips=tensors[0])

    def metric_of_many(self) -> Metric:
        """Returns average precision, with nothing taken in yet."""
        from videozoo.metrics import MultiLabelMetrics

        return MultiLabelMetrics(num_classes=self.settings.num_classes)

    def views(self) -> Views | None:
        """Returns the views that a clip is scored by; None: the centre alone."""
        settings = self.settings
        if settings.test_crop == "centre" and not settings.test_flip:
            return None
        size = settings.short_size if settings.test_crop == "three" else settings.target_size
        return Views(size, settings.test_crop, settings.test_flip)

    def reader(self) -> dict[str, str]:
        """Returns what decodes videos."""
        from videozoo.video.reader import decoder_version

        return {"decoder": decoder_version()}

    def policy(self) -> DevicePolicy:
        """Returns what is done to a training batch on the device."""
        jitter, operations = self.settings.color_jitter, self.settings.rand_augment
        return replace(
            super().policy(),
            color_jitter=(jitter[0], jitter[1], jitter[2], jitter[3]) if jitter else None,
            rand_augment=(operations[0], operations[1]) if operations else None,
        )
