"""The losses, one number a video; means and sums over the batch are the caller's."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def feature_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy summed over classes.

    Args:
        logits: float [B, K].
        labels: bool or float [B, K], the classes of each video.

    Returns:
        float32 [B].
    """
    target = labels.float()  # [B, K]
    loss = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")  # [B, K]
    return loss.sum(dim=1)  # [B]


def clip_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy.

    Args:
        logits: float [B, K].
        labels: int64 [B], the class of each clip.

    Returns:
        float32 [B].
    """
    return F.cross_entropy(logits.float(), labels, reduction="none")  # [B]
