"""Hit@1, PERR, GAP and mAP: how YouTube-8M measures video tagging.

Abu-El-Haija et al., "YouTube-8M: A Large-Scale Video Classification Benchmark", 2016, section 5.1,
and the evaluation of the YouTube-8M Kaggle challenge (GAP at 20). The original video library
computes the same four.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from videozoo.errors import VideozooError

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class YouTube8MMetrics(Metric):
    """Hit@1, PERR, GAP and mAP over any number of videos, batches and processes.

    * Hit@1: the share of videos whose best class is one of their labels.
    * PERR: the precision among a video's best n classes, n its number of labels; mean over videos.
    * GAP: the best `top_k` classes of all videos pooled and ranked; average precision over the
      number of all labels.
    * mAP: the average precision of each class in that pool, over the number of videos that have
      this label; mean over all classes, those that no video has counting as 0.

    A video without labels counts as 0 in Hit@1 and PERR. Ties: within a video the class with the
    smaller index comes first; in the pool wrong predictions come before right ones, so that
    neither the order of videos nor the number of processes changes a figure.

    Memory: 2 * `top_k` + 1 float32 a video, whatever the number of classes (up to 2**24); three
    times as much again while `compute` runs.

    Attributes:
        labels_per_class: int64 [K], the videos of each class.
        average_precision: float64 [K] on the CPU, of each class in the pool as `compute` has last
            found it; NaN where no video has the class.

    Args:
        num_classes: K.
        top_k: how many of a video's best classes enter the pool.
    """

    full_state_update = False
    higher_is_better = True

    scores: list[Tensor]
    classes: list[Tensor]
    precisions: list[Tensor]
    hits: Tensor
    labels_per_class: Tensor
    average_precision: Tensor

    def __init__(self, *, num_classes: int, top_k: int = 20, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_classes < 1 or top_k < 1:
            raise VideozooError(
                f"num_classes and top_k must be at least 1, not {num_classes} and {top_k}"
            )
        self.num_classes = num_classes
        self.top_k = min(top_k, num_classes)
        # Flat float32 lists: what torchmetrics puts in for a process that has seen no video.
        self.add_state("scores", default=[], dist_reduce_fx="cat")  # [N * top_k]
        self.add_state("classes", default=[], dist_reduce_fx="cat")  # class + 1; minus it: wrong
        self.add_state("precisions", default=[], dist_reduce_fx="cat")  # [N], for PERR
        self.add_state("hits", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state(
            "labels_per_class",
            default=torch.zeros(num_classes, dtype=torch.int64),
            dist_reduce_fx="sum",
        )

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Takes in a batch.

        Args:
            scores: [B, K], higher is better; computed with as float32.
            labels: bool or number [B, K], positive where the video has the class.

        Raises:
            VideozooError: the shapes are not [B, num_classes], or a score is not a number.
        """
        if scores.shape != labels.shape or scores.shape[1:] != (self.num_classes,):
            raise VideozooError(
                f"scores {tuple(scores.shape)} and labels {tuple(labels.shape)} must both be "
                f"[B, {self.num_classes}]"
            )
        if len(scores) == 0:
            return
        scores = scores.detach().float()
        labels = labels if labels.dtype == torch.bool else labels > 0
        if bool(scores.isnan().any()):
            raise VideozooError("a score is not a number (NaN): the model has diverged")
        rows, columns = labels.nonzero(as_tuple=True)  # few: counting these beats summing B * K
        counts = torch.bincount(rows, minlength=len(labels))  # [B]
        depth = min(max(self.top_k, int(counts.max())), self.num_classes)
        best, classes = best_classes(scores, depth)  # [B, depth] both
        right = labels.gather(1, classes)  # [B, depth]
        within = torch.arange(depth, device=scores.device) < counts[:, None]  # [B, depth]
        self.precisions.append((right & within).sum(1) / counts.clamp(min=1))
        self.hits += right[:, 0].sum()
        self.labels_per_class += torch.bincount(columns, minlength=self.num_classes)
        signs = torch.where(right, 1.0, -1.0)
        self.scores.append(best[:, : self.top_k].flatten())
        self.classes.append(((classes + 1) * signs)[:, : self.top_k].flatten())

    def compute(self) -> dict[str, Tensor]:
        """Returns `hit_at_1`, `perr`, `gap` and `map`, shares from 0 to 1 (float64, on the CPU).

        Raises:
            VideozooError: no video has been taken in.
        """
        precisions = _joined(self.precisions)
        if len(precisions) == 0:
            raise VideozooError("there is no video to measure: every listed one was left out")
        scores, signed = _joined(self.scores), _joined(self.classes)
        right = (signed > 0).numpy()  # [M]
        ranks = _ranks(scores)  # [M]
        counts = self.labels_per_class.cpu()
        gap = _average_precisions(ranks, right, counts.sum()[None])[0]
        ranks += (signed.abs().long() - 1).numpy() << 32
        by_class = _average_precisions(ranks, right, counts)  # [K]
        self.average_precision = by_class.masked_fill(counts == 0, torch.nan)
        return {
            "hit_at_1": self.hits.cpu().double() / len(precisions),
            "perr": precisions.double().mean(),
            "gap": gap,
            "map": by_class.mean(),
        }


def best_classes(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Returns the best `count` classes of each row; among equal scores the smaller index first.

    Args:
        scores: [B, K].
        count: how many, 1 to K.

    Returns:
        Their scores, descending, and their indices (int64), both [B, count].
    """
    # topk is much faster than sorting all K, but says nothing about the order of equals.
    values, classes = scores.topk(min(count + 1, scores.shape[1]))
    cut_tie = values[:, count - 1] == values[:, -1] if values.shape[1] > count else None
    classes = classes[:, :count].sort(1).values  # [B, count]
    values, order = scores.gather(1, classes).sort(dim=1, descending=True, stable=True)
    classes = classes.gather(1, order)
    if cut_tie is not None and bool(cut_tie.any()):  # equals on both sides of the cut
        rows = cut_tie.nonzero()[:, 0]
        ranked, order = scores[rows].sort(dim=1, descending=True, stable=True)
        values[rows], classes[rows] = ranked[:, :count], order[:, :count]
    return values, classes


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    # a list before, one tensor after merging processes
    return dim_zero_cat(state).cpu() if len(state) else torch.empty(0)


def _ranks(scores: Tensor) -> Int64Array:
    """Returns whole numbers, int64 [M] from -2**31 to 2**31 - 1, in the order of float32 scores."""
    # The bits of a float, read as a number, are in order; of negative ones in reverse. + 0 makes
    # -0 into 0, its equal.
    bits = (scores + 0.0).numpy().view(np.int32)  # [M]
    np.bitwise_xor(bits, 0x7FFFFFFF, out=bits, where=bits < 0)
    return bits.astype(np.int64)


def _average_precisions(ranks: Int64Array, right: BoolArray, counts: Tensor) -> Tensor:
    """Average precision of each group of predictions, the highest rank first.

    What precedes a right prediction are the right ones before it, which its place tells, and the
    wrong ones of its group that are as high or higher, which a search in the sorted ones tells:
    numbers are sorted, never their places, which would take twice the memory.

    Args:
        ranks: int64 [M], 2**32 times the group, 0 to G - 1, plus -2**31 to 2**31 - 1.
        right: bool [M].
        counts: int64 [G], the number of right answers of each group, found or not.

    Returns:
        float64 [G]; 0 where a group has no right answer.
    """
    wrong = ranks[~right]  # [W]
    wrong.sort()
    found = ranks[right]  # [R]
    found.sort()
    found = found[::-1]  # [R], of the last group the highest first
    groups = (found + 2**31) >> 32  # [R]
    wrong_before = np.searchsorted(wrong, (groups << 32) + 2**31)  # [R], with the earlier groups'
    wrong_before -= np.searchsorted(wrong, found)  # [R]
    sizes = np.bincount(groups, minlength=len(counts))  # [G]
    starts = len(found) - sizes.cumsum()  # [G]
    number = np.arange(1, len(found) + 1) - starts[groups]  # [R], from 1 in each group
    precision = number / (number + wrong_before)  # [R]
    sums = np.bincount(groups, weights=precision, minlength=len(counts))  # [G]
    return torch.from_numpy(sums) / counts.clamp(min=1)
