"""What training does beyond a model's own recipe: the keys of config.keys.Settings at work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from videozoo.config import Experiment
from videozoo.config.clip_keys import ClipSettings
from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.ini import MODES
from videozoo.config.keys import Settings
from videozoo.data.augment import DevicePolicy
from videozoo.data.batches import Batch, ClipBatch, FeatureBatch
from videozoo.data.jitter import augment_clips
from videozoo.errors import Faults
from videozoo.metrics.losses import clip_loss, feature_loss
from videozoo.tasks.balance import ListedClasses, balanced_weights
from videozoo.tasks.distill import Ensemble, Teacher
from videozoo.tasks.mixing import mixed
from videozoo.tasks.schedules import cosine, warm_up


@dataclass
class Recipe:
    """What happens to a batch, its loss and the rate; with these defaults, nothing new.

    Attributes:
        multi_label: a video may have many classes.
        num_classes: K; mixup needs it.
        steps: of the whole training; the cosine needs them.
        schedule: see settings.recipe.
        warmup_steps: see settings.recipe.
        label_smoothing: see metrics.losses.
        class_weights: float32 [K], see metrics.losses.
        policy: what is done to a batch on the device; None: nothing.
        ensemble: whose scores are learnt beside the labels; None: nobody's.
    """

    multi_label: bool
    num_classes: int = 0
    steps: int = 0
    schedule: str | None = None
    warmup_steps: int = 0
    label_smoothing: float = 0.0
    class_weights: Tensor | None = None
    policy: DevicePolicy | None = None
    ensemble: Ensemble | None = None

    def to(self, device: torch.device) -> None:
        """Moves what the loss needs to a device."""
        if self.class_weights is not None:
            self.class_weights = self.class_weights.to(device)
        if self.ensemble is not None:
            self.ensemble.to(device)

    def rate_factor(self, step: int, own: float) -> float:
        """Returns the factor of the learning rate after `step` steps.

        Args:
            step: optimizer steps done so far.
            own: the factor of the model's own schedule.
        """
        if self.schedule == "cosine":
            own = cosine(step, first=self.warmup_steps, last=self.steps)
        return own * warm_up(step, steps=self.warmup_steps)

    def prepare(self, batch: Batch) -> Batch:
        """Augments and mixes a training batch, on its device."""
        if batch.draws is None or self.policy is None:
            return batch
        with torch.autocast(batch.draws.device.type, enabled=False):  # places need all their bits
            if isinstance(batch, ClipBatch):
                clips = augment_clips(batch.clips, batch.draws, self.policy)
                batch = replace(batch, clips=clips)
            return mixed(batch, num_classes=self.num_classes) if self.policy.mixup_alpha else batch

    def losses(self, batch: Batch, logits: Tensor) -> Tensor:
        """Returns the loss of each video of a prepared batch, float32 [B]."""
        weights, labels = self.class_weights, batch.labels
        if self.multi_label:
            loss = feature_loss(
                logits, labels, label_smoothing=self.label_smoothing, class_weights=weights
            )
        else:
            labels = labels.clamp(min=0) if labels.ndim == 1 else labels
            loss = clip_loss(
                logits, labels, label_smoothing=self.label_smoothing, class_weights=weights
            )
        if self.ensemble is None:
            return loss
        assert isinstance(batch, FeatureBatch)
        taught = feature_loss(logits, self.ensemble.scores(batch), class_weights=weights)
        return torch.lerp(loss, taught, self.ensemble.weight)


def device_policy(settings: Settings) -> DevicePolicy | None:
    """Returns what is done to a training batch on the device; None: nothing."""
    policy = DevicePolicy(mixup_alpha=settings.mixup_alpha)
    if isinstance(settings, ClipSettings):
        jitter, operations = settings.color_jitter, settings.rand_augment
        policy = replace(
            policy,
            color_jitter=(jitter[0], jitter[1], jitter[2], jitter[3]) if jitter else None,
            rand_augment=(operations[0], operations[1]) if operations else None,
        )
    return policy if policy.active else None


def make_recipe(
    settings: Settings,
    *,
    multi_label: bool,
    steps: int,
    listed: ListedClasses | None,
    teachers: Sequence[Teacher],
) -> Recipe:
    """Returns the recipe of a training.

    Args:
        settings: of TRAIN.
        multi_label: a video may have many classes.
        steps: of the whole training.
        listed: the classes of the training list; needed where they are to be balanced.
        teachers: whose scores are learnt beside the labels.
    """
    ensemble = None
    if teachers:
        assert isinstance(settings, FeatureSettings)
        ensemble = Ensemble(teachers, weight=settings.distill_weight)
    weights = None
    if isinstance(settings.class_weights, list):
        weights = torch.tensor(settings.class_weights)
    elif settings.class_weights == "balanced":
        assert listed is not None
        weights = balanced_weights(listed.classes, num_classes=settings.num_classes)
    return Recipe(
        multi_label=multi_label,
        num_classes=settings.num_classes,
        steps=steps,
        schedule=settings.schedule,
        warmup_steps=settings.warmup_steps,
        label_smoothing=settings.label_smoothing,
        class_weights=weights,
        policy=device_policy(settings),
        ensemble=ensemble,
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
    wanted = settings.multi_label
    others = [f"[{mode}]" for mode in MODES if experiment[mode].multi_label != wanted]
    if others:
        faults.add(
            f"multi_label is {wanted} in [TRAIN] and {not wanted} in {', '.join(others)};"
            " give it in [MODEL], for all modes alike"
        )
    faults.raise_if_any()
