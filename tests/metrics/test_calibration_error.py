"""Expected calibration error, against torchmetrics' own."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.classification import (
    binary_calibration_error,
    multiclass_calibration_error,
)

from videozoo.metrics import ClipMetrics, MultiLabelMetrics


def test_of_one_class_it_is_that_of_the_best_score() -> None:
    noise = torch.Generator().manual_seed(2)
    scores = torch.randn(300, 7, generator=noise).mul(2).softmax(1)
    labels = torch.randint(0, 7, (300,), generator=noise)
    whole, first, second = (ClipMetrics(num_classes=7) for _ in range(3))
    whole.update(scores, labels)
    expected = multiclass_calibration_error(scores, labels, num_classes=7, n_bins=15)
    assert float(whole.compute()["ece"]) == pytest.approx(float(expected), abs=1e-6)
    for metric, chosen in ((first, slice(0, None, 2)), (second, slice(1, None, 2))):
        metric.update(scores[chosen], labels[chosen])
    first.merge_state(second)
    assert first.compute()["ece"] == whole.compute()["ece"]  # bit for bit, in any order


def test_of_many_classes_it_is_over_all_pairs() -> None:
    noise = torch.Generator().manual_seed(3)
    scores = torch.rand(90, 5, generator=noise)
    labels = torch.rand(90, 5, generator=noise) < scores**2
    metric = MultiLabelMetrics(num_classes=5)
    metric.update(scores, labels)
    expected = binary_calibration_error(scores.flatten(), labels.flatten().long(), n_bins=15)
    assert float(metric.compute()["ece"]) == pytest.approx(float(expected), abs=1e-6)


def test_certain_and_right_is_no_error_and_certain_and_wrong_is_the_largest() -> None:
    for label, error in ((0, 0.0), (1, 1.0)):
        metric = ClipMetrics(num_classes=2)
        metric.update(torch.tensor([[1.0, 0.0]] * 3), torch.tensor([label] * 3))
        assert float(metric.compute()["ece"]) == error
