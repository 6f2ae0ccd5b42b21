"""Batches: what a data set makes of samples, and what the models' loops take.

Everything is uint8 as it was stored: dequantising and normalising happen on the device.

Shapes: B videos, K classes; L frames (padded) of D_m values; T segments of seglen frames.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from videozoo.data.augment import DevicePolicy
from videozoo.data.framing import Views
from videozoo.data.jitter import augment_clips
from videozoo.data.sample import Damaged, Unreadable
from videozoo.data.sampler import MicroBatch
from videozoo.data.transforms import cut_views

NO_LABEL = -100  # what PyTorch's losses leave out: their ignore_index


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Videos that go through a model together; FeatureBatch or ClipBatch.

    Attributes:
        videos: B ids.
        weights: float32 [B]: 1, or 0 for a placeholder that must not count.
        labels: of each video, as the subclass says.
        labelled: bool [B]: whether its classes are known.
        unreadable: samples of this batch that could not be read (not among the B).
        damaged: those of the B of which something is known to be missing.
        micro_batch: the part of a training step this is; None in an own loop.
        draws: float32 [B, D]: how the device changes each video (augment.DevicePolicy); None: not.
    """

    videos: list[str]
    weights: Tensor
    labels: Tensor
    labelled: Tensor
    unreadable: list[Unreadable] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    micro_batch: MicroBatch | None = None
    draws: Tensor | None = None

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def images(self) -> int:
        """The images that a view has for an image network; 0: such a batch goes through none."""
        return 0

    @property
    def view_count(self) -> int:
        """The views (crops and mirror images) that each video is scored by."""
        return 1

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """What an exported graph takes of the videos."""
        raise NotImplementedError

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

    def keeping(self, places: Tensor) -> Self:
        """Returns parts of the batch's one video as videos of their own.

        Args:
            places: int64 [S, n]: of each new video, the frames or segments that it has.
        """
        count = len(places)
        alike = self._each(lambda t: t.expand(count, *t.shape[1:]))  # no copies
        return replace(alike, videos=self.videos * count)._kept(places)

    def _kept(self, places: Tensor) -> Self:
        raise NotImplementedError

    def pictures(self) -> Tensor | None:
        """Returns what the first video shows, a frame a segment: uint8 [T, 3, H, W]; None: rows."""
        return None

    def view_part(self, start: int, stop: int, device: torch.device) -> Self:
        """Returns some views as videos of their own, on the device; the others stay on the host.

        Args:
            start: the first view; views are numbered video by video.
            stop: the one after the last.
            device: where these go.
        """
        return self.part(start, stop).to(device)

    def augmented(self, policy: DevicePolicy) -> Self:
        """Returns the batch with what the policy draws for its pixels done to it."""
        return self

    def mixed(self, num_classes: int) -> Self:
        """Mixes each video with the next one, the last with the first (mixup).

        A batch's order is random, so its neighbours are random partners. The first column of
        `draws` is each video's share in its mixture.

        Args:
            num_classes: K.

        Returns:
            The batch with float videos, and with labels float [B, K]: shares of each class.

        Source: H. Zhang, M. Cisse, Y. Dauphin, D. Lopez-Paz, "mixup: Beyond Empirical Risk
        Minimization", ICLR 2018, section 2.
        """
        assert self.draws is not None
        share, labels = self.draws[:, 0], self.labels  # [B]
        if labels.ndim == 1:
            labels = F.one_hot(labels.clamp(min=0), num_classes)  # [B, K]
        return replace(self._mixed_videos(share), labels=_mix(labels, share))

    def _mixed_videos(self, share: Tensor) -> Self:
        raise NotImplementedError

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        values: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Tensor):
                values[one.name] = change(value)
            elif isinstance(value, tuple):
                values[one.name] = tuple(change(v) for v in value)
        return replace(self, **values)


@dataclass(frozen=True, kw_only=True)
class FeatureBatch(Batch):
    """Videos as frame features, padded after their last frame.

    Attributes:
        features: one uint8 tensor [B, L, D_m] a modality.
        lengths: int64 [B]: the number of real frames of each video.
        labels: bool [B, K]; int64 [B], NO_LABEL where none is known, where a video has one class.
    """

    features: tuple[Tensor, ...]
    lengths: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The features of each modality, then the lengths."""
        return *self.features, self.lengths

    def _kept(self, places: Tensor) -> Self:
        videos = torch.arange(len(places))[:, None]  # [S, 1]
        return replace(
            self,
            features=tuple(feature[videos, places] for feature in self.features),  # [S, n, D_m]
            lengths=torch.full_like(self.lengths, places.shape[1]),
        )

    def _mixed_videos(self, share: Tensor) -> Self:
        """Mixes the frames that both videos have.

        Where the shorter one has ended, the longer one's frames stand as they are. So padding has
        no part in any frame.
        """
        frames = torch.arange(self.features[0].shape[1], device=self.lengths.device)  # [L]
        others = self.lengths.roll(-1)  # [B]
        mine, theirs = frames < self.lengths[:, None], frames < others[:, None]  # 2 x [B, L]
        shares = torch.where(mine & theirs, share[:, None], mine.float())  # [B, L]
        return replace(
            self,
            features=tuple(_mix(feature, shares) for feature in self.features),
            lengths=torch.maximum(self.lengths, others),
        )


@dataclass(frozen=True, kw_only=True)
class ClipBatch(Batch):
    """Videos as cropped frames.

    Attributes:
        clips: uint8 [B, T, seglen * 3, H, W].
        labels: int64 [B], NO_LABEL where none is known; bool [B, K] where a video may have many.
        views: what is cut out of the frames and scored; None: the frames as they are.
        sizes: int64 [B, 2]: height and width of each video's frames, where some are smaller than
            H x W and have zeros to their right or below; None: none is.
    """

    clips: Tensor
    views: Views | None = None
    sizes: Tensor | None = None

    @property
    def images(self) -> int:
        """The images that a view has for an image network: T."""
        return self.clips.shape[1]

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The clips alone."""
        return (self.clips,)

    @property
    def view_count(self) -> int:
        """The views (crops and mirror images) that each video is scored by."""
        return 1 if self.views is None else len(self.views)

    def _kept(self, places: Tensor) -> Self:
        videos = torch.arange(len(places))[:, None]  # [S, 1]
        return replace(self, clips=self.clips[videos, places])  # [S, n, seglen * 3, H, W]

    def pictures(self) -> Tensor:
        """Returns the middle frame of each segment of the first video: uint8 [T, 3, H, W]."""
        middle = self.clips.shape[2] // 3 // 2 * 3
        return self.clips[0, :, middle : middle + 3]  # [T, 3, H, W]

    def view_part(self, start: int, stop: int, device: torch.device) -> Self:
        """Cuts some views out of the frames, each a video of its own, see Batch.view_part."""
        if self.views is None:
            return super().view_part(start, stop, device)
        views = self.views
        first = start // len(views)
        part = self.part(first, -(-stop // len(views)))
        numbers = range(start - first * len(views), stop - first * len(views))
        videos = [number // len(views) for number in numbers]
        sizes = [self.clips.shape[-2:]] * len(part) if part.sizes is None else part.sizes.tolist()
        boxes = [
            views.boxes(*sizes[v])[n % len(views)] for n, v in zip(numbers, videos, strict=True)
        ]
        part = part.to(device)
        return replace(
            part,
            videos=[part.videos[video] for video in videos],
            weights=part.weights[videos],
            labels=part.labels[videos],
            labelled=part.labelled[videos],
            clips=cut_views(part.clips, videos, boxes, views.size),  # [views, T, 3*seglen, H, W]
            views=None,
            sizes=None,
        )

    def augmented(self, policy: DevicePolicy) -> Self:
        """Returns the batch with what the policy draws for its pixels done to it: float clips."""
        if self.draws is None:
            return self
        return replace(self, clips=augment_clips(self.clips, self.draws, policy))

    def _mixed_videos(self, share: Tensor) -> Self:
        return replace(self, clips=_mix(self.clips, share))


def unlabelled() -> dict[str, Any]:
    """Returns the fields that all batches have, for a graph: of its videos nothing is known."""
    none = torch.zeros(0)
    return {"videos": [], "weights": none, "labels": none, "labelled": none}


def _mix(values: Tensor, share: Tensor) -> Tensor:
    """Returns share * values + (1 - share) * the next one's values, float32."""
    values = values.float()
    share = share.reshape(*share.shape, *[1] * (values.ndim - share.ndim))
    return torch.lerp(values.roll(-1, dims=0), values, share)
