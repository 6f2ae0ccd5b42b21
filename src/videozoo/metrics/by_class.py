"""Precision, recall, F1 and average precision of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class ClassFigures:
    """How well one class is told from the others.

    Attributes:
        precision: share of the videos called so that are so; 0 where none is called so.
        recall: share of the videos that are so that are called so; 0 where none is.
        f1: the harmonic mean of both.
        support: videos that are so.
        called: videos that are called so, rightly or not.
        average_precision: of all videos, ranked by their score for the class.

    All but `support` are None where they are not known: average_precision where no video is so, the
    others where a video may have many classes and no thresholds say which ones it is called.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    support: int
    called: int | None = None
    average_precision: float | None = None


def figures_by_class(
    confusion: Tensor, average_precision: Sequence[float | None] | None = None
) -> list[ClassFigures]:
    """Returns the figures of each class, K of them.

    Args:
        confusion: int64 [K, K]: how many videos of the row's class were given the column's.
        average_precision: of each class, K of them; None: it is not known.
    """
    right, called, support = confusion.diagonal(), confusion.sum(0), confusion.sum(1)  # 3 x [K]
    return class_figures(support, right, called, average_precision)


def class_figures(
    support: Tensor,
    right: Tensor | None,
    called: Tensor | None,
    average_precision: Sequence[float | None] | None,
) -> list[ClassFigures]:
    """Returns the figures of each class, K of them.

    Args:
        support: int64 [K], the videos of each class.
        right: int64 [K], those of them that are called so; None: not known.
        called: int64 [K], all that are called so; None: not known.
        average_precision: of each class, K of them; None: it is not known.
    """
    unknown: list[Any] = [None] * len(support)
    precision = recall = f1 = given = unknown
    if right is not None and called is not None:
        precision = (right.double() / called.clamp(min=1)).tolist()
        recall = (right.double() / support.clamp(min=1)).tolist()
        f1 = (2 * right.double() / (support + called).clamp(min=1)).tolist()
        given = called.tolist()
    columns = (precision, recall, f1, support.tolist(), given, average_precision or unknown)
    return [ClassFigures(*row) for row in zip(*columns, strict=True)]


def f1_by_class(confusion: Tensor) -> Tensor:
    """Returns F1, float64 [K]: 0 of a class that neither occurs nor is called."""
    confusion = confusion.double()
    twice = confusion.sum(0) + confusion.sum(1)  # [K]: videos that are so, plus those called so
    return 2 * confusion.diagonal() / twice.clamp(min=1)  # [K]
