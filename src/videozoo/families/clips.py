"""The family of models on clips: the frames of videos, as Kinetics has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from videozoo.config.clip_keys import ClipSettings
from videozoo.config.ini import MODES
from videozoo.config.keys import Settings
from videozoo.data.augment import DevicePolicy
from videozoo.data.batch import Batch, ClipBatch
from videozoo.data.framing import Views
from videozoo.data.sample import label_fault
from videozoo.data.transforms import normalise_clips
from videozoo.errors import VideozooError
from videozoo.families.family import Family, Samples, each_once

if TYPE_CHECKING:
    from torchmetrics import Metric

    from videozoo.data.clips.clip_list import ClipEntry


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

    @property
    def monitor(self) -> str:  # type: ignore[override]
        """The metric whose highest value is best."""
        return "map" if self.settings.multi_label else "top1"

    def open(
        self,
        source: str | Sequence[str],
        *,
        augment: bool = False,
        labelled: bool = True,
        class_names: Sequence[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Samples:
        """Opens videos and Kinetics pickles; see Family.open."""
        # FFmpeg comes with what is read, not with a model that is loaded.
        from videozoo.data.clips.clip_files import expand_path
        from videozoo.data.clips.clip_list import ClipEntry, read_listing
        from videozoo.data.clips.dataset import ClipDataset

        settings = self.settings
        names = None if class_names is None else list(class_names)
        if isinstance(source, str):
            listing = read_listing(
                source,
                class_names=names,
                video_folder=Path(settings.video_folder) if settings.video_folder else None,
                labelled=labelled,
                multi_label=settings.multi_label,
            )
            entries, names = listing.entries, names or listing.class_names
            check_labels(entries, settings.num_classes, source)
        else:
            found = each_once(source, expand_path)
            entries = [ClipEntry(path, None, str(path)) for path in found]
        dataset = ClipDataset(
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
        return Samples(dataset, names)

    def inputs(self, eigenvalues: Tensor | None = None) -> nn.Module:
        """Returns what makes float clips of a batch."""
        return ClipInputs(mean=self.settings.image_mean, std=self.settings.image_std)

    def metric(self) -> Metric:
        """Returns what measures one class a clip, or many."""
        from videozoo.metrics import ClipMetrics, MultiLabelMetrics

        metric = MultiLabelMetrics if self.settings.multi_label else ClipMetrics
        return metric(num_classes=self.settings.num_classes)

    def views(self) -> Views | None:
        """Returns the views that a clip is scored by; None: the centre alone."""
        settings = self.settings
        if settings.test_crop == "centre" and not settings.test_flip:
            return None
        size = settings.short_size if settings.test_crop == "three" else settings.target_size
        return Views(size, settings.test_crop, settings.test_flip)

    def describe(self) -> dict[str, Any]:
        """Returns what is done to a video before the model, as results and checkpoints state it."""
        settings = self.settings
        return {
            "segments": settings.seg_num,
            "frames_per_segment": settings.seglen,
            "frame_interval": settings.frame_interval,
            "sampling": "centre of each segment",
            "short_size": settings.short_size,
            "resize": settings.resize,
            "resize_with": settings.resize_with,
            **self._describe_views(),
            "image_mean": list(settings.image_mean),
            "image_std": list(settings.image_std),
        }

    def _describe_views(self) -> dict[str, str | int]:
        views = self.views()
        if views is None:
            return {"crop": f"{self.settings.target_size} px centre"}
        crops = {"centre": "centre", "three": "both ends and middle of the longer side"}
        what = crops.get(views.crops, "four corners and centre")
        mirrored = " and mirror images" if views.mirrors else ""
        return {
            "crop": f"{views.size} px {what}{mirrored}",
            "views": len(views),
            "score": "mean of the views' scores",
        }

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

    def faults(self, modes: dict[str, Settings]) -> list[str]:
        """Returns what does not fit together in the settings of the modes."""
        wanted = self.settings.multi_label
        others = [f"[{mode}]" for mode in MODES if modes[mode].multi_label != wanted]
        if not others:
            return []
        return [
            f"multi_label is {wanted} in [TRAIN] and {not wanted} in {', '.join(others)};"
            " give it in [MODEL], for all modes alike"
        ]


def check_labels(entries: Sequence[ClipEntry], num_classes: int, source: str) -> None:
    """Checks that the labels of a list are classes.

    Args:
        entries: of the list.
        num_classes: K.
        source: the list.

    Raises:
        VideozooError: one is out of range.
    """
    lowest = min((label for entry in entries for label in entry.labels or ()), default=0)
    for entry in entries:
        labels, of = entry.labels or (), f" of {entry.video}"
        if fault := label_fault(labels, num_classes, of=of, lowest=lowest):
            raise VideozooError(f"{source}: {fault}; check the list and num_classes")
