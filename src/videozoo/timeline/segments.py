"""From scores over time to segments: two thresholds and a least length (hysteresis).

The score of a window is that of its middle: each window speaks for the time that is nearer to its
own middle than to its neighbours', the first one from the beginning, the last one to the end.

A segment of a class begins where its score reaches `onset`, reaches as far to both sides as the
score does not fall below `offset`, and is not shorter than `min_duration`; gaps that are shorter
than that are closed first. So voice is cut out of recordings: H. Bredin et al., "pyannote.audio:
neural building blocks for speaker diarization", ICASSP 2020, section 3; `offset` lies 0.15 below
`onset` as in Silero VAD.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor

from videozoo.errors import VideozooError
from videozoo.timeline.windows import Scores, Window

ONSET, BELOW, LEAST = 0.5, 0.15, 0.01


@dataclass(frozen=True)
class Segment:
    """A stretch of a video that shows a class.

    Attributes:
        start, end: seconds after the first frame.
        label: of the class.
        score: mean of its windows' scores.
    """

    start: float
    end: float
    label: str
    score: float


@dataclass(frozen=True, eq=False)
class Hysteresis:
    """How segments are found.

    Attributes:
        onset, offset: float32 [K].
        min_duration: seconds.
        multi_label: each class by itself; False: the winner of each window alone.
        reject: windows whose best score is lower show none of the classes.
    """

    onset: Scores
    offset: Scores
    min_duration: float
    multi_label: bool
    reject: float

    @classmethod
    def of(
        cls,
        *,
        num_classes: int,
        multi_label: bool,
        thresholds: Tensor | None = None,
        onset: float | None = None,
        offset: float | None = None,
        min_duration: float = 0.0,
        reject: float | None = None,
    ) -> Self:
        """Chooses what is not given.

        Args:
            num_classes: K.
            multi_label: a video may show many classes at a time.
            thresholds: float [K], of a calibration; None: not known.
            onset: score from which a segment begins; None: the class's own threshold, else 0.5;
                where one class shows at a time 0, that is, the winner of each window.
            offset: score below which it ends; None: 0.15 below onset, and not below 0.01.
            min_duration: seconds.
            reject: see Hysteresis; None: 0.

        Raises:
            VideozooError: a number is no score, or no length.
        """
        for name, value in (("onset", onset), ("offset", offset)):
            if value is not None and not 0 <= value <= 1:
                raise VideozooError(f"{name} {value:g}: is no score; scores lie between 0 and 1")
        if not 0 <= min_duration < float("inf"):
            raise VideozooError(f"min-duration {min_duration:g}: give seconds from 0 on")
        start = np.full(num_classes, ONSET if multi_label else 0.0, dtype=np.float32)
        if onset is not None:
            start[:] = onset
        elif thresholds is not None:
            start = thresholds.cpu().float().numpy()
        stop = np.minimum(start, np.maximum(start - BELOW, LEAST))
        if offset is not None:
            stop[:] = offset
        if (stop > start).any():
            raise VideozooError(f"offset {offset:g}: is above onset, {start.min():g}")
        return cls(start, stop, min_duration, multi_label, reject or 0.0)

    def masked(self, scores: Scores) -> Scores:
        """Returns the scores [K] of a window, -1 for classes that it does not show at all."""
        best = int(scores.argmax())
        if scores[best] < self.reject:
            return np.full_like(scores, -1)
        if self.multi_label:
            return scores
        winner = np.full_like(scores, -1)
        winner[best] = scores[best]
        return winner


@dataclass
class _Run:
    """Windows of a class, one after another."""

    start: float
    end: float
    total: float  # of the scores
    count: int
    begun: bool  # one has reached onset

    def segment(self, label: str) -> Segment:
        return Segment(self.start, self.end, label, self.total / self.count)


class Segmenter:
    """Makes segments of windows that come one by one.

    Args:
        how: the thresholds.
        name: gives the name of a class.
    """

    def __init__(self, how: Hysteresis, name: Callable[[int], str]) -> None:
        self._how, self._name = how, name
        self._found: list[tuple[int, _Run]] = []
        self._open: dict[int, _Run] = {}
        self._last: dict[int, _Run] = {}  # of each class the run before
        self._window: Window | None = None  # the one that waits for its end
        self._from = 0.0

    def add(self, window: Window) -> None:
        """Takes the next window."""
        if self._window is not None:
            middles = (w.start + w.end for w in (self._window, window))
            border = sum(middles) / 4
            self._cell(self._window, self._from, border)
            self._from = border
        self._window = window

    def finish(self) -> list[Segment]:
        """Returns all segments, by their start; no window follows."""
        if self._window is not None:
            self._cell(self._window, self._from, self._window.end)
            self._window = None
        for index in list(self._open):
            self._close(index)
        kept = [(i, r) for i, r in self._found if r.end - r.start >= self._how.min_duration]
        found = [run.segment(self._name(index)) for index, run in kept]
        return sorted(found, key=lambda segment: (segment.start, segment.end))

    def _cell(self, window: Window, start: float, end: float) -> None:
        how, shown = self._how, self._how.masked(window.scores)  # [K]
        goes_on = shown >= how.offset
        for index in [index for index in self._open if not goes_on[index]]:
            self._close(index)
        for index in np.flatnonzero(goes_on).tolist():
            run = self._open.setdefault(index, _Run(start, end, 0.0, 0, False))
            run.end, run.count = end, run.count + 1
            run.total += float(window.scores[index])
            run.begun |= bool(shown[index] >= how.onset[index])

    def _close(self, index: int) -> None:
        run, before = self._open.pop(index), self._last.get(index)
        if not run.begun:
            return
        if before is not None and run.start - before.end < self._how.min_duration:
            before.end = run.end
            before.total, before.count = before.total + run.total, before.count + run.count
            return
        self._last[index] = run
        self._found.append((index, run))


def find_segments(
    windows: Iterable[Window], how: Hysteresis, name: Callable[[int], str] = str
) -> list[Segment]:
    """Makes segments of windows.

    Args:
        windows: in their order.
        how: the thresholds.
        name: gives the name of a class.
    """
    segmenter = Segmenter(how, name)
    for window in windows:
        segmenter.add(window)
    return segmenter.finish()
