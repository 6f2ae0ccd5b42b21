"""A training step on a device that is not the CPU, and in mixed precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_training import (
    assert_close,
    feature_batch,
    gradients_of,
    make_task,
    weights_of,
)
from torch import Tensor

from other_device import OtherTensor, other_device
from videozoo.data.augment import OPERATIONS, DevicePolicy
from videozoo.data.batches import ClipBatch
from videozoo.tasks.averaging import Averaging
from videozoo.tasks.recipe import Recipe
from videozoo.tasks.task import VideoTask

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
        chunk=None,
        draws=torch.from_numpy(draws),
        clips=torch.from_numpy(clips),
        labels=torch.arange(videos),
    )


def step(task: VideoTask) -> None:
    task.training_step(feature_batch([0, 1, 2], step_size=6, last=False), 0)
    task.training_step(feature_batch([3, 4], step_size=6), 1)  # one could not be read


@pytest.mark.parametrize("model", MODELS)
def test_a_step_is_the_same(model: str) -> None:
    task = make_task(model)
    step(task)
    with other_device() as device:
        there = make_task(model).to(device)
        optimizer = torch.optim.SGD(there.parameters(), lr=0.1)  # Adam's fused form is for GPUs
        there.optimizers = lambda: optimizer
        before = on_cpu(weights_of(there))
        step(there)
        gradients, after = on_cpu(gradients_of(there)), on_cpu(weights_of(there))
    assert_close(gradients, gradients_of(task), atol=1e-6)
    assert there.last_loss == pytest.approx(task.last_loss, rel=1e-6)
    assert any(not torch.equal(after[name], before[name]) for name in after)


@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_made_outside_of_autocast(model: str) -> None:
    task = make_task(model)
    seen: list[tuple[bool, bool]] = []
    last = task.classifier.model.classifier
    last.register_forward_hook(lambda *_: seen.append((True, torch.is_autocast_enabled("cpu"))))
    last.weight.register_hook(lambda _: seen.append((False, torch.is_autocast_enabled("cpu"))))
    with torch.autocast("cpu", torch.bfloat16):
        step(task)
    assert seen == [(True, True), (False, False)] * 2


def test_changes_of_clips_are_the_same() -> None:
    recipe = Recipe(
        multi_label=False,
        num_classes=4,
        label_smoothing=0.1,
        class_weights=torch.tensor([1.0, 2.0, 3.0, 4.0]),
        policy=POLICY,
    )
    wanted = recipe.prepare(clip_batch())
    logits = torch.randn(3, 4)
    losses = recipe.losses(wanted, logits)
    with other_device() as device:
        recipe.to(device)
        found = recipe.prepare(clip_batch().to(device))
        there = recipe.losses(found, logits.to(device)).cpu()
        clips, labels = found.clips.cpu(), found.labels.cpu()
    torch.testing.assert_close(clips, wanted.clips, rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(labels, wanted.labels)
    torch.testing.assert_close(there, losses)


def test_averages_are_the_same() -> None:
    def averaged(task: VideoTask) -> dict[str, Tensor]:
        average = Averaging(task.classifier, decay=0.9)
        with torch.no_grad():
            for _ in range(3):
                average.update(task.classifier.model)
                for parameter in task.classifier.model.parameters():
                    parameter.add_(1.0)
        return dict(average.classifier.model.state_dict())

    wanted = averaged(make_task("NEXTVLAD"))
    with other_device() as device:
        found = on_cpu(averaged(make_task("NEXTVLAD").to(device)))
    assert_close(found, wanted, atol=1e-6)
