from __future__ import annotations

import numpy as np
import pytest

from videozoo.encoders.row_clock import RowClock
from videozoo.video.frame_times import FrameTimes


def even(frames: int, rate: float, start: float = 0.0) -> FrameTimes:
    starts = start + np.arange(frames) / rate
    return FrameTimes(starts, start + frames / rate)


@pytest.mark.parametrize(
    ("frames", "frame_rate", "rate", "most", "indices"),
    [
        (30, 10, 5, 300, list(range(1, 30, 2))),
        (10, 5, 5, 300, list(range(10))),
        (50, 25, 5, 300, [2, 7, 12, 17, 22, 27, 32, 37, 42, 47]),
        (4, 2, 4, 300, [0, 0, 1, 1, 2, 2, 3, 3]),
        (1, 30, 1, 300, [0]),
        (100, 25, 1, 3, [12, 37, 62]),
        (360, 30000 / 1001, 1, 300, [14, 44, 74, 104, 134, 164, 194, 224, 254, 284, 314, 344]),
    ],
)
@pytest.mark.parametrize("start", [0.0, 1.48, 3600.07])
def test_a_row_s_frame_is_on_screen_in_its_middle(
    frames: int, frame_rate: float, rate: float, most: int, indices: list[int], start: float
) -> None:
    times = even(frames, frame_rate, start)
    clock = RowClock.of(times, rate=rate, most=most, spread=False)
    assert clock == RowClock(start, 1 / rate, len(indices))
    assert times.on_screen(clock.moments())[:, 0].tolist() == indices


def test_rows_of_a_long_video_may_be_spread_over_it() -> None:
    clock = RowClock.of(even(1000, 10), rate=1, most=4, spread=True)
    assert clock == RowClock(0, 25, 4)
    assert clock.moments()[:, 0].tolist() == [12.5, 37.5, 62.5, 87.5]
    assert RowClock.of(even(40, 10), rate=1, most=4, spread=True) == RowClock(0, 1, 4)


def test_a_window_looks_at_equal_parts_of_a_row() -> None:
    moments = RowClock(1, 2, 2).moments(window=4)
    assert moments.tolist() == [[1.25, 1.75, 2.25, 2.75], [3.25, 3.75, 4.25, 4.75]]
