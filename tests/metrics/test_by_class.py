"""Precision, recall and F1 of each class, and their table."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console
from torch import Tensor
from torchmetrics.functional.classification import multiclass_f1_score as f1_score
from torchmetrics.functional.classification import multiclass_precision as precision
from torchmetrics.functional.classification import multiclass_recall as recall

from videozoo.cli.tables import print_classes
from videozoo.evaluate import Evaluation
from videozoo.metrics import ClipMetrics
from videozoo.metrics.by_class import figures_by_class


def confusion_of(given: Tensor, labels: Tensor, classes: int) -> Tensor:
    metric = ClipMetrics(num_classes=classes)
    metric.update(torch.nn.functional.one_hot(given, classes).float(), labels)
    return metric.confusion


def test_they_are_torchmetrics_own() -> None:
    noise = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (80,), generator=noise)
    given = torch.where(torch.rand(80, generator=noise) < 0.6, labels, labels.roll(1))
    found = figures_by_class(confusion_of(given, labels, 6))  # nobody has or is given class 5
    for name, of in (("precision", precision), ("recall", recall), ("f1", f1_score)):
        expected = of(given, labels, num_classes=6, average=None).tolist()
        assert [getattr(one, name) for one in found] == pytest.approx(expected)
    assert [one.support for one in found] == labels.bincount(minlength=6).tolist()


def printed(found: Evaluation, width: int = 80) -> list[str]:
    text = io.StringIO()
    print_classes(found, Console(file=text, width=width, markup=False))
    return text.getvalue().splitlines()


def test_the_table_has_the_worst_class_first_and_none_that_does_not_occur() -> None:
    labels = torch.tensor([0, 0, 1, 1, 1, 1])
    given = torch.tensor([0, 0, 1, 1, 1, 3])
    found = Evaluation({}, 6, 6, confusion=confusion_of(given, labels, 4))
    found.class_names = ["[run]", "jump", "never", "swim"]
    rows = [line.strip("│ ").split() for line in printed(found) if line.startswith("│")]
    assert [row[0] for row in rows] == ["swim", "jump", "[run]"]
    assert rows[1] == ["jump", "│", "1.0000", "│", "0.7500", "│", "0.8571", "│", "4"]


def test_of_many_classes_the_table_shows_the_worst_and_counts_the_others() -> None:
    labels = torch.arange(400).repeat(2)
    found = Evaluation({}, 800, 800, confusion=confusion_of(labels, labels, 400))
    assert sum(line.startswith("│") for line in printed(found)) == 30
    assert printed(found)[-1] == "... and 370 better ones, all in the result file"
    assert printed(Evaluation({}, 1, 1)) == []  # a video may have many classes
