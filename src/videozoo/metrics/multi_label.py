"""Average precision of clips that may have many classes each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from videozoo.errors import VideozooError
from videozoo.metrics.calibration_error import calibration_error, calibration_gaps
from videozoo.metrics.class_metrics import average_precisions


class MultiLabelMetrics(Metric):
    """Average precision by class, their mean, Hit@1 and calibration error, over any clips.

    The average precision of a class is over all clips, ranked by their score for it. The mean is
    over the classes that at least one clip has, as for Charades: G. Sigurdsson et al., "Hollywood
    in Homes: Crowdsourcing Data Collection for Activity Understanding", ECCV 2016, section 5.1.

    Memory: 2 float32 a clip and class.

    Attributes:
        labels_per_class: int64 [K], the clips of each class.

    Args:
        num_classes: K.
    """

    full_state_update = False
    higher_is_better = True

    scores: list[Tensor]
    labels: list[Tensor]
    labels_per_class: Tensor

    def __init__(self, *, num_classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_classes < 1:
            raise VideozooError(f"num_classes must be at least 1, not {num_classes}")
        self.num_classes = num_classes
        # Flat float32 lists: what torchmetrics puts in for a process that has seen no clip.
        self.add_state("scores", default=[], dist_reduce_fx="cat")  # [N * K]
        self.add_state("labels", default=[], dist_reduce_fx="cat")  # [N * K]
        none = torch.zeros(num_classes, dtype=torch.int64)
        self.add_state("labels_per_class", default=none, dist_reduce_fx="sum")

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Takes in a batch.

        Args:
            scores: [B, K], 0 to 1.
            labels: bool [B, K], True where the clip has the class.

        Raises:
            VideozooError: the shapes are not [B, num_classes], or a score is not a number.
        """
        if scores.shape != labels.shape or scores.shape[1:] != (self.num_classes,):
            raise VideozooError(
                f"scores {tuple(scores.shape)} and labels {tuple(labels.shape)} must both be "
                f"[B, {self.num_classes}]"
            )
        if bool(scores.isnan().any()):
            raise VideozooError("a score is not a number (NaN): the model has diverged")
        self.scores.append(scores.detach().float().flatten())
        self.labels.append(labels.float().flatten())
        self.labels_per_class += (labels > 0).sum(0)

    def compute(self) -> dict[str, Tensor]:
        """Returns `map`, `hit_at_1` and `ece`, shares from 0 to 1, and `average_precision` [K].

        Hit@1 is the share of clips whose best class is one of theirs. The average precision of a
        class that no clip has is NaN. The expected calibration error is over all pairs of a clip
        and a class.

        Raises:
            VideozooError: no clip has been taken in.
        """
        scores, labels = (
            dim_zero_cat(state).view(-1, self.num_classes) if len(state) else torch.empty(0)
            for state in (self.scores, self.labels)
        )  # [N, K] both
        if len(scores) == 0:
            raise VideozooError("there is no clip to measure: every listed one was left out")
        precision = average_precisions(scores, labels)  # [K]
        gaps = calibration_gaps(scores.flatten(), labels.flatten() > 0)  # [15]
        best = scores.argmax(dim=1, keepdim=True)  # [N, 1]
        return {
            "map": precision.nanmean(),
            "hit_at_1": labels.gather(1, best).mean().cpu(),
            "ece": calibration_error(gaps.cpu(), scores.numel()),
            "average_precision": precision,
        }
