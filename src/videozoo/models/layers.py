"""Layers that several models share: Fluid's dropout, masks by length; what logits mean."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FluidDropout(nn.Module):
    """Dropout as PaddlePaddle Fluid did it: masks in training, scales by (1 - p) in test.

    PyTorch's dropout rescales in training instead. The published weights were trained with this
    kind, so with PyTorch's their scores would be wrong.
    """

    def __init__(self, *, p: float) -> None:
        super().__init__()
        if not 0.0 <= p < 1.0:
            raise ValueError(f"a drop rate lies in [0, 1), not {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drops values of a float tensor of any shape (training) or scales them (test)."""
        if self.p == 0.0:
            return x
        if not self.training:
            return x * (1.0 - self.p)
        return x * torch.empty_like(x).bernoulli_(1.0 - self.p)

    def extra_repr(self) -> str:
        """Shows the drop rate when the module is printed."""
        return f"p={self.p}"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Returns the context that computes in `precision`: '32', '64' or 'bf16'."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def frame_mask(lengths: Tensor, frames: int) -> Tensor:
    """Says which frames of a padded batch are real.

    Args:
        lengths: int64 [B], the number of real frames of each video.
        frames: L, the frames of the padded batch.

    Returns:
        bool [B, L], True at real frames.
    """
    return torch.arange(frames, device=lengths.device) < lengths[:, None]  # [B, L]


def quick_tanh(x: Tensor, *, out: Tensor) -> Tensor:
    """Computes tanh into `out`; on a CPU by the sigmoid, which PyTorch computes five times faster.

    The error is that of rounding a number near one: 1e-7, also for small x.
    """
    if x.device.type != "cpu":
        return torch.tanh(x, out=out)
    torch.add(x, x, out=out).sigmoid_()
    return out.add_(out).sub_(1)


def full_precision(x: Tensor) -> Tensor:
    """Returns bfloat16 values as float32; float32 and float64 stay as they are."""
    return x if x.dtype == torch.float64 else x.float()


def mean_logits(logits: Tensor, multi_label: bool) -> Tensor:
    """Returns logits whose scores are the mean of the views' scores.

    Computed from logarithms, so that a score that is nearly 0 has a logit too.

    Args:
        logits: float [B, V, K] of V views.
        multi_label: scores are sigmoids; else softmax over the classes.

    Returns:
        float [B, K].
    """
    if multi_label:
        yes = F.logsigmoid(logits).logsumexp(dim=1)  # [B, K]
        no = F.logsigmoid(-logits).logsumexp(dim=1)  # [B, K]
        return yes - no
    return logits.log_softmax(dim=2).logsumexp(dim=1) - math.log(logits.shape[1])  # [B, K]
