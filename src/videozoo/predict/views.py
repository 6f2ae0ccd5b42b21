"""The views (crops and mirror images) that a clip is scored by, and the mean of their scores."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from videozoo.config.clip_keys import ClipSettings
from videozoo.data.batches import Batch, ClipBatch
from videozoo.data.framing import Views
from videozoo.data.transforms import cut_views


def protocol_views(settings: ClipSettings) -> Views | None:
    """Returns the views that the settings ask for; None: the centre alone."""
    if settings.test_crop == "centre" and not settings.test_flip:
        return None
    size = settings.short_size if settings.test_crop == "three" else settings.target_size
    return Views(size, settings.test_crop, settings.test_flip)


def describe_views(settings: ClipSettings) -> dict[str, str | int]:
    """Returns what is cut out of frames, as results and checkpoints state it."""
    views = protocol_views(settings)
    if views is None:
        return {"crop": f"{settings.target_size} px centre"}
    crops = {"centre": "centre", "three": "both ends and middle of the longer side"}
    what = crops.get(views.crops, "four corners and centre")
    mirrored = " and mirror images" if views.mirrors else ""
    return {
        "crop": f"{views.size} px {what}{mirrored}",
        "views": len(views),
        "score": "mean of the views' scores",
    }


def views_of(batch: Batch) -> int:
    """Returns how many views each video of a batch is scored by."""
    return len(batch.views) if isinstance(batch, ClipBatch) and batch.views is not None else 1


def views_at(batch: Batch, start: int, stop: int, device: torch.device) -> Batch:
    """Cuts some views of a batch's videos, on the device.

    Args:
        batch: on the host. Its views are numbered video by video.
        start: the first view.
        stop: the one behind the last.
        device: where the videos go, those of these views alone.

    Returns:
        A batch in which each view is a video of its own.
    """
    if not isinstance(batch, ClipBatch) or batch.views is None:
        return batch.part(start, stop).to(device)
    views = batch.views
    first = start // len(views)
    part = batch.part(first, -(-stop // len(views)))
    numbers = range(start - first * len(views), stop - first * len(views))
    videos = [number // len(views) for number in numbers]
    sizes = [part.clips.shape[-2:]] * len(part) if part.sizes is None else part.sizes.tolist()
    boxes = [views.boxes(*sizes[v])[n % len(views)] for n, v in zip(numbers, videos, strict=True)]
    part = part.to(device)
    cut = cut_views(part.clips, videos, boxes, views.size)  # [views, T, 3 * seglen, size, size]
    return replace(
        part,
        videos=[part.videos[video] for video in videos],
        weights=part.weights[videos],
        labels=part.labels[videos],
        clips=cut,
        views=None,
        sizes=None,
    )


def mean_logits(logits: Tensor, multi_label: bool) -> Tensor:
    """Returns logits whose scores are the mean of the views' scores.

    Computed from logarithms, so that a score that is nearly 0 has a logit too.

    Args:
        logits: float32 [B, V, K] of V views.
        multi_label: scores are sigmoids; else softmax over the classes.

    Returns:
        float32 [B, K].
    """
    if multi_label:
        yes = F.logsigmoid(logits).logsumexp(dim=1)  # [B, K]
        no = F.logsigmoid(-logits).logsumexp(dim=1)  # [B, K]
        return yes - no
    return logits.log_softmax(dim=2).logsumexp(dim=1) - math.log(logits.shape[1])  # [B, K]
