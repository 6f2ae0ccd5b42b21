"""Which feature model suits a few hundred videos: cross-validation on the training side alone.

Linear is always tried, at several strengths. The small AttentionCluster, AttentionLSTM and NeXtVLAD
have to be better than it by more than chance would make them, and to be done in time.

Shapes: n videos, K classes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from videozoo.errors import VideozooError
from videozoo.training.folds import stratified_folds
from videozoo.training.head_trials import (
    LINEAR,
    HeadScore,
    HeadTask,
    Trial,
    try_linear,
    try_neural,
)
from videozoo.training.linear_fit import target_of
from videozoo.training.neural_heads import SIZES, Rows

HEADS = (LINEAR, *SIZES)


@dataclass(frozen=True)
class HeadChoice:
    """The model that was chosen.

    Attributes:
        model: its name.
        settings: its keys of [MODEL].
        module: it, trained on all videos, in test mode on the CPU.
        scores: of all models that were tried, in their order.
        out_of_fold: float32 [n, K], each video's logits by a model that has not seen its group; no
            rows where nothing could be held out.
        labels: the classes of the videos of `out_of_fold`.
    """

    model: str
    settings: dict[str, Any]
    module: nn.Module
    scores: list[HeadScore]
    out_of_fold: Tensor
    labels: list[Sequence[int]]


def choose_head(
    videos: Sequence[Rows],
    labels: Sequence[Sequence[int]],
    *,
    groups: Sequence[Hashable],
    feature_names: Sequence[str],
    num_classes: int,
    multi_label: bool = False,
    heads: Sequence[str] = HEADS,
    seed: int = 0,
    seconds: float = 45.0,
    device: str | torch.device = "cpu",
    report: Callable[[HeadScore], None] = lambda score: None,
) -> HeadChoice:
    """Cross-validates models on videos in memory, and trains the best one on all of them.

    The same videos and seed give the same choice, unless a model is given up for want of time.

    Args:
        videos: the rows of each, a tensor a modality: float32 [rows, D] as `dequantise` gives them,
            or the bytes.
        labels: the classes of each.
        groups: what each belongs to; a group is never on both sides.
        feature_names: the modalities.
        num_classes: K.
        multi_label: a video may have many classes: sigmoids; else softmax.
        heads: which models are tried, out of HEADS.
        seed: decides the folds and all that is drawn.
        seconds: within which the models beside Linear must show in a fold that they are worth
            more; without Linear they may take as long as they need.
        device: where those are trained.
        report: told each model's score as it is there.

    Raises:
        VideozooError: there are no videos, or one has no class, or several where each has one; or
            no model takes such rows.
    """
    if not videos:
        raise VideozooError("there are no videos to learn from")
    target = target_of(labels, num_classes=num_classes, multi_label=multi_label)
    folds = stratified_folds(labels, groups, seed=seed)
    place = torch.device(device)
    task = HeadTask(videos, labels, target, folds, feature_names, multi_label, seed, place)
    trials = _tried(task, heads, seconds, report)
    best = _best(trials)
    held_out = bool(best.f1)
    return HeadChoice(
        best.model,
        best.keys,
        best.train(),
        [trial.score for trial in trials],
        best.logits if held_out else target[:0],
        list(labels) if held_out else [],
    )


def _tried(
    task: HeadTask, heads: Sequence[str], seconds: float, report: Callable[[HeadScore], None]
) -> list[Trial]:
    """Tries the models, Linear first."""
    trials: list[Trial] = []
    if LINEAR in heads:
        trials.append(try_linear(task))
        report(trials[0].score)
    rival, end = trials[0] if trials else None, time.monotonic() + seconds
    others = [name for name in heads if name != LINEAR]
    for place, name in enumerate(others):
        now = time.monotonic()
        share = now + (end - now) / (len(others) - place) if rival else math.inf
        trial = try_neural(task, name, rival=rival, deadline=share)
        if trial is not None:
            trials.append(trial)
            report(trial.score)
    return trials


def _best(trials: Sequence[Trial]) -> Trial:
    """Returns the trial with the best mean; of those within its standard error the first one.

    Raises:
        VideozooError: there is none.
    """
    complete = [trial for trial in trials if trial.complete]
    if not complete:
        raise VideozooError("the head that was asked for cannot take such rows; take LINEAR")
    if math.isnan(complete[0].score.macro_f1):
        return complete[0]
    top = max(complete, key=lambda trial: trial.score.macro_f1)
    least = top.score.macro_f1 - top.standard_error
    return next(trial for trial in complete if trial.score.macro_f1 >= least)
