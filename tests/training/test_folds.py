"""Folds: classes spread evenly, groups whole; and macro F1 without thresholds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from videozoo.training.folds import macro_f1, stratified_folds


def test_classes_are_spread_evenly() -> None:
    labels = [[0]] * 50 + [[1]] * 10 + [[2]] * 5
    folds = stratified_folds(labels, range(65), seed=0)
    for label, count in ((0, 10), (1, 2), (2, 1)):
        held = folds[[i for i, classes in enumerate(labels) if classes == [label]]]
        assert np.bincount(held, minlength=5).tolist() == [count] * 5


def test_groups_stay_whole() -> None:
    labels = [[i % 3] for i in range(60)]
    groups = [i // 4 for i in range(60)]
    folds = stratified_folds(labels, groups, seed=3)
    assert all(len(set(folds[4 * g : 4 * g + 4])) == 1 for g in range(15))
    assert np.bincount(folds).tolist() == [12] * 5


@pytest.mark.parametrize(
    ("labels", "groups", "count"),
    [
        ([[0]] * 9 + [[1]] * 4, list(range(13)), 4),
        ([[0]] * 9 + [[1]], list(range(10)), 3),  # the lonely one is never seen when held out
        ([[0], [1], [0], [1]], [0, 0, 1, 1], 2),
        ([[0], [1], [0]], [7, 7, 7], 1),
    ],
)
def test_how_many_folds_there_are(labels: list[list[int]], groups: list[int], count: int) -> None:
    assert len(set(stratified_folds(labels, groups, seed=0).tolist())) == count


def test_the_seed_decides() -> None:
    labels = [[i % 2] for i in range(40)]
    one, same, other = (stratified_folds(labels, range(40), seed=s) for s in (1, 1, 2))
    assert one.tolist() == same.tolist()
    assert one.tolist() != other.tolist()


def test_macro_f1_of_one_class_a_video() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [1.0, 0.0, 0.0]])
    target = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]])
    assert macro_f1(logits, target) == pytest.approx((2 / 3 + 2 / 3) / 2)  # class 2 never occurs


def test_macro_f1_gives_a_video_as_many_classes_as_it_has() -> None:
    logits = torch.tensor([[-3.0, -1.0, -2.0], [-1.0, -2.0, -3.0]])
    target = torch.tensor([[0.0, 1, 1], [1, 0, 0]])
    assert macro_f1(logits, target) == 1.0
