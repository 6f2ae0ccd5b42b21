"""When the frames of a video are on screen, in seconds of the file's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from videozoo.video.stream import VideoStream

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

# A clock that may jump did so where something is told to begin more seconds before the end of what
# came before it than rounding explains, or more seconds after it than a recording pauses.
JUMP_BACK, JUMP_FORTH = 0.1, 10.0
USUAL_RATE = 25.0  # frames a second, where a file says nothing of the kind
_EXACT = 1e-6  # seconds by which times of a fine clock may differ for the computer's rounding
_COARSE = 1e-3  # seconds: the unit to which Matroska and others round their times


@dataclass(frozen=True)
class FrameTimes:
    """When each frame of a video is on screen.

    Attributes:
        starts: float64 [n], n >= 1, ascending: seconds of the file's clock at which each frame
            appears, in the order of display.
        end: when the last one leaves the screen.
        rounding: seconds by which a file may have rounded its times. A frame that appears so soon
            after a moment counts as on screen then, or rates that divide the frame rate would see
            the rounding.
    """

    starts: Float64Array
    end: float
    rounding: float = _EXACT

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def start(self) -> float:
        """When the first frame appears: not always 0."""
        return float(self.starts[0])

    @property
    def seconds(self) -> float:
        """How long frames are on screen."""
        return self.end - self.start

    def on_screen(self, moments: Float64Array) -> Int64Array:
        """Finds the frame that is on screen at each moment: the last that appeared until then.

        Args:
            moments: float64 [...], seconds of the file's clock.

        Returns:
            int64 [...], in 0..n-1; before the first frame it is that one.
        """
        after = np.searchsorted(self.starts, moments + self.rounding, side="right")  # [...]
        indices: Int64Array = np.maximum(after - 1, 0)
        return indices


class Seen(NamedTuple):
    """What one frame or its packet says of times, in units of the stream.

    Attributes:
        time: when the frame is shown.
        clock: a time that rises from one to the next in the order given, while the clock is sound.
        duration: how long the frame is shown.
    """

    time: int | None
    clock: int | None
    duration: int | None


def frame_times(stream: VideoStream, seen: Sequence[Seen]) -> FrameTimes:
    """Makes sense of the times that a stream told, whatever they are.

    Where a recording was joined to another, and its clock begun anew, it goes on after the last
    frame. A frame without a time follows the last one. Times that say nothing (there are none, or
    all are the same) give way to the frame rate. They are sorted: a file that mixes them up knows
    when frames are shown, not which.

    Args:
        stream: of the file; says what a unit is.
        seen: the frames in the order of display, or their packets in that of decoding.
    """
    unit = float(stream.time_base or 0)
    gap = 1 / (stream.fps or USUAL_RATE)
    told = _one_clock(seen, unit, gap, jumps=stream.clock_jumps)
    starts = np.array(told or [0.0])
    last = int(starts.argmax())
    starts.sort()
    n = len(starts)
    if n > 1 and starts[-1] <= starts[0]:
        starts = starts[0] + gap * np.arange(n)
    duration = unit * (seen[last].duration or 0) if seen else 0.0
    end = float(starts[-1]) + (duration or _usual_gap(starts, gap))
    return FrameTimes(starts, end, rounding_of(unit))


def known_times(stream: VideoStream, times: Sequence[int], last_duration: int) -> FrameTimes:
    """Returns the times that a file is known to have.

    Args:
        stream: of the file; says what a unit is.
        times: of all frames, ascending, in units of the stream.
        last_duration: how long the last frame is shown; 0: not known.
    """
    unit = float(stream.time_base or 0)
    starts = np.array(times) * unit
    duration = unit * last_duration or _usual_gap(starts, 1 / (stream.fps or USUAL_RATE))
    return FrameTimes(starts, float(starts[-1]) + duration, rounding_of(unit))


def rounding_of(unit: float) -> float:
    """Returns the seconds by which a file that counts in such units may have rounded its times."""
    # a coarser unit is the time of a frame, as in AVI: nothing is rounded to it
    return max(_EXACT, unit / 2) if unit <= _COARSE else _EXACT


def _usual_gap(starts: Float64Array, gap: float) -> float:
    gaps = np.diff(starts)
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else gap


def _one_clock(seen: Sequence[Seen], unit: float, gap: float, *, jumps: bool) -> list[float]:
    """Returns seconds for all, in which no clock begins anew and none is missing."""
    known = next((k for k, one in enumerate(seen) if one.time is not None), len(seen))
    first = seen[known].time if known < len(seen) else None
    start = 0.0 if first is None else first * unit - known * gap
    clock = RunningClock(unit, gap, jumps=jumps, start=start)
    return [clock.place(time, own) for time, own, _ in seen]


class RunningClock:
    """Tells when frames are shown, one after another: no clock begins anew and none is missing.

    Args:
        unit: seconds in which frames count their times.
        gap: seconds from one frame to the next, where they do not tell.
        jumps: the clock may begin anew in the middle of the file.
        start: seconds, of a first frame that does not tell its time.
    """

    def __init__(self, unit: float, gap: float, *, jumps: bool, start: float = 0.0) -> None:
        self._unit, self._gap, self._jumps = unit, gap, jumps
        self._last = start - gap  # of the clock
        self._shift = 0.0
        self._begun = False

    def place(self, time: int | None, clock: int | None) -> float:
        """Returns the seconds at which the next frame is shown; see Seen."""
        begun, self._begun = self._begun, True
        if time is None:
            self._last += self._gap
            return self._last
        now = (time if clock is None else clock) * self._unit + self._shift
        follows = self._last - JUMP_BACK <= now <= self._last + self._gap + JUMP_FORTH
        if self._jumps and begun and not follows:
            self._shift += self._last + self._gap - now
            now = self._last + self._gap
        self._last = now
        return time * self._unit + self._shift
