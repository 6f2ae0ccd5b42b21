"""Top-1, top-5, macro F1 and calibration error of videos that have one class each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from videozoo.errors import VideozooError
from videozoo.metrics.by_class import f1_by_class
from videozoo.metrics.calibration_error import BINS, calibration_error, calibration_gaps


class ClipMetrics(Metric):
    """Top-1, top-5, macro F1 and calibration error over any number of clips and processes.

    Among equal scores the class with the smaller index ranks first. Five is capped at the number
    of classes.

    Attributes:
        confusion: int64 [K, K]: how many clips of the row's class were given the column's class.

    Args:
        num_classes: K.
    """

    full_state_update = False
    higher_is_better = True

    confusion: Tensor
    in_top5: Tensor
    gaps: Tensor

    def __init__(self, *, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_classes < 1:
            raise VideozooError(f"num_classes must be at least 1, not {num_classes}")
        self.num_classes = num_classes
        square = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.add_state("confusion", default=square, dist_reduce_fx="sum")
        self.add_state("in_top5", default=torch.tensor(0), dist_reduce_fx="sum")
        none = torch.zeros(BINS, dtype=torch.int64)
        self.add_state("gaps", default=none, dist_reduce_fx="sum")

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Takes in a batch.

        Args:
            scores: [B, K], higher is better; 0 to 1 for the calibration error.
            labels: int64 [B], 0 to K - 1.

        Raises:
            VideozooError: the shapes disagree, a label is out of range, or a score is not a number.
        """
        if scores.shape != (len(labels), self.num_classes) or labels.ndim != 1:
            raise VideozooError(
                f"scores {tuple(scores.shape)} and labels {tuple(labels.shape)} must be "
                f"[B, {self.num_classes}] and [B]"
            )
        if len(labels) == 0:
            return
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.num_classes:
            wrong = low if low < 0 else high
            raise VideozooError(f"label {wrong} is out of range 0..{self.num_classes - 1}")
        if bool(scores.isnan().any()):
            raise VideozooError("a score is not a number (NaN): the model has diverged")
        of_label = scores.gather(1, labels[:, None])  # [B, 1]
        before = torch.arange(self.num_classes, device=scores.device) < labels[:, None]  # [B, K]
        rank = ((scores > of_label) | ((scores == of_label) & before)).sum(1)  # [B], from 0
        self.in_top5 += (rank < 5).sum()
        called = scores.argmax(1)  # [B]
        best = scores.gather(1, called[:, None])[:, 0]  # [B]
        self.gaps += calibration_gaps(best, called == labels)
        pairs = labels * self.num_classes + called  # [B]
        counts = torch.bincount(pairs, minlength=self.num_classes**2)  # [K * K]
        self.confusion += counts.view_as(self.confusion)

    def compute(self) -> dict[str, Tensor]:
        """Returns `top1`, `top5`, `macro_f1` and `ece`, shares from 0 to 1 (float64, on the CPU).

        The mean F1 is over the classes that occur, as a label or as a prediction. The expected
        calibration error is that of each clip's best score.

        Raises:
            VideozooError: no clip has been taken in.
        """
        confusion = self.confusion.cpu()
        total = confusion.sum().double()
        if total == 0:
            raise VideozooError("there is no clip to measure: every listed one was left out")
        occurs = confusion.sum(0) + confusion.sum(1) > 0  # [K]
        return {
            "top1": confusion.diagonal().sum() / total,
            "top5": self.in_top5.cpu().double() / total,
            "macro_f1": f1_by_class(confusion)[occurs].mean(),
            "ece": calibration_error(self.gaps.cpu(), int(total)),
        }
