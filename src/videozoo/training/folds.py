"""Cross-validation: which videos are held out together, and how right answers are counted.

Shapes: n videos, K classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from videozoo.data.sample import Int64Array

MOST_FOLDS = 5
FEWEST_FOLDS = 3  # of classes with fewer groups, some folds hold nothing out


def stratified_folds(
    labels: Sequence[Sequence[int]], groups: Sequence[Hashable], *, seed: int
) -> Int64Array:
    """Deals videos out to folds: groups stay whole, classes are spread as evenly as that allows.

    There are as many folds as the rarest class has groups, but 3 to 5, and never more than groups.

    Args:
        labels: the classes of each video.
        groups: what each video belongs to; a group is never on both sides.
        seed: decides which group goes where among equals.

    Returns:
        int64 [n], the fold that holds each video out; all 0 where there is one group only.
    """
    members: dict[Hashable, list[int]] = {}
    for video, group in enumerate(groups):
        members.setdefault(group, []).append(video)
    classes_of = {
        group: Counter(c for video in videos for c in labels[video])
        for group, videos in members.items()
    }
    total = sum(classes_of.values(), Counter())
    spread = Counter(c for classes in classes_of.values() for c in classes)
    wanted = min(spread.values(), default=0)
    count = min(len(members), max(FEWEST_FOLDS, min(MOST_FOLDS, wanted)))
    order = list(members)
    np.random.default_rng(seed).shuffle(order)
    # The largest groups go first, and groups of rare classes: what comes later fills up.
    order.sort(key=lambda g: (-len(members[g]), min((total[c] for c in classes_of[g]), default=0)))
    held: list[Counter[int]] = [Counter() for _ in range(count)]
    sizes, fold_of = [0] * count, np.zeros(len(groups), dtype=np.int64)
    for group in order:
        classes = classes_of[group]
        fullness = [
            sum(n * held[f][c] / total[c] for c, n in classes.items()) for f in range(count)
        ]
        fold = min(range(count), key=lambda f: (fullness[f], sizes[f]))
        held[fold] += classes
        sizes[fold] += len(members[group])
        fold_of[members[group]] = fold
    return fold_of


def macro_f1(logits: Tensor, target: Tensor) -> float:
    """Returns the mean F1 over the classes that occur, as a label or as an answer.

    A video is given as many classes as it has, the best ones: this needs no thresholds, and where
    each has one class it is the usual macro F1.

    Args:
        logits: float [n, K].
        target: float [n, K], 1 where a video has a class.
    """
    order = logits.argsort(dim=1, descending=True, stable=True)  # [n, K]
    given = torch.arange(target.shape[1]) < target.sum(dim=1, keepdim=True)  # [n, K]
    answers = torch.zeros_like(target).scatter_(1, order, given.to(target.dtype))  # [n, K]
    right = (answers * target).sum(dim=0)  # [K]
    twice = answers.sum(dim=0) + target.sum(dim=0)  # [K]
    return float((2 * right / twice.clamp(min=1))[twice > 0].mean())
