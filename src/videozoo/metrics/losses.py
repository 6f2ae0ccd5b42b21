"""The losses, one number a video; means and sums over the batch are the caller's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def feature_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy summed over classes.

    Args:
        logits: float [B, K].
        labels: bool or float [B, K], the classes of each video; shares where videos are mixed.
        label_smoothing: e: labels become (1 - e) label + e / 2.
        class_weights: float [K]: factor of the loss where a video has the class; None: 1.

    Returns:
        float32 (float64 of such logits) [B].
    """
    logits = _full_precision(logits)
    target = labels.to(logits.dtype)  # [B, K]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / 2  # [B, K]
    loss = F.binary_cross_entropy_with_logits(
        logits, target, pos_weight=class_weights, reduction="none"
    )  # [B, K]
    return loss.sum(dim=1)  # [B]


def clip_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy.

    Args:
        logits: float [B, K].
        labels: int64 [B], the class of each clip; or float [B, K], shares where clips are mixed.
        label_smoothing: e: labels become (1 - e) label + e / K (C. Szegedy et al., "Rethinking the
            Inception Architecture for Computer Vision", CVPR 2016, section 7).
        class_weights: float [K]: factor of each class's term; None: 1.

    Returns:
        float32 (float64 of such logits) [B].
    """
    logits = _full_precision(logits)
    return F.cross_entropy(
        logits,
        labels if labels.ndim == 1 else labels.to(logits.dtype),
        weight=class_weights,
        label_smoothing=label_smoothing,
        reduction="none",
    )  # [B]


def _full_precision(logits: Tensor) -> Tensor:
    """Returns bfloat16 as float32; float32 and float64 stay as they are."""
    return logits if logits.dtype == torch.float64 else logits.float()
