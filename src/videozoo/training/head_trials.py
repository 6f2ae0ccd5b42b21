"""One model's cross-validation: how well it answers for videos that it has not seen.

Shapes: n videos, P statistics, K classes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videozoo.data.sample import Int64Array
from videozoo.data.transforms import dequantise
from videozoo.models.linear import Linear
from videozoo.training.folds import macro_f1
from videozoo.training.linear_fit import Problem, Strength, fit_linear, solve
from videozoo.training.neural_heads import NeuralHead, OutOfTimeError, Rows, small_keys

LINEAR = "LINEAR"
PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
COSINES = (1 / 3, 1.0)  # order may be noise, or all that tells classes apart
BALANCES = (0.0, 0.5, 1.0)  # so may be what an encoder does not give: motion, sound
MOST_OF_FOLD = 800  # videos that Linear learns from in a fold: time grows as their square
USUAL = Strength(1e-5, COSINES[0])  # where nothing can be held out
FAR = 0.05  # a model so far behind its rival in the first fold is given up


@dataclass(frozen=True)
class HeadScore:
    """What cross-validation says of a model.

    Attributes:
        model: its name.
        macro_f1: the mean over the folds; NaN: there is none.
        deviation: of the folds' macro F1.
        seconds: that it took.
        folds: how many were tried.
        note: what was chosen, or why it was given up; may be empty.
    """

    model: str
    macro_f1: float
    deviation: float
    seconds: float
    folds: int
    note: str


@dataclass(frozen=True)
class HeadTask:
    """What all models are given; see `heads.choose_head`.

    Attributes:
        videos: the rows of each.
        labels: the classes of each.
        target: float32 [n, K], the same: 1 where a video has a class.
        folds: int64 [n], which fold holds each out; all 0: nothing can be held out.
        feature_names: the modalities.
        multi_label: sigmoids; else softmax.
        seed: decides all that is drawn.
        device: where neural models are trained.
    """

    videos: Sequence[Rows]
    labels: Sequence[Sequence[int]]
    target: Tensor
    folds: Int64Array
    feature_names: Sequence[str]
    multi_label: bool
    seed: int
    device: torch.device

    @property
    def feature_dims(self) -> list[int]:
        """The width of each modality."""
        return [rows.shape[1] for rows in self.videos[0]]

    def sides(self) -> list[tuple[Int64Array, Int64Array]]:
        """Returns the videos that are learnt from and those held out, by fold."""
        count = int(self.folds.max()) + 1
        if count == 1:
            return []
        return [
            (np.flatnonzero(self.folds != f), np.flatnonzero(self.folds == f)) for f in range(count)
        ]


@dataclass
class Trial:
    """A model's cross-validation.

    Attributes:
        model: its name.
        keys: its keys of [MODEL].
        logits: float32 [n, K], of each video when it was held out.
        train: trains it on all videos: returns it in test mode, on the CPU.
        f1: macro F1 by fold.
        seconds: that it took.
        note: what was chosen, or why it was given up.
        complete: it was not given up.
        strength: of Linear, how strongly its weights are held back.
    """

    model: str
    keys: dict[str, Any]
    logits: Tensor
    train: Callable[[], nn.Module]
    f1: list[float] = field(default_factory=list)
    seconds: float = 0.0
    note: str = ""
    complete: bool = True
    strength: Strength | None = None

    @property
    def score(self) -> HeadScore:
        """What is told of it."""
        mean = float(np.mean(self.f1)) if self.f1 else math.nan
        spread = float(np.std(self.f1, ddof=1)) if len(self.f1) > 1 else 0.0
        return HeadScore(self.model, mean, spread, self.seconds, len(self.f1), self.note)

    @property
    def standard_error(self) -> float:
        """Of the mean macro F1."""
        return self.score.deviation / math.sqrt(max(len(self.f1), 1))

    def hold_out(self, held: Int64Array, logits: Tensor, target: Tensor) -> None:
        """Takes in the logits of the videos of one fold."""
        self.logits[held] = logits.to(self.logits.dtype)
        self.f1.append(macro_f1(self.logits[held], target[held]))


def try_linear(task: HeadTask) -> Trial:
    """Tries Linear at all strengths, and returns the trial of the best one.

    That has the lowest log loss among those whose macro F1 is the highest, to a standard error.
    """
    start = time.monotonic()
    model = _fresh_linear(task)
    statistics = _statistics(task, model)
    keys = {
        "feature_names": list(task.feature_names),
        "feature_dims": task.feature_dims,
        "num_classes": task.target.shape[1],
    }

    def trial_of(strength: Strength) -> Trial:
        def train() -> nn.Module:
            fit_linear(
                model, statistics, task.labels, multi_label=task.multi_label, strength=strength
            )
            return model.eval()

        note = f"penalty {strength.penalty:g}, cosines x {strength.cosines:.2g}"
        note += f", balance {strength.balance:g}"
        return Trial(
            LINEAR, keys, torch.zeros_like(task.target), train, note=note, strength=strength
        )

    trials = [trial_of(Strength(p, c, b)) for c, b in _blends(task) for p in PENALTIES]
    for train, held in task.sides():
        _hold_out(task, model, statistics, (train, held), trials)
    best = _best_strength(task, trials) if trials[0].f1 else trial_of(USUAL)
    if any(len(train) > MOST_OF_FOLD for train, _ in task.sides()):
        best = _on_whole_folds(task, best, statistics)
    best.seconds = time.monotonic() - start
    return best


def _on_whole_folds(task: HeadTask, best: Trial, statistics: Tensor) -> Trial:
    """Tries the strength that a part of each fold chose again on all of it."""
    found = replace(best, logits=torch.zeros_like(task.target), f1=[])
    strength = best.strength or USUAL
    for train, held in task.sides():
        model = _fresh_linear(task)
        own, how = [task.labels[i] for i in train], {"multi_label": task.multi_label}
        fit_linear(model, statistics[train], own, strength=strength, **how)
        with torch.no_grad():
            logits = model.classifier(model.eval().norm(statistics[held]))
        found.hold_out(held, logits, task.target)
    return found


def _blends(task: HeadTask) -> list[tuple[float, float]]:
    """Returns the sizes of cosines and the balances that are tried."""
    balances = BALANCES if len(set(task.feature_dims)) > 1 else BALANCES[:1]
    return [(cosines, balance) for cosines in COSINES for balance in balances]


def _fresh_linear(task: HeadTask) -> Linear:
    with torch.random.fork_rng(devices=[]):  # who trains in this process draws as without us
        return Linear(feature_dims=task.feature_dims, num_classes=task.target.shape[1])


@torch.no_grad()
def _statistics(task: HeadTask, model: Linear) -> Tensor:
    """Returns what Linear sees of each video: float32 [n, P]."""
    out = torch.empty(len(task.videos), model.classifier.in_features)
    for place, rows in zip(out, task.videos, strict=True):
        features = [(x if x.is_floating_point() else dequantise(x))[None] for x in rows]
        place.copy_(model.statistics(features, torch.tensor([len(rows[0])]))[0])
    return out


def _hold_out(
    task: HeadTask,
    model: Linear,
    statistics: Tensor,
    sides: tuple[Int64Array, Int64Array],
    trials: Sequence[Trial],
) -> None:
    """Scores the videos of one fold at all strengths, in the order of the trials."""
    train, held = sides
    # Of more videos a part says enough of the strength.
    train = np.sort(np.random.default_rng(task.seed).permutation(train)[:MOST_OF_FOLD])
    problem = Problem(statistics[train], statistics[held], model)
    designs = (problem.design(Strength(0.0, c, b)) for c, b in _blends(task))
    found = (
        design.others @ weights[:-1] + weights[-1]  # [held, K]
        for design in designs
        for weights in solve(
            design.columns,
            task.target[train].to(design.columns.dtype),
            PENALTIES,
            multi_label=task.multi_label,
        )
    )
    for trial, logits in zip(trials, found, strict=True):
        trial.hold_out(held, logits, task.target)


def _best_strength(task: HeadTask, trials: Sequence[Trial]) -> Trial:
    top = max(trials, key=lambda trial: trial.score.macro_f1)
    least = top.score.macro_f1 - top.standard_error
    loss = F.binary_cross_entropy_with_logits if task.multi_label else F.cross_entropy
    tied = [trial for trial in trials if trial.score.macro_f1 >= least]
    return min(tied, key=lambda trial: float(loss(trial.logits, task.target)))


def try_neural(task: HeadTask, name: str, *, rival: Trial | None, deadline: float) -> Trial | None:
    """Tries a neural model, and gives it up once it is behind its rival, or slow.

    Args:
        task: what there is to learn.
        name: a key of neural_heads.SIZES.
        rival: what it has to be better than.
        deadline: of the first fold, on the clock of time.monotonic; a model that is then not
            behind may take as long again for each of the others.

    Returns:
        The trial; None: the model cannot take these modalities.
    """
    start = time.monotonic()
    keys = small_keys(
        name,
        feature_names=task.feature_names,
        feature_dims=task.feature_dims,
        num_classes=task.target.shape[1],
    )
    if keys is None:
        return None
    head = NeuralHead(
        name, keys, given=task.feature_names, multi_label=task.multi_label, device=task.device
    )

    def fit(chosen: Sequence[int] | Int64Array, end: float = math.inf) -> nn.Module:
        videos = [task.videos[i] for i in chosen]
        return head.fit(videos, task.target[chosen], seed=task.seed, deadline=end)

    every = range(len(task.videos))
    trial = Trial(name, keys, torch.zeros_like(task.target), lambda: fit(every).cpu())
    sides = task.sides()
    for fold, (train, held) in enumerate(sides):
        try:
            model = fit(train, deadline if fold == 0 else math.inf)
        except OutOfTimeError:
            trial.note, trial.complete = "given up: would take too long", False
            break
        trial.hold_out(held, head.logits(model, [task.videos[i] for i in held]), task.target)
        if rival is not None and fold < len(sides) - 1 and _is_behind(trial.f1, rival.f1):
            trial.note, trial.complete = f"given up: behind {rival.model}", False
            break
    trial.seconds = time.monotonic() - start
    return trial


def _is_behind(f1: Sequence[float], rival: Sequence[float]) -> bool:
    """Tells whether a model need not be tried further: far behind, or not ahead after two folds."""
    ahead = float(np.mean(f1)) - float(np.mean(rival[: len(f1)]))
    return ahead < -FAR or (len(f1) >= 2 and ahead <= 0)
