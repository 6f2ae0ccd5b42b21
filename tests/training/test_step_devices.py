"""A training step on a device that is not the CPU, and in mixed precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_training import (
    Steps,
    assert_close,
    feature_batch,
    model_keys,
)
from torch import Tensor

from other_device import OtherTensor, other_device
from videozoo.data.augment import OPERATIONS, DevicePolicy
from videozoo.data.batch import ClipBatch
from videozoo.families import family_of
from videozoo.specs import SPECS
from videozoo.training.averaging import Averaging
from videozoo.training.regularise import Regulariser
from videozoo.training.step import Stepper

MODELS = ["AttentionCluster", "AttentionLSTM", "NEXTVLAD"]


def on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    assert all(isinstance(value, OtherTensor) for value in tensors.values())
    return {name: value.cpu() for name, value in tensors.items()}


POLICY = DevicePolicy(
    mixup_alpha=0.4, color_jitter=(0.4, 0.4, 0.4, 0.1), rand_augment=(len(OPERATIONS), 9)
)


def clip_batch(videos: int = 3) -> ClipBatch:
    """Clips for which each of the operations is drawn."""
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (videos, 2, 6, 16, 16), dtype=np.uint8)
    draws = np.stack([POLICY.draw(rng) for _ in range(videos)])
    draws[:, 5::2] = np.arange(len(OPERATIONS))
    return ClipBatch(
        videos=["v"] * videos,
        weights=torch.ones(videos),
        unreadable=[],
        micro_batch=None,
        draws=torch.from_numpy(draws),
        clips=torch.from_numpy(clips),
        labels=torch.arange(videos),
        labelled=torch.ones(videos, dtype=torch.bool),
    )


def step(task: Steps) -> None:
    task(
        feature_batch([0, 1, 2], step_size=6, last=False),
        feature_batch([3, 4], step_size=6),  # one could not be read
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_step_is_the_same(model: str) -> None:
    task = Steps(model)
    step(task)
    with other_device() as device:
        there = Steps(model)
        there.classifier.to(device)
        # Adam's fused form is for GPUs
        optimizer = torch.optim.SGD(there.classifier.parameters(), lr=0.1)
        there.stepper = Stepper(**there.arguments | {"optimizer": optimizer})
        before = on_cpu(there.weights())
        step(there)
        gradients, after = on_cpu(there.gradients()), on_cpu(there.weights())
    assert_close(gradients, task.gradients(), atol=1e-6)
    assert there.result.loss == pytest.approx(task.result.loss, rel=1e-6)
    assert any(not torch.equal(after[name], before[name]) for name in after)


@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_made_outside_of_autocast(model: str) -> None:
    task = Steps(model)
    seen: list[tuple[bool, bool]] = []
    last = task.classifier.model.classifier
    last.register_forward_hook(lambda *_: seen.append((True, torch.is_autocast_enabled("cpu"))))
    last.weight.register_hook(lambda _: seen.append((False, torch.is_autocast_enabled("cpu"))))
    task.stepper = Stepper(**task.arguments | {"precision": "bf16"})
    step(task)
    assert seen == [(True, True), (False, False)] * 2


def test_changes_of_clips_are_the_same() -> None:
    settings = SPECS["TSN"].keys.model_validate(model_keys("TSN", num_classes=4))
    regulariser = Regulariser(
        family_of(settings),
        label_smoothing=0.1,
        class_weights=torch.tensor([1.0, 2.0, 3.0, 4.0]),
        policy=POLICY,
    )
    wanted = regulariser.prepare(clip_batch())
    logits = torch.randn(3, 4)
    losses = regulariser.losses(wanted, logits)
    with other_device() as device:
        regulariser.to(device)
        found = regulariser.prepare(clip_batch().to(device))
        there = regulariser.losses(found, logits.to(device)).cpu()
        clips, labels = found.clips.cpu(), found.labels.cpu()
    torch.testing.assert_close(clips, wanted.clips, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(labels, wanted.labels)
    torch.testing.assert_close(there, losses)


def test_averages_are_the_same() -> None:
    def averaged(task: Steps) -> dict[str, Tensor]:
        average = Averaging(task.classifier, decay=0.9)
        with torch.no_grad():
            for _ in range(3):
                average.update(task.classifier.model)
                for parameter in task.classifier.model.parameters():
                    parameter.add_(1.0)
        return dict(average.classifier.model.state_dict())

    wanted = averaged(Steps("NEXTVLAD"))
    with other_device() as device:
        there = Steps("NEXTVLAD")
        there.classifier.to(device)
        found = on_cpu(averaged(there))
    assert_close(found, wanted, atol=1e-6)
