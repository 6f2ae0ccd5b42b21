from __future__ import annotations

import pytest
import torch
from torch import Tensor

from videozoo.metrics.losses import clip_loss, feature_loss

WEIGHTS = torch.tensor([0.5, 2.0, 1.0])


@pytest.fixture
def logits() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(4, 3)


@pytest.fixture
def many() -> Tensor:
    return torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], dtype=torch.bool)


def test_label_smoothing_of_one_class(logits: Tensor) -> None:
    labels = torch.tensor([0, 2, 1, 1])
    target = torch.full((4, 3), 0.3 / 3)
    target[range(4), labels] += 0.7
    expected = -(target * logits.log_softmax(1)).sum(1)
    torch.testing.assert_close(clip_loss(logits, labels, label_smoothing=0.3), expected)


def test_label_smoothing_of_many_classes(logits: Tensor, many: Tensor) -> None:
    target = many * 0.7 + 0.15
    p = logits.sigmoid()
    expected = -(target * p.log() + (1 - target) * (1 - p).log()).sum(1)
    torch.testing.assert_close(feature_loss(logits, many, label_smoothing=0.3), expected)


def test_class_weights_of_one_class(logits: Tensor) -> None:
    labels = torch.tensor([0, 2, 1, 1])
    expected = clip_loss(logits, labels) * WEIGHTS[labels]
    torch.testing.assert_close(clip_loss(logits, labels, class_weights=WEIGHTS), expected)


def test_class_weights_of_many_classes_are_of_those_a_video_has(
    logits: Tensor, many: Tensor
) -> None:
    p = logits.sigmoid()
    expected = -(WEIGHTS * many * p.log() + ~many * (1 - p).log()).sum(1)
    torch.testing.assert_close(feature_loss(logits, many, class_weights=WEIGHTS), expected)


def test_a_share_of_each_class_is_a_mixture_of_losses(logits: Tensor) -> None:
    one, other = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    shares = 0.25 * torch.eye(3)[one] + 0.75 * torch.eye(3)[other]
    how = {"label_smoothing": 0.1, "class_weights": WEIGHTS}
    expected = 0.25 * clip_loss(logits, one, **how) + 0.75 * clip_loss(logits, other, **how)  # type: ignore[arg-type]
    torch.testing.assert_close(clip_loss(logits, shares, **how), expected)  # type: ignore[arg-type]
