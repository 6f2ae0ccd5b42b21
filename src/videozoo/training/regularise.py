"""What training does beyond a model's own recipe: augmentation, mixup, smoothing, distillation.

Shapes: B videos, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from videozoo.config import Experiment
from videozoo.data.augment import DevicePolicy
from videozoo.data.batch import Batch
from videozoo.errors import Faults
from videozoo.families import Family, family_of
from videozoo.training.balance import ListedClasses, balanced_weights
from videozoo.training.distill import Ensemble, Teacher


@dataclass
class Regulariser:
    """What happens to a batch and its loss; with these defaults, nothing new.

    Attributes:
        family: of the model.
        label_smoothing: see metrics.losses.
        class_weights: float32 [K], see metrics.losses.
        policy: what is done to a batch on the device; None: nothing.
        ensemble: whose scores are learnt beside the labels; None: nobody's.
    """

    family: Family
    label_smoothing: float = 0.0
    class_weights: Tensor | None = None
    policy: DevicePolicy | None = None
    ensemble: Ensemble | None = None

    def to(self, device: torch.device, precision: str = "32") -> Regulariser:
        """Moves what the loss needs to a device; returns itself."""
        if self.class_weights is not None:
            dtype = torch.float64 if precision == "64" else torch.float32
            self.class_weights = self.class_weights.to(device, dtype)
        if self.ensemble is not None:
            self.ensemble.to(device, precision)
        return self

    def prepare(self, batch: Batch) -> Batch:
        """Augments and mixes a training batch, on its device."""
        if batch.draws is None or self.policy is None:
            return batch
        with torch.autocast(batch.draws.device.type, enabled=False):  # places need all their bits
            if self.policy.changes_pixels:
                batch = batch.augmented(self.policy)
            if self.policy.mixup_alpha:
                batch = batch.mixed(self.family.settings.num_classes)
            return batch

    def losses(self, batch: Batch, logits: Tensor) -> Tensor:
        """Returns the loss of each video of a prepared batch, float [B]."""
        loss = self.family.loss(
            logits,
            batch.labels,
            label_smoothing=self.label_smoothing,
            class_weights=self.class_weights,
        )
        if self.ensemble is None:
            return loss
        scores = self.ensemble.scores(batch)
        taught = self.family.loss(logits, scores, class_weights=self.class_weights)
        return torch.lerp(loss, taught, self.ensemble.weight)


def make_regulariser(
    family: Family, *, listed: ListedClasses | None, teachers: Sequence[Teacher]
) -> Regulariser:
    """Returns what the keys of a training ask for.

    Args:
        family: with the settings of TRAIN.
        listed: the classes of the training list; needed where they are to be balanced.
        teachers: whose scores are learnt beside the labels.
    """
    settings = family.settings
    weights = None
    if settings.class_weights == "balanced":
        assert listed is not None
        weights = balanced_weights(listed.classes, num_classes=settings.num_classes)
    elif settings.class_weights is not None:
        weights = torch.tensor(settings.class_weights)
    policy = family.policy()
    return Regulariser(
        family=family,
        label_smoothing=settings.label_smoothing,
        class_weights=weights,
        policy=policy if policy.active else None,
        ensemble=Ensemble(teachers, weight=settings.distill_weight) if teachers else None,
    )


def check_recipe(experiment: Experiment, *, validates: bool, at_once: int, steps: int) -> None:
    """Checks what the keys of a training ask for against the rest of it.

    Args:
        experiment: the config.
        validates: there is a validation list.
        at_once: samples that go through the model together.
        steps: of the whole training.

    Raises:
        VideozooError: lists what cannot be.
    """
    settings = experiment["TRAIN"]
    faults = Faults()
    if settings.early_stopping is not None and not validates:
        faults.add("early_stopping goes by validation, but [VALID] names no filelist; give one")
    if settings.mixup_alpha and at_once == 1:
        faults.add(
            "mixup_alpha mixes the videos that go through the model together, but that is one at"
            " a time; raise batch_size or micro_batch to 2 or more"
        )
    if settings.warmup_steps >= steps and settings.warmup_steps:
        faults.add(
            f"warmup_steps is {settings.warmup_steps}, but the whole training has {steps} steps;"
            " give fewer"
        )
    for fault in family_of(settings).faults(dict(experiment.modes)):
        faults.add(fault)
    faults.raise_if_any()
