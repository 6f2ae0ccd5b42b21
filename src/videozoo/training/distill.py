"""Distillation: a feature model learns the mean scores of trained ones beside the labels.

G. Hinton, O. Vinyals, J. Dean: "Distilling the Knowledge in a Neural Network", 2015; for video
features M. Skalic, D. Austin: "Building a Size Constrained Predictive Model for Video
Classification", ECCV 2018 workshop on YouTube-8M, section 3.4.

Shapes: B videos, L frames (padded), S frames that AttentionCluster samples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videozoo.checkpoints.native import kind_of
from videozoo.classifier import Classifier, LoadedWeights, load_weights
from videozoo.config.keys import Settings
from videozoo.errors import Faults, VideozooError
from videozoo.families.features import sampled


@dataclass(frozen=True)
class Teacher:
    """A trained classifier in test mode, and how many frames of a video it takes; None: all."""

    classifier: Classifier
    frames: int | None


class Ensemble:
    """The teachers: they see the batch that the student sees, mixed or not, and do not learn.

    Attributes:
        weight: the share of their scores in what the student learns; the labels have the rest.

    Args:
        teachers: at least one.
        weight: see above.
    """

    def __init__(self, teachers: Sequence[Teacher], *, weight: float) -> None:
        self.teachers = list(teachers)
        self.weight = weight
        for teacher in self.teachers:
            teacher.classifier.eval().requires_grad_(False)

    def to(self, device: torch.device, precision: str = "32") -> None:
        """Moves the teachers to a device."""
        for teacher in self.teachers:
            teacher.classifier.to(device)
            if precision == "64":
                teacher.classifier.model.double()

    @torch.no_grad()
    def scores(self, batch: Any) -> Tensor:
        """Returns the mean of the teachers' scores of a FeatureBatch, float [B, K]."""
        scores = []
        for teacher in self.teachers:
            seen = batch if teacher.frames is None else sampled(batch, teacher.frames)
            scores.append(teacher.classifier.scores(teacher.classifier(seen)))  # [B, K]
        return torch.stack(scores).mean(dim=0)  # [B, K]


def open_teachers(
    settings: Settings,
    class_names: Sequence[str] | None,
    *,
    locate: Callable[[str], Path] = Path,
) -> list[Teacher]:
    """Loads the models of distill_from.

    Args:
        settings: the student's, of TRAIN.
        class_names: of the training data, where they are known.
        locate: answers what distill_from names with the file.

    Returns:
        The teachers; none where distill_from names none.

    Raises:
        VideozooError: lists every one that is missing or does not fit the student.
    """
    teachers = []
    faults = Faults()
    for name in getattr(settings, "distill_from", None) or ():
        with faults.noting():
            path = locate(name)
            if not path.exists():
                raise VideozooError(f"distill_from {name}: there is no such checkpoint")
            if kind_of(path) != "native":
                raise VideozooError(
                    f"distill_from {name}: is no .safetensors file of videozoo; videozoo convert"
                    " makes one of a checkpoint of the original library"
                )
            loaded = load_weights(path)
            theirs = loaded.experiment["INFER"]
            check_sibling(theirs, settings, f"distill_from {path}")
            _check_names(loaded, class_names)
            teachers.append(Teacher(loaded.classifier, getattr(theirs, "frames_sampled", None)))
    faults.raise_if_any()
    return teachers


def check_sibling(theirs: Settings, settings: Settings, where: str) -> None:
    """Checks that a teacher takes and gives what its student does.

    Args:
        theirs: the teacher's settings, of INFER.
        settings: the student's, of TRAIN.
        where: begins the sentence.

    Raises:
        VideozooError: it does not.
    """
    if theirs.family != settings.family:
        raise VideozooError(
            f"{where}: {theirs.NAME} takes {theirs.family}; a teacher must take {settings.family}"
        )
    for key in ("num_classes", "multi_label", "feature_names", "feature_dims"):
        was, wanted = getattr(theirs, key), getattr(settings, key)
        if was != wanted:
            raise VideozooError(f"{where}: its {key} is {was}, the student's is {wanted}")


def _check_names(loaded: LoadedWeights, class_names: Sequence[str] | None) -> None:
    if loaded.labels is None or class_names is None:
        return
    for number, (was, wanted) in enumerate(zip(loaded.labels, class_names, strict=True)):
        if was != wanted:
            raise VideozooError(
                f"distill_from {loaded.path}: its class {number} is '{was}', in the training data"
                f" it is '{wanted}'"
            )
