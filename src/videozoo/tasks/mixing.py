"""Mixup: videos of a batch are mixed with their neighbours, and so are their labels.

H. Zhang, M. Cisse, Y. Dauphin, D. Lopez-Paz: "mixup: Beyond Empirical Risk Minimization", ICLR
2018, section 2. A batch's order is random, so its neighbours are random partners.

Shapes: B videos, L frames (padded), K classes.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from videozoo.data.batches import Batch, ClipBatch
from videozoo.models.layers import frame_mask


def mixed(batch: Batch, *, num_classes: int) -> Batch:
    """Mixes each video with the next one, the last with the first.

    Of two videos as frame features, the frames that both have are mixed; where the shorter one has
    ended, the longer one's frames stand as they are. So padding has no part in any frame.

    Args:
        batch: with `draws`, whose first column is each video's share in its mixture.
        num_classes: K.

    Returns:
        The batch with float clips or features, and with labels float [B, K]: shares of each class.
    """
    assert batch.draws is not None
    share = batch.draws[:, 0]  # [B]
    labels = batch.labels
    if labels.ndim == 1:
        labels = F.one_hot(labels.clamp(min=0), num_classes)  # [B, K]
    labels = _mix(labels, share)  # [B, K]
    if isinstance(batch, ClipBatch):
        return replace(batch, clips=_mix(batch.clips, share), labels=labels)
    frames = batch.features[0].shape[1]
    others = batch.lengths.roll(-1)  # [B]
    mine, theirs = frame_mask(batch.lengths, frames), frame_mask(others, frames)  # 2 x [B, L]
    shares = torch.where(mine & theirs, share[:, None], mine.float())  # [B, L]
    return replace(
        batch,
        features=tuple(_mix(feature, shares) for feature in batch.features),
        lengths=torch.maximum(batch.lengths, others),
        labels=labels,
    )


def _mix(values: Tensor, share: Tensor) -> Tensor:
    """Returns share * values + (1 - share) * the next one's values, float32."""
    values = values.float()
    share = share.reshape(*share.shape, *[1] * (values.ndim - share.ndim))
    return torch.lerp(values.roll(-1, dims=0), values, share)
