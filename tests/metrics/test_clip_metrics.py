"""Top-1, top-5, macro F1 and the confusion matrix."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from videozoo.errors import VideozooError
from videozoo.metrics import ClipMetrics

GOLDEN = Path(__file__).parent / "golden"


def test_the_originals_figures() -> None:
    golden = np.load(GOLDEN / "metrics.npz")
    expected = json.loads((GOLDEN / "metrics.json").read_text())
    scores = torch.from_numpy(golden["softmax"])
    labels = torch.from_numpy(golden["class_index"])
    metric = ClipMetrics(num_classes=60)
    bounds = golden["batch_bounds"].tolist()
    for start, stop in pairwise(bounds):
        metric.update(scores[start:stop], labels[start:stop])
    found = metric.compute()
    assert 100 * found["top1"] == pytest.approx(expected["top1"], abs=1e-9)
    assert 100 * found["top5"] == pytest.approx(expected["top5"], abs=1e-9)


def test_a_case_by_hand() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    given = torch.tensor([0, 0, 1, 1, 2, 0])
    metric = ClipMetrics(num_classes=4)  # nobody has or is given class 3
    metric.update(torch.eye(4)[given[:4]], labels[:4])
    metric.update(torch.eye(4)[given[4:]], labels[4:])
    assert metric.confusion.dtype == torch.int64
    assert metric.confusion.tolist() == [[2, 1, 0, 0], [0, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    found = metric.compute()
    assert found["top1"] == pytest.approx(3 / 6)
    assert found["top5"] == 1, "five is capped at the number of classes"
    # F1 of classes 0, 1, 2: 4/6, 2/4, 0/2
    assert found["macro_f1"] == pytest.approx((4 / 6 + 2 / 4 + 0) / 3)


@pytest.mark.parametrize(("label", "top1", "top5"), [(0, 1, 1), (4, 0, 1), (5, 0, 0), (6, 0, 0)])
def test_among_equals_the_smaller_index_ranks_first(label: int, top1: int, top5: int) -> None:
    metric = ClipMetrics(num_classes=7)
    metric.update(torch.zeros(1, 7), torch.tensor([label]))
    found = metric.compute()
    assert (found["top1"], found["top5"]) == (top1, top5)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_two_metrics_merge_and_reset_forgets() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(20, 9, generator=generator)
    labels = torch.randint(0, 9, (20,), generator=generator)
    whole, first, second = (ClipMetrics(num_classes=9) for _ in range(3))
    whole.update(scores, labels)
    first.update(scores[:13], labels[:13])
    second.update(scores[13:], labels[13:])
    first.merge_state(second)
    assert first.compute() == whole.compute()
    whole.reset()
    with pytest.raises(VideozooError, match="there is no clip to measure"):
        whole.compute()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_no_data_is_a_sentence() -> None:
    metric = ClipMetrics(num_classes=3)
    metric.update(torch.empty(0, 3), torch.empty(0, dtype=torch.int64))
    with pytest.raises(VideozooError, match="there is no clip to measure"):
        metric.compute()


def test_wrong_input_is_a_sentence() -> None:
    metric = ClipMetrics(num_classes=3)
    with pytest.raises(VideozooError, match=r"label 3 is out of range 0\.\.2"):
        metric.update(torch.rand(2, 3), torch.tensor([0, 3]))
    with pytest.raises(VideozooError, match=r"label -1 is out of range 0\.\.2"):
        metric.update(torch.rand(2, 3), torch.tensor([-1, 2]))
    with pytest.raises(VideozooError, match=r"must be \[B, 3\] and \[B\]"):
        metric.update(torch.rand(2, 4), torch.tensor([0, 1]))
    with pytest.raises(VideozooError, match="not a number"):
        metric.update(torch.full((1, 3), float("nan")), torch.tensor([0]))
