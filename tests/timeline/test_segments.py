"""Hysteresis: what is drawn here by hand is what comes out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from videozoo.errors import VideozooError
from videozoo.timeline.segments import Hysteresis, Segment, find_segments
from videozoo.timeline.windows import Window


def windows(*scores: Sequence[float], length: float = 4.0, stride: float = 2.0) -> list[Window]:
    """Windows k with the scores of each class, one sequence a class."""
    rows = np.array(scores, dtype=np.float32).T  # [n, K]
    return [Window(k * stride, k * stride + length, row) for k, row in enumerate(rows)]


def found(made: list[Window], **how: object) -> list[tuple[float, float, str]]:
    hysteresis = Hysteresis.of(**{"num_classes": len(made[0].scores), "multi_label": True} | how)  # type: ignore[arg-type]
    return [(s.start, s.end, s.label) for s in find_segments(made, hysteresis)]


def test_a_window_speaks_for_its_middle() -> None:
    made = windows([0, 0, 0.9, 0.9, 0, 0])  # of 0 to 14 s; middles at 2, 4, 6, 8, 10, 12
    assert found(made) == [(5, 9, "0")]
    assert found(windows([0.9, 0, 0, 0.9])) == [(0, 3, "0"), (7, 10, "0")]  # both ends are reached
    assert found(windows([0.9])) == [(0, 4, "0")]
    assert found(windows([0.1, 0.2])) == []


def test_a_segment_begins_at_onset_and_reaches_as_far_as_offset() -> None:
    made = windows([0.3, 0.4, 0.6, 0.4, 0.36, 0.34, 0.49, 0.1])
    assert found(made) == [(3, 11, "0")]
    assert found(made, onset=0.7) == []
    assert found(made, offset=0.5) == [(5, 7, "0")]
    assert found(made, offset=0.2) == [(0, 15, "0")]


def test_the_shortest_segment_and_the_shortest_gap() -> None:
    made = windows([0.9, 0, 0.9, 0.9, 0, 0, 0, 0.9, 0, 0])
    assert found(made) == [(0, 3, "0"), (5, 9, "0"), (15, 17, "0")]
    assert found(made, min_duration=2.5) == [(0, 9, "0")]
    assert found(made, min_duration=2.0) == [(0, 3, "0"), (5, 9, "0"), (15, 17, "0")]


def test_each_class_by_itself_where_there_may_be_many() -> None:
    made = windows([0.9, 0.9, 0.1, 0.1], [0.1, 0.8, 0.8, 0.1])
    assert found(made) == [(0, 5, "0"), (3, 7, "1")]
    assert found(made, thresholds=torch.tensor([0.95, 0.5])) == [(3, 7, "1")]
    assert found(made, reject=0.85) == [(0, 5, "0"), (3, 5, "1")]


def test_the_winner_alone_where_there_is_one() -> None:
    made = windows([0.4, 0.6, 0.3, 0.2], [0.35, 0.2, 0.6, 0.3], [0.25, 0.2, 0.1, 0.5])
    single = {"multi_label": False}
    assert found(made, **single) == [(0, 5, "0"), (5, 7, "1"), (7, 10, "2")]
    assert found(made, **single, reject=0.55) == [(3, 5, "0"), (5, 7, "1")]
    assert found(made, **single, onset=0.6, offset=0.4) == [(0, 5, "0"), (5, 7, "1")]


def test_the_score_is_the_mean_of_its_windows() -> None:
    how = Hysteresis.of(num_classes=1, multi_label=True)
    (segment,) = find_segments(windows([0, 0.5, 0.75, 1, 0]), how, name=lambda index: "goal")
    assert segment == Segment(3, 9, "goal", 0.75)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"onset": 1.5}, "onset 1.5: is no score"),
        ({"offset": -1}, "offset -1: is no score"),
        ({"onset": 0.4, "offset": 0.5}, "offset 0.5: is above onset, 0.4"),
        ({"min_duration": -1}, "min-duration -1"),
    ],
)
def test_numbers_are_checked(how: dict[str, float], said: str) -> None:
    with pytest.raises(VideozooError, match=said):
        found(windows([0.5]), **how)
