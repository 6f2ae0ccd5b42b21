"""Which stretch of a video each row stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from videozoo.video.frame_times import Float64Array, FrameTimes


@dataclass(frozen=True)
class RowClock:
    """The stretches of a file's clock that the rows of a video stand for, one after another.

        start       + span      + 2 span    + 3 span
        |   row 0   |   row 1   |   row 2   |            window 1: the frame on screen at *
              *           *           *
           *     *     *     *     *     *               window 2

    Attributes:
        start: seconds at which row 0 begins: when the first frame appears.
        span: seconds that a row stands for.
        count: how many rows.
    """

    start: float
    span: float
    count: int

    @classmethod
    def of(cls, times: FrameTimes, *, rate: float, most: int, spread: bool) -> Self:
        """Chooses the rows of a video.

        Args:
            times: of its frames.
            rate: rows a second.
            most: rows of a video.
            spread: `most` rows of a longer video are spread over all of it; otherwise what comes
                after them is left out.
        """
        wanted = times.seconds * rate
        count = min(max(1, round(wanted)), most)
        span = times.seconds / count if spread and wanted > most else 1 / rate
        return cls(times.start, span, count)

    def moments(self, window: int = 1) -> Float64Array:
        """Returns the seconds at which frames are looked at, float64 [count, window].

        They are the middles of `window` equal parts of each row.
        """
        parts = (np.arange(window) + 0.5) / window  # [window]
        rows = np.arange(self.count)[:, None]  # [count, 1]
        moments: Float64Array = self.start + (rows + parts) * self.span
        return moments
