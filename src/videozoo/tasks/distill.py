"""Distillation: a feature model learns the mean scores of trained ones beside the labels.

G. Hinton, O. Vinyals, J. Dean: "Distilling the Knowledge in a Neural Network", 2015; for video
features M. Skalic, D. Austin: "Building a Size Constrained Predictive Model for Video
Classification", ECCV 2018 workshop on YouTube-8M, section 3.4.

Shapes: B videos, L frames (padded), S frames that AttentionCluster samples, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from videozoo.checkpoints.native import kind_of
from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import Settings
from videozoo.data.batches import FeatureBatch
from videozoo.errors import Faults, VideozooError
from videozoo.predict.inputs import Classifier
from videozoo.predict.weights import LoadedWeights, load_weights


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

    def to(self, device: torch.device) -> None:
        """Moves the teachers to a device."""
        for teacher in self.teachers:
            teacher.classifier.to(device)

    @torch.no_grad()
    def scores(self, batch: FeatureBatch) -> Tensor:
        """Returns the mean of the teachers' scores, float32 [B, K]."""
        scores = []
        for teacher in self.teachers:
            seen = batch if teacher.frames is None else sampled(batch, teacher.frames)
            scores.append(teacher.classifier.scores(teacher.classifier(seen)))  # [B, K]
        return torch.stack(scores).mean(dim=0)  # [B, K]


def sampled(batch: FeatureBatch, count: int) -> FeatureBatch:
    """Takes `count` frames of each video as AttentionCluster does in test (`cluster_frames`).

    Args:
        batch: features [B, L, D].
        count: S.

    Returns:
        A batch of features [B, S, D]; short videos repeat frames.
    """
    middles = torch.arange(count, device=batch.lengths.device, dtype=torch.float64) + 0.5  # [S]
    places = (middles * batch.lengths[:, None] / count).long()  # [B, S]
    places = places.minimum(batch.lengths[:, None] - 1)  # [B, S]
    rows = torch.arange(len(places), device=places.device)[:, None]  # [B, 1]
    return replace(
        batch,
        features=tuple(feature[rows, places] for feature in batch.features),
        lengths=torch.full_like(batch.lengths, count),
    )


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
    if not isinstance(settings, FeatureSettings):
        return []
    teachers = []
    faults = Faults()
    for name in settings.distill_from or ():
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
            sibling = check_sibling(theirs, settings, f"distill_from {path}")
            _check_names(loaded, class_names)
            teachers.append(Teacher(loaded.classifier, sibling.frames_sampled))
    faults.raise_if_any()
    return teachers


def check_sibling(theirs: Settings, settings: Settings, where: str) -> FeatureSettings:
    """Checks that a teacher takes and gives what its student does.

    Args:
        theirs: the teacher's settings, of INFER.
        settings: the student's, of TRAIN.
        where: begins the sentence.

    Returns:
        The teacher's settings.

    Raises:
        VideozooError: it does not.
    """
    if not isinstance(theirs, FeatureSettings):
        raise VideozooError(f"{where}: {theirs.NAME} takes clips; a teacher must take features")
    for key in ("num_classes", "feature_names", "feature_dims"):
        was, wanted = getattr(theirs, key), getattr(settings, key)
        if was != wanted:
            raise VideozooError(f"{where}: its {key} is {was}, the student's is {wanted}")
    return theirs


def _check_names(loaded: LoadedWeights, class_names: Sequence[str] | None) -> None:
    if loaded.labels is None or class_names is None:
        return
    for number, (was, wanted) in enumerate(zip(loaded.labels, class_names, strict=True)):
        if was != wanted:
            raise VideozooError(
                f"distill_from {loaded.path}: its class {number} is '{was}', in the training data"
                f" it is '{wanted}'"
            )
