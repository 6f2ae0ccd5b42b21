from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from torch import nn

from videozoo.metrics.losses import clip_loss, feature_loss
from videozoo.specs import SPECS, build_model
from videozoo.training.optimizers import CenteredRMSProp, parameter_groups


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop_follows_its_formula(momentum: float) -> None:
    lr, rho, eps, decay = 0.1, 0.9, 1e-3, 0.01
    p = nn.Parameter(torch.tensor([2.0]))
    optimizer = CenteredRMSProp([p], lr=lr, rho=rho, eps=eps, momentum=momentum, weight_decay=decay)
    value, ms, mg, step = 2.0, 0.0, 0.0, 0.0
    for gradient in (1.0, -0.5, 3.0, 0.25):
        p.grad = torch.tensor([gradient])
        optimizer.step()
        g = gradient + decay * value
        ms = rho * ms + (1 - rho) * g * g
        mg = rho * mg + (1 - rho) * g
        step = momentum * step + lr * g / math.sqrt(ms - mg * mg + eps)
        value -= step
        assert p.item() == pytest.approx(value, rel=1e-5)


def test_rmsprop_resumes_exactly() -> None:
    torch.manual_seed(0)
    first = nn.Linear(3, 2)
    one = CenteredRMSProp(first.parameters(), lr=0.01)

    def train(model: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor) -> None:
        optimizer.zero_grad()
        model(x).square().sum().backward()
        optimizer.step()

    x = torch.randn(4, 3)
    train(first, one, x)
    second = nn.Linear(3, 2)
    second.load_state_dict(first.state_dict())
    two = CenteredRMSProp(second.parameters(), lr=0.5)
    two.load_state_dict(deepcopy(one.state_dict()))  # as through a file
    train(first, one, x)
    train(second, two, x)
    assert torch.equal(first.weight, second.weight)


def test_momentum_may_be_given_later() -> None:
    p = nn.Parameter(torch.ones(2))
    optimizer = CenteredRMSProp([p], lr=0.1)
    for momentum in (0.0, 0.9):
        optimizer.param_groups[0]["momentum"] = momentum
        p.grad = torch.ones(2)
        optimizer.step()
    assert p.isfinite().all()


def test_rmsprop_leaves_parameters_without_gradient_alone() -> None:
    a, b = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = CenteredRMSProp([a, b], lr=0.1, weight_decay=0.1)
    a.grad = torch.ones(2)
    optimizer.step()
    assert not torch.equal(a, torch.ones(2))
    assert torch.equal(b, torch.ones(2))


FEATURES = {"feature_dims": [8, 4], "num_classes": 3, "drop_rate": 0.0}


@pytest.mark.parametrize(
    ("name", "kwargs", "decayed", "plain"),
    [
        ("AttentionCluster", FEATURES | {"cluster_nums": [2, 2]}, None, "fc1.weight"),
        (
            "AttentionLSTM",
            FEATURES | {"embedding_size": 4, "lstm_size": 4, "hidden_sizes": (4, 4)},
            "modalities.1.backward_lstm.bias",
            "modalities.1.backward_lstm.gates.bias",
        ),
        (
            "NEXTVLAD",
            FEATURES | {"cluster_size": 2, "hidden_size": 8, "groups": 2},
            "classifier.weight",
            "hidden.weight",
        ),
        ("TSN", {"num_classes": 3, "num_layers": 18}, "backbone.bn1.bias", None),
    ],
)
def test_what_decays(
    name: str, kwargs: dict[str, object], decayed: str | None, plain: str | None
) -> None:
    model = build_model(name, **kwargs)
    names = {id(p): n for n, p in model.named_parameters()}
    groups = parameter_groups(model, weight_decay=0.5, decays=SPECS[name].decays)
    found: tuple[set[str], set[str]] = (set(), set())
    for group in groups:
        assert group["weight_decay"] in (0.0, 0.5)
        found[group["weight_decay"] == 0.0].update(names[id(p)] for p in group["params"])
    assert found[0] | found[1] == set(names.values())
    assert sum(len(group["params"]) for group in groups) == len(names)
    assert decayed is None or decayed in found[0]
    assert plain is None or plain in found[1]
    assert bool(found[0]) == (decayed is not None)


def test_losses_are_one_number_a_video() -> None:
    labels = torch.tensor([[True, False, True], [False] * 3])
    loss = feature_loss(torch.zeros(2, 3), labels)
    torch.testing.assert_close(loss, torch.full((2,), 3 * math.log(2)))
    confident = feature_loss(torch.tensor([[20.0, -20.0, 20.0], [20.0, -20.0, -20.0]]), labels)
    torch.testing.assert_close(confident, torch.tensor([0.0, 20.0]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        clip_loss(torch.tensor([[0.0, 0.0], [0.0, 10.0]]), torch.tensor([1, 0])),
        torch.tensor([math.log(2), 10.0]),
        atol=1e-4,
        rtol=0,
    )
