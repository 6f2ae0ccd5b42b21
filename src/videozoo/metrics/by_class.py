"""Precision, recall and F1 of each class."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is told from the others.

    Attributes:
        precision: share of the videos called so that are so; 0 where none is called so.
        recall: share of the videos that are so that are called so; 0 where none is.
        f1: the harmonic mean of both.
        support: videos that are so.
    """

    precision: float
    recall: float
    f1: float
    support: int


def figures_by_class(confusion: Tensor) -> list[ClassFigures]:
    """Returns the figures of each class, K of them.

    Args:
        confusion: int64 [K, K]: how many videos of the row's class were given the column's.
    """
    confusion = confusion.double()
    right, called, support = confusion.diagonal(), confusion.sum(0), confusion.sum(1)  # 3 x [K]
    rows = zip(
        (right / called.clamp(min=1)).tolist(),
        (right / support.clamp(min=1)).tolist(),
        f1_by_class(confusion).tolist(),
        support.long().tolist(),
        strict=True,
    )
    return [ClassFigures(*row) for row in rows]


def f1_by_class(confusion: Tensor) -> Tensor:
    """Returns F1, float64 [K]: 0 of a class that neither occurs nor is called."""
    confusion = confusion.double()
    twice = confusion.sum(0) + confusion.sum(1)  # [K]: videos that are so, plus those called so
    return 2 * confusion.diagonal() / twice.clamp(min=1)  # [K]
