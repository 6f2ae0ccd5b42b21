"""Layers that several models share: Fluid's dropout, forgiving batch norms, masks by length."""

from __future__ import annotations

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


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over [N, C, ...], with any number of dimensions behind the channels.

    A variance of one value is no variance: PyTorch raises there, and a last batch of one video
    would end a training run. This one uses (and leaves alone) the running statistics in that case.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalises x; the shape stays."""
        if self.training and x.numel() <= x.shape[1]:
            mean, var = self.running_mean, self.running_var
            return F.batch_norm(x, mean, var, self.weight, self.bias, training=False, eps=self.eps)
        return super().forward(x)

    def _check_input_dim(self, input: Tensor) -> None:
        """PyTorch's own layers differ in this check alone."""


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
