"""What a test measures of each class beside its other metrics.

Shapes: B videos of a batch, N of a test, K classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_average_precision
from torchmetrics.utilities import dim_zero_cat

MOST_EXACT = 1 << 25  # scores that are kept: 128 MiB
BINS = 500


class OneVersusRest(Metric):
    """Average precision of each class over all videos, ranked by their score for it.

    Each video has one class. It is exact, torchmetrics' binary one, where N * K is at most 2^25 (an
    eighth of a million videos of 256 classes): every score is kept, 4 bytes each, 128 MiB at most
    in each process and twice that while `compute` runs. Of more, scores are counted in 500 bins,
    equal steps of the logit from -16 to 16, and those of one bin rank together, as torchmetrics
    does with `thresholds`: 8 kB a class, however many videos.

    Args:
        num_classes: K.
        videos: N, or more: in all processes together.
    """

    full_state_update = False
    higher_is_better = True

    scores: list[Tensor]
    labels: list[Tensor]
    binned: Tensor

    def __init__(self, *, num_classes: int, videos: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.exact = videos * num_classes <= MOST_EXACT
        # Flat float32 lists: what torchmetrics puts in for a process that has seen no video.
        self.add_state("scores", default=[], dist_reduce_fx="cat")  # [N * K]
        self.add_state("labels", default=[], dist_reduce_fx="cat")  # [N]
        rows = 0 if self.exact else BINS + 1
        none = torch.zeros(rows, num_classes, 2, dtype=torch.int64)
        self.add_state("binned", default=none, dist_reduce_fx="sum")  # last: wrong, right

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Takes in a batch.

        Args:
            scores: [B, K], 0 to 1.
            labels: int64 [B], 0 to K - 1.
        """
        scores = scores.detach().float().clamp(0, 1)  # a rounding above 1 reads as a logit
        if self.exact:
            self.scores.append(scores.flatten())
            self.labels.append(labels.float())
            return
        classes = torch.arange(self.num_classes, device=scores.device)  # [K]
        bins = torch.bucketize(scores, bin_edges().to(scores.device), right=True) - 1  # [B, K]
        cells = (bins * self.num_classes + classes) * 2 + (labels[:, None] == classes)  # [B, K]
        counts = torch.bincount(cells.flatten(), minlength=self.binned.numel())
        self.binned += counts.view_as(self.binned)

    def compute(self) -> dict[str, Tensor]:
        """Returns `average_precision`, float64 [K] on the CPU: NaN of a class without a video."""
        if self.exact:
            scores = dim_zero_cat(self.scores).view(-1, self.num_classes)  # [N, K]
            return {"average_precision": average_precisions(scores, dim_zero_cat(self.labels))}
        falling = self.binned.cpu().double().flip(0)  # [BINS + 1, K, 2]
        right = falling[:, :, 1]  # [BINS + 1, K]
        precision = right.cumsum(0) / falling.sum(2).cumsum(0).clamp(min=1)  # [BINS + 1, K]
        return {"average_precision": (precision * right).sum(0) / right.sum(0)}


class AtThresholds(Metric):
    """How many videos the thresholds call each class, and how often that is right.

    Args:
        thresholds: float [K]: a video is called the classes whose scores reach these.
    """

    full_state_update = False

    called: Tensor
    right: Tensor

    def __init__(self, *, thresholds: Tensor, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.thresholds = thresholds
        none = torch.zeros(len(thresholds), dtype=torch.int64)
        self.add_state("called", default=none, dist_reduce_fx="sum")
        self.add_state("right", default=none.clone(), dist_reduce_fx="sum")

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Takes in a batch.

        Args:
            scores: [B, K], 0 to 1.
            labels: bool [B, K], True where the video has the class.
        """
        called = scores >= self.thresholds.to(scores)  # [B, K]
        self.called += called.sum(0)
        self.right += (called & (labels > 0)).sum(0)

    def compute(self) -> dict[str, Tensor]:
        """Returns `called` and `right`, int64 [K] on the CPU."""
        return {"called": self.called.cpu(), "right": self.right.cpu()}


def bin_edges() -> Tensor:
    """Returns where the bins of scores begin, float32 [BINS + 1]: 0, then equal steps of logits."""
    return torch.cat([torch.zeros(1), torch.linspace(-16, 16, BINS).sigmoid()])


def average_precisions(scores: Tensor, labels: Tensor) -> Tensor:
    """Returns the average precision of each class, float64 [K]: NaN where no video has it.

    Args:
        scores: [N, K], 0 to 1.
        labels: [N], the class of each video; or [N, K], positive where a video has the class.
    """
    found = torch.full((scores.shape[1],), torch.nan, dtype=torch.float64)  # [K]
    one = labels.ndim == 1
    counts = labels.long().bincount() if one else (labels > 0).sum(dim=0)
    for number in counts.nonzero()[:, 0].tolist():
        right = labels == number if one else labels[:, number] > 0  # [N]
        found[number] = binary_average_precision(
            scores[:, number], right.long(), validate_args=False
        )
    return found
