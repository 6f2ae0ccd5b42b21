from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_training import Steps
from torch import nn

from videozoo.data.batch import ClipBatch
from videozoo.data.collate import collate_clips
from videozoo.data.sample import ClipSample
from videozoo.data.sampler import MicroBatch
from videozoo.specs import SPECS
from videozoo.training.optimizers import parameter_groups, stages_of

SIZES = {"TSN": (2, 3), "STNET": (2, 6)}  # segments, channels


def clips(model: str, *, seed: int = 0) -> ClipBatch:
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for i in range(4):
        shape = (*SIZES[model], 32, 32)
        clip = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        samples.append(ClipSample(f"{i}", clip.numpy(), (i % 2,)))
    part = MicroBatch(epoch=0, step=0, indices=(0, 1, 2, 3), step_size=4, last=True)
    return replace(collate_clips(samples), micro_batch=part)


def step(task: Steps, model: str, *, seed: int = 0) -> None:
    task(clips(model, seed=seed))


def stage_of(model: nn.Module, name: str) -> int | None:
    """Returns the stage, from 1, that a tensor of the state lies in; None: in none."""
    value = dict(model.state_dict(keep_vars=True))[name]
    for number, modules in enumerate(stages_of(model, "test"), start=1):
        inside = [one for module in modules for one in module.state_dict(keep_vars=True).values()]
        if any(value is one for one in inside):
            return number
    return None


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("backbone.conv1.weight", 1),
        ("backbone.bn1.running_mean", 1),
        ("backbone.layer1.0.conv1.weight", 2),
        ("backbone.layer4.1.bn2.bias", 5),
        ("temporal1.conv.weight", None),
        ("xception.norm1.weight", None),
        ("fc.weight", None),
    ],
)
def test_stages_by_name(name: str, stage: int | None) -> None:
    assert stage_of(Steps("STNET").classifier.model, name) == stage


@pytest.mark.parametrize("model", ["TSN", "STNET"])
@pytest.mark.parametrize("stages", [1, 3])
def test_frozen_stages_stay_with_their_statistics(model: str, stages: int) -> None:
    task = Steps(model, freeze_stages=stages)
    before = task.weights()
    for seed in range(2):
        task.classifier.train()  # as validation does when it is over
        step(task, model, seed=seed)
    still, moved = set(), set()
    for name, value in task.weights().items():
        stage = stage_of(task.classifier.model, name.removeprefix("model."))
        same = torch.equal(value, before[name])
        if stage is not None and stage <= stages:
            assert same, name
            still.add(stage)
        elif not same:
            moved.add(stage)
    assert still == set(range(1, stages + 1))
    assert moved == {None, *range(stages + 1, 6)}


def test_frozen_batch_norms_use_their_running_statistics() -> None:
    task = Steps("TSN", freeze_stages=1)
    step(task, "TSN")
    trunk = task.classifier.model.get_submodule("backbone")
    assert not trunk.get_submodule("bn1").training
    assert trunk.get_submodule("layer1.0.bn1").training


def test_every_parameter_has_the_rate_of_its_stage() -> None:
    task = Steps("STNET", layer_decay=0.5, learning_rate=0.08, freeze_stages=2)
    step(task, "STNET")
    optimizer = task.optimizer
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in task.classifier.model.named_parameters():
        stage = stage_of(task.classifier.model, name)
        wanted = 0.08 * 0.5 ** (0 if stage is None else 6 - stage)
        assert rates[id(parameter)] == pytest.approx(wanted), name
    assert sum(len(g["params"]) for g in optimizer.param_groups) == len(rates)
    assert task.result.rate == pytest.approx(0.08)


def test_groups_hold_each_parameter_once() -> None:
    model = Steps("TSN").classifier.model
    groups = parameter_groups(model, weight_decay=1e-4, decays=SPECS["TSN"].decays, layer_decay=0.9)
    found = [id(p) for group in groups for p in group["params"]]
    assert sorted(found) == sorted(id(p) for p in model.parameters())
    assert [g["rate_scale"] for g in groups] == pytest.approx([0.9**i for i in range(6)])


def test_a_decay_of_one_trains_as_without() -> None:
    one, other = Steps("TSN"), Steps("TSN", layer_decay=1.0)
    for task in (one, other):
        step(task, "TSN")
    for name, value in one.weights().items():
        assert torch.equal(value, other.weights()[name]), name
