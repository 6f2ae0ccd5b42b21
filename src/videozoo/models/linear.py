"""Linear: statistics of a video's rows, standardised, then one linear layer.

The plainest model of frame features, made to see order and motion: of each value its level, how far
it strays, how much it changes from row to row, and its first cosines over time (N. Ahmed,
T. Natarajan, K. Rao: "Discrete Cosine Transform", IEEE Transactions on Computers C-23, 1974). Roots
keep what is seldom or weak from being lost beside what is strong (F. Perronnin, J. Sanchez,
T. Mensink: "Improving the Fisher Kernel for Large-Scale Image Classification", ECCV 2010, section
3.2). A few hundred videos are enough: `training.linear_fit` finds the best weights at once.

Shapes: B videos, L rows (padded), D values of a modality, C cosines, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi, sqrt

import torch
from torch import Tensor, nn

from videozoo.models.batch_norm import BatchNorm
from videozoo.models.layers import frame_mask, full_precision

LEVELS = 3  # statistics beside the cosines: roots of mean, deviation and change


class Linear(nn.Module):
    """A linear classifier of the statistics of every modality.

    Args:
        feature_dims: D of each modality.
        num_classes: K.
        cosines: C, how many cosines over time are taken of each value.
    """

    def __init__(self, *, feature_dims: Sequence[int], num_classes: int, cosines: int = 3) -> None:
        super().__init__()
        self.feature_dims = tuple(feature_dims)
        self.cosines = cosines
        width = (LEVELS + cosines) * sum(feature_dims)
        self.norm = BatchNorm(width, affine=False)
        self.classifier = nn.Linear(width, num_classes)
        nn.init.normal_(self.classifier.weight, std=1.0 / sqrt(width))
        nn.init.zeros_(self.classifier.bias)

    def statistics(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Sums up the rows of each video; takes what `forward` takes.

        Returns:
            float [B, (3 + C) * sum of D].
        """
        parts = [
            row_statistics(x, lengths, self.cosines)
            for x, _ in zip(features, self.feature_dims, strict=True)
        ]
        return torch.cat(parts, dim=1)

    def cosine_columns(self) -> Tensor:
        """Returns which statistics are cosines: bool [(3 + C) * sum of D]."""
        parts = [torch.arange((LEVELS + self.cosines) * d) >= LEVELS * d for d in self.feature_dims]
        return torch.cat(parts)

    def modality_columns(self) -> Tensor:
        """Returns the number of the modality of each statistic: int64 [(3 + C) * sum of D]."""
        widths = torch.tensor([(LEVELS + self.cosines) * d for d in self.feature_dims])
        return torch.arange(len(widths)).repeat_interleave(widths)

    def forward(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Classifies a padded batch.

        Args:
            features: float [B, L, D] of each modality.
            lengths: int64 [B], the real rows of each video; at least 1.

        Returns:
            Logits, float [B, K].
        """
        x = self.norm(self.statistics(features, lengths))  # [B, (3 + C) * sum of D]
        logits: Tensor = self.classifier(x)  # [B, K]
        return logits


def row_statistics(x: Tensor, lengths: Tensor, cosines: int) -> Tensor:
    """Returns what linear models see of the rows of each video.

    Of each value x_0 .. x_{n-1} of a video: the roots of its mean + 2 (dequantised values start at
    -2), of its deviation and of the mean of |x_i - x_{i-1}|; and sqrt(2) times the mean of
    x_i cos(pi k (i + 1/2) / n) for k = 1 .. C. A video reversed differs in the odd cosines' signs.

    Args:
        x: float [B, L, D], padded.
        lengths: int64 [B], at least 1.
        cosines: C.

    Returns:
        float32 (float64 of such values) [B, (3 + C) * D].
    """
    with torch.autocast(x.device.type, enabled=False):
        x = full_precision(x)
        mask = frame_mask(lengths, x.shape[1])  # [B, L]
        means = torch.bmm(_waves(lengths, mask, cosines).to(x.dtype), x)  # [B, 1 + C, D]
        real = mask[:, :, None]  # [B, L, 1]
        count = lengths[:, None]  # [B, 1]
        steps = x.diff(dim=1, prepend=x[:, :1]).abs()  # [B, L, D]; as many as rows: graphs are free
        change = steps.masked_fill(~real, 0.0).sum(dim=1)  # [B, D]
        squares = (x - means[:, :1]).square().masked_fill(~real, 0.0).sum(dim=1)  # [B, D]
        levels = (
            (means[:, 0] + 2).clamp(min=0),  # [B, D]
            (squares / count + 1e-12).sqrt(),  # [B, D]
            change / (count - 1).clamp(min=1),  # [B, D]
        )
        # (small numbers under the roots: gradients stay finite)
        roots = [(level + 1e-6).sqrt() for level in levels]
        return torch.cat([*roots, means[:, 1:].flatten(1)], dim=1)  # [B, (3 + C) * D]


def _waves(lengths: Tensor, mask: Tensor, cosines: int) -> Tensor:
    """Returns the weights of a video's rows in their mean and its cosines, 0 at padding.

    Args:
        lengths: int64 [B].
        mask: bool [B, L].
        cosines: C.

    Returns:
        float32 [B, 1 + C, L].
    """
    count = lengths[:, None, None]  # [B, 1, 1]
    numbers = torch.arange(1 + cosines, device=lengths.device)[:, None]  # [1 + C, 1]
    times = torch.arange(mask.shape[1], device=lengths.device) + 0.5  # [L]
    waves = (pi * numbers * times / count).cos()  # [B, 1 + C, L]
    waves[:, 1:] *= sqrt(2.0)
    # Waves that are finer than the rows show as coarser ones, or as the level: n rows have n waves.
    shown = mask[:, None] & (numbers < count)  # [B, 1 + C, L]
    return waves.masked_fill(~shown, 0.0) / count  # [B, 1 + C, L]
