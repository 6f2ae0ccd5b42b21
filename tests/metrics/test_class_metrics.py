"""Average precision of each class against the rest, and what thresholds call a video."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import multiclass_average_precision, multilabel_f1_score

from videozoo.metrics import class_metrics
from videozoo.metrics.by_class import class_figures
from videozoo.metrics.class_metrics import AtThresholds, OneVersusRest, bin_edges

SHOWN, CLASSES = 4, 5  # no video is of the last class


def scored(videos: int) -> tuple[Tensor, Tensor]:
    """Returns scores that tell something of the labels, with equals among them."""
    noise = torch.Generator().manual_seed(3)
    labels = torch.randint(0, SHOWN, (videos,), generator=noise)
    logits = torch.randn(videos, CLASSES, generator=noise)
    logits[torch.arange(videos), labels] += 1.5
    return (logits * 2).round().softmax(1), labels


def fed(metric: Metric, scores: Tensor, labels: Tensor) -> dict[str, Tensor]:
    for start in range(0, len(scores), 32):
        metric.update(scores[start : start + 32], labels[start : start + 32])
    found: dict[str, Tensor] = metric.compute()
    return found


def test_average_precision_is_torchmetrics_own() -> None:
    scores, labels = scored(300)
    found = fed(OneVersusRest(num_classes=CLASSES, videos=300), scores, labels)
    expected = multiclass_average_precision(scores, labels, num_classes=CLASSES, average="none")
    precisions = found["average_precision"]
    assert precisions[:SHOWN].tolist() == pytest.approx(expected[:SHOWN].tolist(), abs=1e-6)
    assert precisions[SHOWN].isnan()


def test_of_many_videos_it_is_binned_and_keeps_no_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_metrics, "MOST_EXACT", 300 * CLASSES - 1)
    scores, labels = scored(300)
    metric = OneVersusRest(num_classes=CLASSES, videos=300)
    precisions = fed(metric, scores, labels)["average_precision"]
    expected = multiclass_average_precision(
        scores, labels, num_classes=CLASSES, average="none", thresholds=bin_edges()
    )
    assert precisions[:SHOWN].tolist() == pytest.approx(expected[:SHOWN].tolist(), abs=1e-6)
    assert precisions[SHOWN].isnan()
    exact = multiclass_average_precision(scores, labels, num_classes=CLASSES, average="none")
    assert precisions[:SHOWN].tolist() == pytest.approx(exact[:SHOWN].tolist(), abs=0.01)
    assert metric.scores == []
    assert int(metric.binned.sum()) == 300 * CLASSES


def test_scores_of_0_and_1_have_bins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_metrics, "MOST_EXACT", 0)
    metric = OneVersusRest(num_classes=2, videos=3)
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    found = fed(metric, scores, torch.tensor([0, 1, 1]))["average_precision"]
    assert found.tolist() == pytest.approx([1 / 2, 1 / 2 + 1 / 2 * 2 / 3])


def test_figures_at_thresholds_are_torchmetrics_own() -> None:
    noise = torch.Generator().manual_seed(1)
    scores = torch.rand(90, 3, generator=noise)
    labels = torch.rand(90, 3, generator=noise) < scores
    thresholds = torch.tensor([0.3, 0.5, 0.8])
    found = fed(AtThresholds(thresholds=thresholds), scores, labels)
    figures = class_figures(labels.sum(0), found["right"], found["called"], None)
    for number, threshold in enumerate(thresholds.tolist()):
        one = multilabel_f1_score(scores, labels.int(), 3, threshold, average="none")[number]
        assert figures[number].f1 == pytest.approx(float(one))
    assert [one.called for one in figures] == (scores >= thresholds).sum(0).tolist()
