from __future__ import annotations

import pytest
import torch
from torch import Tensor

from videozoo.errors import VideozooError
from videozoo.metrics import MultiLabelMetrics


def average_precision(scores: Tensor, right: Tensor) -> float:
    """Returns the mean precision at each right one, from the highest score down."""
    order = scores.argsort(descending=True).tolist()
    found, precisions = 0, []
    for rank, index in enumerate(order, 1):
        if right[index]:
            found += 1
            precisions.append(found / rank)
    return sum(precisions) / len(precisions)


def some(number: int, classes: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(number, classes, generator=generator)
    return scores, torch.rand(number, classes, generator=generator) < 0.3


def test_average_precisions_are_those_of_the_book() -> None:
    scores, labels = some(40, 5)
    labels[:, 3] = False  # a class that no clip has
    metric = MultiLabelMetrics(num_classes=5)
    for start in range(0, 40, 7):
        metric.update(scores[start : start + 7], labels[start : start + 7])
    found = metric.compute()
    expected = [average_precision(scores[:, c], labels[:, c]) for c in (0, 1, 2, 4)]
    assert found["average_precision"][[0, 1, 2, 4]].tolist() == pytest.approx(expected, abs=1e-6)
    assert found["average_precision"][3].isnan()
    assert float(found["map"]) == pytest.approx(sum(expected) / 4, abs=1e-6)
    hits = [bool(labels[i, scores[i].argmax()]) for i in range(40)]
    assert float(found["hit_at_1"]) == pytest.approx(sum(hits) / 40)


def test_perfect_scores_and_worst_ones_that_rank_together() -> None:
    labels = torch.tensor([[True, False], [False, True], [True, True], [False, False]])
    metric = MultiLabelMetrics(num_classes=2)
    metric.update(labels.float() * 0.8 + 0.1, labels)
    assert float(metric.compute()["map"]) == 1.0
    metric.reset()
    metric.update(0.9 - labels.float() * 0.8, labels)
    assert float(metric.compute()["map"]) == pytest.approx(2 / 4)


def test_a_single_class() -> None:
    metric = MultiLabelMetrics(num_classes=1)
    metric.update(torch.tensor([[0.2], [0.8], [0.5]]), torch.tensor([[True], [False], [True]]))
    assert float(metric.compute()["map"]) == pytest.approx((1 / 2 + 2 / 3) / 2)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_faults() -> None:
    metric = MultiLabelMetrics(num_classes=3)
    with pytest.raises(VideozooError, match="there is no clip to measure"):
        metric.compute()
    with pytest.raises(VideozooError, match="must both be"):
        metric.update(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(VideozooError, match="NaN"):
        metric.update(torch.full((2, 3), torch.nan), torch.zeros(2, 3))
    with pytest.raises(VideozooError, match="at least 1"):
        MultiLabelMetrics(num_classes=0)
