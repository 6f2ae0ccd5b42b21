"""Expected calibration error: how far scores are from how often they are right."""

from __future__ import annotations

import torch
from torch import Tensor

BINS = 15
_ONE = 1 << 32  # whole numbers add up to the same in any order


def calibration_gaps(scores: Tensor, right: Tensor) -> Tensor:
    """Sums by how much scores are too low, in 15 equal bins of scores.

    Args:
        scores: [n], 0 to 1.
        right: bool [n], whether what was scored is so.

    Returns:
        int64 [15], in units of 2^-32; those of several batches add up.
    """
    edges = torch.linspace(0, 1, BINS + 1, dtype=torch.float64, device=scores.device)
    scores = scores.detach().double()
    bins = torch.bucketize(scores, edges[1:-1])  # [n]: above one edge, up to the next
    gaps = ((right.double() - scores) * _ONE).round().long()  # [n]
    return torch.zeros(BINS, dtype=torch.int64, device=scores.device).index_add_(0, bins, gaps)


def calibration_error(gaps: Tensor, count: int) -> Tensor:
    """Returns the expected calibration error, 0 to 1 (float64 []).

    Args:
        gaps: of all scores, see calibration_gaps.
        count: the number of scores.

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """
    return gaps.abs().sum().double() / _ONE / count
