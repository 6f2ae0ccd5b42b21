"""The closed fit: what it finds is the minimum, and the model it fills says the same."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from videozoo.errors import VideozooError
from videozoo.models.linear import Linear
from videozoo.training import linear_fit
from videozoo.training.linear_fit import Problem, Strength, fit_linear, solve, target_of

DIMS = [5, 3]
STRENGTHS = [Strength(1e-2, 1.0), Strength(1e-3, 0.3), Strength(1e-3, 0.5, balance=1.0)]


def videos(count: int, classes: int, seed: int = 0) -> tuple[list[list[Tensor]], list[list[int]]]:
    """Rows of videos whose class is seen in their first value."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for i in range(count):
        n = 2 + i % 4
        rows.append([torch.randn(n, d, generator=generator) for d in DIMS])
        rows[-1][0][:, 0] += i % classes
    return rows, [[i % classes] for i in range(count)]


def forward(model: Linear, rows: list[list[Tensor]]) -> Tensor:
    with torch.no_grad():
        return torch.cat([model([x[None] for x in r], torch.tensor([len(r[0])])) for r in rows])


def statistics(model: Linear, rows: list[list[Tensor]]) -> Tensor:
    found = [model.statistics([x[None] for x in r], torch.tensor([len(r[0])])) for r in rows]
    return torch.cat(found)


def gradient(
    model: Linear, seen: Tensor, labels: list[list[int]], strength: Strength, multi_label: bool
) -> Tensor:
    """The penalised loss's, by autograd from its definition, in float64."""
    x = ((seen - seen.mean(0)) / (seen.var(0, correction=0) + model.norm.eps).sqrt()).double()
    factors = torch.where(model.cosine_columns(), strength.cosines, 1.0).double()
    shares = torch.cat([torch.full((6 * d,), d / sum(DIMS)) for d in DIMS]).double()
    factors = factors / shares.sqrt() if strength.balance else factors
    x = x * factors
    x = x / x.square().sum(dim=1).mean().sqrt()
    size = ((seen - seen.mean(0)) / (seen.var(0, correction=0) + model.norm.eps).sqrt()).double()
    size = (size * factors).square().sum(dim=1).mean().sqrt()
    w = (model.classifier.weight.detach().double().t() / factors[:, None] * size).requires_grad_()
    b = model.classifier.bias.detach().double().requires_grad_()
    target = target_of(labels, num_classes=len(b), multi_label=multi_label).double()
    logits = x @ w + b
    if multi_label:
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(x)
    else:
        loss = F.cross_entropy(logits, target)
    total = loss + strength.penalty / 2 * w.square().sum()
    return torch.cat([g.flatten() for g in torch.autograd.grad(total, [w, b])])


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("most", [1500, 5], ids=["products", "statistics"])
def test_what_is_found_is_the_minimum(
    strength: Strength, multi_label: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linear_fit, "MOST_PRODUCTS", most)
    rows, labels = videos(20, 3)
    if multi_label:
        labels[0] = [0, 2]
    model = Linear(feature_dims=DIMS, num_classes=3)
    seen = statistics(model, rows)
    before = gradient(model, seen, labels, strength, multi_label).abs().max()
    fit_linear(model, seen, labels, multi_label=multi_label, strength=strength)
    after = gradient(model, seen, labels, strength, multi_label).abs().max()
    assert after < (2e-5 if most == 1500 else 1e-4)  # statistics are summed in float32
    assert before > 1000 * after


def test_the_model_gives_the_logits_of_the_fit() -> None:
    rows, labels = videos(24, 3)
    model = Linear(feature_dims=DIMS, num_classes=3)
    seen, strength = statistics(model, rows), STRENGTHS[1]
    problem = Problem(seen[:20], seen[20:], model)
    design = problem.design(strength)
    target = target_of(labels[:20], num_classes=3, multi_label=False).double()
    (found,) = solve(design.columns, target, [strength.penalty], multi_label=False, tolerance=1e-8)
    fit_linear(model, seen[:20], labels[:20], multi_label=False, strength=strength)
    wanted = design.others @ found[:-1] + found[-1]
    logits = forward(model.eval(), rows[20:]).double()
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)


def test_order_alone_can_be_learnt() -> None:
    generator = torch.Generator().manual_seed(1)
    rows, labels = [], []
    for i in range(24):
        rising = torch.linspace(-1, 1, 8)[:, None] * torch.ones(1, DIMS[0])
        rising = rising + 0.3 * torch.randn(8, DIMS[0], generator=generator)
        rows.append([rising if i % 2 else rising.flip(0), torch.zeros(8, DIMS[1])])
        labels.append([i % 2])
    model = Linear(feature_dims=DIMS, num_classes=2)
    fit_linear(
        model, statistics(model, rows[:12]), labels[:12], multi_label=False, strength=STRENGTHS[0]
    )
    answers = forward(model.eval(), rows[12:]).argmax(dim=1)
    assert answers.tolist() == [label for (label,) in labels[12:]]
    reversed_rows = [[x.flip(0) for x in r] for r in rows[12:]]
    assert forward(model, reversed_rows).argmax(dim=1).tolist() == (1 - answers).tolist()


@pytest.mark.parametrize("multi_label", [False, True])
def test_one_video_and_classes_that_no_video_has(multi_label: bool) -> None:
    rows, _ = videos(1, 1)
    model = Linear(feature_dims=DIMS, num_classes=4)
    fit_linear(
        model, statistics(model, rows), [[2]], multi_label=multi_label, strength=STRENGTHS[0]
    )
    logits = forward(model.eval(), rows)
    assert logits.isfinite().all()
    assert logits.argmax() == 2


@pytest.mark.parametrize(
    ("labels", "multi_label", "said"),
    [
        ([], False, "no videos"),
        ([[]], False, "0 classes; it must have one: set multi_label"),
        ([[0, 1]], False, "2 classes; it must have one: set multi_label"),
    ],
)
def test_what_cannot_be_learnt_is_refused(
    labels: list[list[int]], multi_label: bool, said: str
) -> None:
    model = Linear(feature_dims=DIMS, num_classes=2)
    seen = torch.zeros(len(labels), model.classifier.in_features)
    with pytest.raises(VideozooError, match=said):
        fit_linear(model, seen, labels, multi_label=multi_label, strength=STRENGTHS[0])
