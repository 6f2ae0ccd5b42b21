"""What a family of models is: everything that differs between features and clips, in one object.

There are two: models on frame features, and models on clips of video. Loops, commands and reports
ask the family of a model's settings, and know neither.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from videozoo.addresses.places import brought
from videozoo.checkpoints.exports import GraphInput
from videozoo.config.ini import MODES
from videozoo.config.keys import Settings
from videozoo.data.augment import DevicePolicy
from videozoo.data.batch import Batch
from videozoo.data.dataset import VideoDataset
from videozoo.errors import Faults
from videozoo.metrics.losses import clip_loss, feature_loss

if TYPE_CHECKING:
    from torchmetrics import Metric

    from videozoo.encoders.recipe import Recipe
    from videozoo.timeline.windows import WindowSamples


@dataclass(frozen=True)
class Samples:
    """A data set and the class names that came with it.

    Attributes:
        dataset: the samples.
        class_names: one a class; None where neither the data nor label_file names them.
        notes: what was passed over or decided, for people.
    """

    dataset: VideoDataset
    class_names: list[str] | None
    notes: list[str] = field(default_factory=list)


class Family(ABC):
    """What a family does with the settings of one mode.

    Attributes:
        settings: of the mode.
        takes_videos: it reads video files, not records of features.
        monitor_of_many: the metric whose highest value is best, where a video may have many
            classes.
    """

    takes_videos: bool
    monitor_of_many: str

    def __init__(self, settings: Settings) -> None:
        self.settings: Any = settings

    @abstractmethod
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
        """Opens a list file, folder, csv or glob; or several paths.

        `dataset.prepare` is to be called before samples are read.

        Args:
            source: what to open; a sequence means videos or shards without labels.
            augment: draw frames, crops and flips (training).
            labelled: every sample needs a label.
            class_names: known from elsewhere, such as a checkpoint.
            recipe: how videos become the model's rows, as its checkpoint says.
            progress: told how many shards are indexed, and of how many.

        Raises:
            VideozooError: something is missing, or does not fit num_classes.
        """

    @abstractmethod
    def windows(self, video: str, recipe: Recipe | None, device: torch.device) -> WindowSamples:
        """Returns what makes samples of windows of a video while it is decoded.

        Args:
            video: a file, or an address.
            recipe: how videos become the model's rows, as its checkpoint says.
            device: where what takes computing is computed.

        Raises:
            VideozooError: the model takes no videos.
        """

    @abstractmethod
    def inputs(self, eigenvalues: Tensor | None = None) -> nn.Module:
        """Returns the preprocessing: a batch in, the arguments of the model out.

        Args:
            eigenvalues: float32 [D] that un-whiten rgb, where the model wants that.
        """

    @abstractmethod
    def graph_inputs(self) -> list[GraphInput]:
        """Returns what an exported graph takes: see Batch.tensors."""

    @abstractmethod
    def graph_batch(self, tensors: Sequence[Tensor]) -> Batch:
        """Returns the batch that such tensors are."""

    def eigenvalues(self) -> Tensor | None:
        """Returns what un-whitens the inputs, where the settings name a file of it."""
        return None

    @property
    def loss(self) -> Callable[..., Tensor]:
        """The loss of each video of a batch: metrics.losses says what it takes and gives.

        An unlabelled video's means nothing.
        """
        return feature_loss if self.settings.multi_label else clip_loss

    @property
    def monitor(self) -> str:
        """The metric whose highest value is best."""
        return self.monitor_of_many if self.settings.multi_label else "top1"

    def metric(self) -> Metric:
        """Returns what measures a classifier, with nothing taken in yet."""
        from videozoo.metrics import ClipMetrics

        if self.settings.multi_label:
            return self.metric_of_many()
        return ClipMetrics(num_classes=self.settings.num_classes)

    def class_metric(self, *, videos: int, thresholds: Tensor | None) -> Metric | None:
        """Returns what measures each class beside `metric`; None: there is nothing more to know.

        Args:
            videos: most that will be taken in, in all processes.
            thresholds: float [K], the scores from which classes are named; None: not known.
        """
        from videozoo.metrics.class_metrics import AtThresholds, OneVersusRest

        if not self.settings.multi_label:
            return OneVersusRest(num_classes=self.settings.num_classes, videos=videos)
        return None if thresholds is None else AtThresholds(thresholds=thresholds)

    @abstractmethod
    def metric_of_many(self) -> Metric:
        """Returns what measures a classifier of videos that may have many classes."""

    def describe(self) -> dict[str, Any]:
        """Returns what is done to a video before the model, as results and checkpoints state it."""
        described: dict[str, Any] = self.settings.preprocessing()
        return described

    def reader(self) -> dict[str, str]:
        """Returns what else scores depend on: libraries that read, with their versions."""
        return {}

    def policy(self) -> DevicePolicy:
        """Returns what is done to a training batch on the device."""
        return DevicePolicy(mixup_alpha=self.settings.mixup_alpha)

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


def each_brought(source: str | Sequence[str]) -> str | list[str]:
    """Returns the paths of what a data set is opened from; those of addresses stand for them.

    Raises:
        VideozooError: names every address that gives nothing.
    """
    if isinstance(source, str):
        return str(brought(source))
    return [str(path) for path in each_once(source, lambda one: [brought(one)])]


def each_once(paths: Iterable[str], find: Callable[[str], list[Path]]) -> list[Path]:
    """Returns the files that several paths lead to, each once.

    Raises:
        VideozooError: names every path that leads to nothing.
    """
    faults = Faults()
    found: dict[Path, None] = {}
    for path in paths:
        with faults.noting():
            found.update(dict.fromkeys(find(path)))
    faults.raise_if_any()
    return list(found)
