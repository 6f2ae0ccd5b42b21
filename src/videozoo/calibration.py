"""Calibration: scores that say how often they are right, and what score a class is named from.

It is fitted on videos that were held back, and rides in the checkpoint.

Shapes: n videos, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from videozoo.checkpoints.native import load_native, save_native
from videozoo.errors import FileError, VideozooError

LEAST, MOST = 0.05, 20.0  # temperatures
_TEMPERATURE, _THRESHOLDS = "calibration.temperature", "calibration.thresholds"
_HALVINGS = 60  # of the range of log T: more than float64 tells apart


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was fitted on held-back videos; as it stands here, nothing was.

    Attributes:
        temperature: logits are divided by it before they become scores.
        thresholds: float32 [K]: a video has the classes whose scores, so calibrated, reach these;
            None: none are known, or a video has one class.
    """

    temperature: float = 1.0
    thresholds: Tensor | None = None

    def scaled(self, logits: Tensor) -> Tensor:
        """Returns logits divided by the temperature; the same tensor where that is 1."""
        return logits if self.temperature == 1.0 else logits / self.temperature

    def tensors(self) -> dict[str, Tensor]:
        """Returns what a checkpoint keeps beside the weights."""
        kept = {}
        if self.temperature != 1.0:
            kept[_TEMPERATURE] = torch.tensor(self.temperature, dtype=torch.float64)
        if self.thresholds is not None:
            kept[_THRESHOLDS] = self.thresholds.detach().cpu().float()
        return kept


def stored_calibration(
    extra: Mapping[str, Tensor], *, num_classes: int, path: Path | str
) -> Calibration:
    """Returns what a checkpoint keeps beside the weights: none where it was not calibrated.

    Args:
        extra: of the checkpoint.
        num_classes: K.
        path: of the checkpoint, for errors.

    Raises:
        VideozooError: it is no calibration of K classes.
    """
    temperature, thresholds = extra.get(_TEMPERATURE, torch.tensor(1.0)), extra.get(_THRESHOLDS)
    if temperature.numel() != 1 or not 0 < float(temperature) < math.inf:
        raise FileError(path, "its calibration's temperature is no positive number")
    if thresholds is not None and thresholds.shape != (num_classes,):
        raise FileError(
            path, f"its calibration has {thresholds.numel()} thresholds for {num_classes} classes"
        )
    return Calibration(float(temperature), thresholds)


def write_calibration(path: Path | str, calibration: Calibration) -> None:
    """Writes a checkpoint again with this calibration in place of its own, whole at once.

    Other names of the same file (hard links, as trainings make them) keep what they have.

    Args:
        path: a native .safetensors file.
        calibration: fitted on logits of these weights.

    Raises:
        VideozooError: there is no such checkpoint.
    """
    checkpoint = load_native(path)
    kept = {k: v for k, v in checkpoint.extra.items() if k not in (_TEMPERATURE, _THRESHOLDS)}
    save_native(path, replace(checkpoint, extra=kept | calibration.tensors()))


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """Finds the temperature that makes held-back labels most likely.

    The loss (cross-entropy; binary cross-entropy of many classes) is convex in 1 / T, so its slope
    is followed to zero by halving. Of few videos that are all told rightly any lower temperature
    would be better still: as Platt does, one more video is added that is of all classes alike.

    Args:
        logits: float [n, K] of held-back videos.
        labels: int64 [n]; or bool [n, K] where a video may have many classes.

    Returns:
        0.05 to 20; the same on every machine that gives the same logits.

    Raises:
        VideozooError: there is no video, or a logit is not finite.

    Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2; the
    added video: J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999, section 2.2.
    """
    if len(logits) == 0:
        raise VideozooError("there is no video to fit a temperature on")
    logits = logits.detach().cpu().double()  # [n, K]
    if not bool(logits.isfinite().all()):
        raise VideozooError("a logit is not a finite number: the model has diverged")
    many = labels.ndim == 2
    target = torch.zeros_like(logits)  # [n, K]
    if many:
        target += labels.cpu()
    else:
        target.scatter_(1, labels.cpu()[:, None], 1.0)
    alike = 0.5 if many else 1 / logits.shape[1]
    target = (target * len(logits) + alike) / (len(logits) + 1)
    low, high = math.log(LEAST), math.log(MOST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        scaled = logits / math.exp(middle)
        scores = scaled.sigmoid() if many else scaled.softmax(dim=1)
        slope = float(((scores - target) * logits).sum())  # of the loss by 1 / T
        low, high = (middle, high) if slope > 0 else (low, middle)
    return math.exp((low + high) / 2)


def fit_thresholds(scores: Tensor, labels: Tensor) -> Tensor:
    """Finds for each class the score that a video needs to have it: that of the best F1.

    It lies half-way between the last video that has to reach it and the next. Among equally good
    ones the highest is taken. A class that no video has keeps 0.5.

    Args:
        scores: [n, K] of held-back videos, calibrated, 0 to 1.
        labels: bool [n, K].

    Returns:
        float32 [K].

    Raises:
        VideozooError: the shapes disagree.
    """
    if scores.shape != labels.shape or scores.ndim != 2:
        raise VideozooError(
            f"scores {tuple(scores.shape)} and labels {tuple(labels.shape)} must both be [n, K]"
        )
    thresholds = torch.full((scores.shape[1],), 0.5)  # [K]
    for number in labels.any(dim=0).nonzero()[:, 0].tolist():
        ranked, order = scores[:, number].detach().cpu().float().sort(descending=True, stable=True)
        found = labels[:, number].cpu()[order].cumsum(0)  # [n]: right ones among the first i + 1
        named = torch.arange(1, len(ranked) + 1)  # [n]
        f1 = 2 * found.double() / (named + found[-1])  # [n]
        following = torch.cat((ranked[1:], ranked.new_zeros(1)))  # [n]
        f1[:-1][ranked[:-1] == ranked[1:]] = -1.0  # equals are named together
        best = int((f1 == f1.max()).nonzero()[0])
        half = (ranked[best] + following[best]) / 2
        thresholds[number] = half if half > following[best] else ranked[best]
    return thresholds
