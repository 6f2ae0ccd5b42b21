"""The key `optimizer`: which there are, their numbers, and the models' own without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import Steps, experiment_of, feature_batch, model_keys
from torch.optim import SGD, Adam, AdamW, Optimizer

from videozoo.classifier import build_classifier
from videozoo.errors import VideozooError
from videozoo.specs import SPECS
from videozoo.training.optimizers import OPTIMIZERS, CenteredRMSProp, make_optimizer


def optimizer_of(model: str, **keys: Any) -> tuple[Optimizer, dict[str, torch.nn.Parameter]]:
    """Returns a model's optimizer, and its parameters by name."""
    spec = SPECS[model]
    settings = spec.keys.model_validate(model_keys(model, **keys))
    network = build_classifier(settings).model
    return make_optimizer(network, spec, settings), dict(network.named_parameters())


CLIP_NUMBERS = {"lr": 0.001, "momentum": 0.9, "nesterov": False, "dampening": 0}
ADAM_NUMBERS = {"betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}
RMSPROP_NUMBERS = {"lr": 0.001, "rho": 0.95, "eps": 1e-6, "momentum": 0.0}


@pytest.mark.parametrize(
    ("model", "kind", "numbers", "decays"),
    [
        ("AttentionCluster", Adam, {"lr": 0.001, **ADAM_NUMBERS}, [0.0]),
        ("AttentionLSTM", CenteredRMSProp, RMSPROP_NUMBERS, [0.0008, 0.0]),
        ("NEXTVLAD", Adam, {"lr": 0.001, **ADAM_NUMBERS}, [1e-5, 0.0]),
        ("TSN", SGD, CLIP_NUMBERS, [1e-4]),
        ("STNET", SGD, CLIP_NUMBERS, [1e-4]),
    ],
)
def test_the_models_own_optimizer_is_the_default(
    model: str, kind: type[Optimizer], numbers: dict[str, Any], decays: list[float]
) -> None:
    optimizer, parameters = optimizer_of(model)
    assert type(optimizer) is kind
    assert [group["weight_decay"] for group in optimizer.param_groups] == decays
    for group in optimizer.param_groups:
        assert {key: group[key] for key in numbers} == numbers
        assert group["rate_scale"] == 1.0
    held = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in parameters.values())


@pytest.mark.parametrize("model", ["AttentionLSTM", "NEXTVLAD", "TSN"])
def test_a_weight_decay_of_adamw_goes_to_matrices_alone(model: str) -> None:
    options = {"weight_decay": 0.05, "betas": [0.9, 0.98]}
    optimizer, parameters = optimizer_of(model, optimizer="adamw", optimizer_options=options)
    assert isinstance(optimizer, AdamW)
    decay_of = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    assert len(decay_of) == len(parameters)
    for name, parameter in parameters.items():
        assert decay_of[id(parameter)] == (0.05 if parameter.ndim >= 2 else 0.0), name
    assert set(decay_of.values()) == {0.05, 0.0}
    assert all(tuple(group["betas"]) == (0.9, 0.98) for group in optimizer.param_groups)


def test_without_a_weight_decay_the_models_own_rule_holds() -> None:
    optimizer, _ = optimizer_of("NEXTVLAD", optimizer="adamw")
    own, _ = optimizer_of("NEXTVLAD")
    for one, other in zip(optimizer.param_groups, own.param_groups, strict=True):
        assert one["weight_decay"] == other["weight_decay"]
        assert [p.shape for p in one["params"]] == [p.shape for p in other["params"]]


def test_options_change_the_models_own_optimizer() -> None:
    optimizer, _ = optimizer_of("TSN", optimizer_options={"nesterov": True})
    assert isinstance(optimizer, SGD)
    (group,) = optimizer.param_groups
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, True, 1e-4)


def test_a_wrong_option_is_named_with_the_nearest() -> None:
    with pytest.raises(VideozooError) as error:
        optimizer_of("NEXTVLAD", optimizer="adamw", optimizer_options={"weight_decai": 0.1})
    assert "optimizer_options: adamw has no 'weight_decai'" in str(error.value)
    assert "did you mean 'weight_decay'?" in str(error.value)
    assert "(it has amsgrad, betas, eps, weight_decay)" in str(error.value)
    with pytest.raises(VideozooError, match="sgd has no 'lr'"):
        optimizer_of("TSN", optimizer_options={"lr": 0.1})


@pytest.mark.parametrize("options", [{"betas": [0.9, 1.5]}, {"eps": "much"}, {"betas": 0.9}])
def test_a_wrong_number_is_told(options: dict[str, Any]) -> None:
    with pytest.raises(VideozooError, match=r"optimizer_options.*adamw says"):
        optimizer_of("NEXTVLAD", optimizer="adamw", optimizer_options=options)


def test_an_unknown_optimizer_is_named() -> None:
    with pytest.raises(VideozooError, match=r"optimizer.*'adam', 'adamw'.*'lamb'"):
        experiment_of("NEXTVLAD", Path("list"), optimizer="lamb")


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("model", ["AttentionCluster", "NEXTVLAD"])
def test_every_optimizer_trains(name: str, model: str) -> None:
    task = Steps(model, optimizer=name, learning_rate=0.01)
    before = task.weights()
    task(feature_batch([0, 1, 2, 3]))
    first = task.result.loss
    for _ in range(5):
        task(feature_batch([0, 1, 2, 3]))
    assert task.result.loss < first
    assert any(not torch.equal(value, before[key]) for key, value in task.weights().items())
