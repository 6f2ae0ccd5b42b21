"""What Linear sees of a video: numbers by hand, order, and nothing of padding."""

from __future__ import annotations

from math import cos, pi, sqrt

import pytest
import torch
from torch import Tensor

from videozoo.models.linear import Linear, row_statistics


def of_one(rows: list[float], cosines: int = 2) -> list[float]:
    x = torch.tensor(rows, dtype=torch.float64)[None, :, None]  # [1, L, 1]
    return row_statistics(x, torch.tensor([len(rows)]), cosines)[0].tolist()


def test_statistics_by_hand() -> None:
    rows = [0.0, 1.0, -1.0, 2.0]
    waves = [
        sqrt(2) / 4 * sum(x * cos(pi * k * (i + 0.5) / 4) for i, x in enumerate(rows))
        for k in (1, 2)
    ]
    wanted = [sqrt(2.5), sqrt(sqrt(1.25)), sqrt(2.0), *waves]  # mean 0.5, changes 1, 2, 3
    assert of_one(rows) == pytest.approx(wanted, abs=1e-6)


def test_a_level_moves_no_cosine_however_few_rows_there_are() -> None:
    for count in range(1, 6):
        assert of_one([1.5] * count, cosines=4)[3:] == pytest.approx([0.0] * 4, abs=1e-6)


def test_a_reversed_video_differs_in_its_odd_cosines_alone() -> None:
    rows = [0.3, 1.0, -1.0, 2.0, 0.5]
    one, other = of_one(rows, 3), of_one(rows[::-1], 3)
    assert one[:3] == pytest.approx(other[:3])
    assert one[3:] == pytest.approx([-other[3], other[4], -other[5]])
    assert min(abs(one[3]), abs(one[5])) > 0.01


def test_statistics_do_not_depend_on_padding_or_precision() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 5, 7)
    padded = torch.cat([x, torch.full((1, 3, 7), 99.0)], dim=1)
    lengths = torch.tensor([5])
    alone = row_statistics(x, lengths, 3)
    torch.testing.assert_close(row_statistics(padded, lengths, 3), alone, rtol=0, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(row_statistics(x, lengths, 3), alone)


def test_gradients_are_finite_where_nothing_moves() -> None:
    x: Tensor = torch.full((2, 3, 4), -2.0, requires_grad=True)
    row_statistics(x, torch.tensor([3, 1]), 3).sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_which_columns_are_cosines() -> None:
    model = Linear(feature_dims=[2, 1], num_classes=3, cosines=2)
    assert model.modality_columns().tolist() == [0] * 10 + [1] * 5
    assert model.cosine_columns().tolist() == [False] * 6 + [True] * 4 + [False] * 3 + [True] * 2
    features = [torch.zeros(1, 4, 2), torch.zeros(1, 4, 1)]
    features[0][0, :, 1] = torch.tensor([1.0, -1.0, -1.0, 1.0])
    seen = model.statistics(features, torch.tensor([4]))[0]
    moved = (seen - model.statistics([f * 0 for f in features], torch.tensor([4]))[0]).abs() > 1e-4
    assert moved.nonzero().flatten().tolist() == [3, 5, 9]  # deviation, change, second cosine


def test_a_model_without_cosines_sees_no_order() -> None:
    model = Linear(feature_dims=[4], num_classes=3, cosines=0).eval()
    x = torch.randn(2, 6, 4)
    lengths = torch.tensor([6, 6])
    torch.testing.assert_close(model([x], lengths), model([x.flip(1)], lengths))
