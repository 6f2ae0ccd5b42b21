"""Windows of a video, scored while it is decoded: one pass, whatever they overlap."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from videozoo.data.batch import Batch
from videozoo.data.dataset import VideoDataset
from videozoo.errors import VideozooError
from videozoo.timeline.source import Heard, Shown, Source

Scores = npt.NDArray[np.float32]
Report = Callable[[float, float | None], None]
"""Told how many seconds of the video are done, and of how many; None: not known."""


@dataclass(frozen=True, eq=False)
class Window:
    """A stretch of a video and its scores.

    Attributes:
        start, end: seconds after the first frame.
        scores: float32 [K], between 0 and 1.
    """

    start: float
    end: float
    scores: Scores


class WindowSamples(ABC):
    """Makes samples of stretches of a video that comes frame by frame; keeps what they need.

    Attributes:
        dataset: whose samples they are: it makes batches of them.
        hears: sound is wanted.
    """

    dataset: VideoDataset
    hears: bool = False

    @abstractmethod
    def begin(self, source: Source, length: float) -> None:
        """Begins a video.

        Args:
            source: the video.
            length: seconds of a window.
        """

    @abstractmethod
    def see(self, shown: Shown) -> None:
        """Takes the next frame.

        Raises:
            SampleError: it is too small, or cannot be converted.
        """

    def hear(self, heard: Heard) -> None:
        """Takes the next sound."""
        return

    @abstractmethod
    def finish(self) -> None:
        """Nothing more comes."""

    def near(self, start: float) -> float:
        """Returns the seconds nearest to these at which a window can begin."""
        return start

    @abstractmethod
    def take(self, start: float, length: float) -> Any | None:
        """Returns the sample of a window; None: not all of it is there yet.

        What lies before `start` is not needed any more.
        """


def check_window(window: float, stride: float) -> None:
    """Checks the length and the distance of windows.

    Raises:
        VideozooError: they do not cover the video.
    """
    if not 0 < window < float("inf"):
        raise VideozooError(f"window {window:g}: give seconds above 0")
    if not 0 < stride <= window:
        raise VideozooError(
            f"stride {stride:g}: give seconds above 0 and not above the window's {window:g},"
            " or parts of the video would not be seen"
        )


def score_windows(
    source: Source,
    samples: WindowSamples,
    score: Callable[[Batch], Tensor],
    *,
    window: float,
    stride: float,
    report: Report | None = None,
) -> Iterator[Window]:
    """Scores windows of a video while it is decoded.

    Windows begin `stride` seconds apart, at the nearest moment at which they can; the last one ends
    with the video. A video that is shorter than a window is one window.

    Args:
        source: the video.
        samples: makes samples of it.
        score: gives the scores of a batch, [B, K] on the CPU.
        window: seconds of a window.
        stride: seconds from one window to the next.
        report: told of the progress.

    Raises:
        VideozooError: see `check_window`.
        SampleError: the video has no frame that can be decoded, or one that is too small.
    """
    check_window(window, stride)
    window = source.shorter(window)
    schedule = _Schedule(samples, window, stride)
    samples.begin(source, window)
    for event in source:
        if isinstance(event, Heard):
            samples.hear(event)
            continue
        samples.see(event)
        if event.start < schedule.start + window:
            continue  # the usual case, quickly
        for made in _scored(schedule.ready(), samples, score):
            yield made
            if report is not None:
                report(made.end, source.seconds)
    samples.finish()
    schedule.end, schedule.tolerance = source.end, source.gap / 2
    yield from _scored(schedule.ready(), samples, score)
    if report is not None:
        report(source.end, source.end)


class _Schedule:
    """Which windows there are.

    Attributes:
        start: of the next one.
        end: of the video; None: not known yet.
        tolerance: seconds by which a window may reach over the end.
    """

    def __init__(self, samples: WindowSamples, window: float, stride: float) -> None:
        self.start = 0.0
        self.end: float | None = None
        self.tolerance = 0.0
        self._samples, self._window, self._stride = samples, window, stride
        self._number = 0
        self._before: float | None = None  # start of the window before
        self._done = False

    def ready(self) -> Iterator[tuple[float, float, Any]]:
        """Yields start, end and sample of each window that is complete."""
        while not self._done:
            start, length = self.start, self._window
            if self.end is not None and start + length > self.end + self.tolerance:
                start, length = self._last(self.end)
            sample = None if self._done else self._samples.take(start, length)
            if sample is None:
                return
            end = start + length
            yield start, end if self.end is None else min(end, self.end), sample
            self._before = start
            while self.start <= start:
                self._number += 1
                self.start = self._samples.near(self._number * self._stride)

    def _last(self, end: float) -> tuple[float, float]:
        """Returns the window that ends with the video, where the one before it does not."""
        if self._before is None:  # the video is shorter than a window
            return 0.0, end
        start = max(0.0, self._samples.near(end - self._window))
        reached = self._before + self._window >= end - self.tolerance
        self._done = reached or start <= self._before
        return start, self._window


def _scored(
    ready: Iterator[tuple[float, float, Any]],
    samples: WindowSamples,
    score: Callable[[Batch], Tensor],
) -> Iterator[Window]:
    """Scores windows that are complete together."""
    found = list(ready)
    if not found:
        return
    batch = samples.dataset.collate([sample for _, _, sample in found])
    rows = score(batch).float().numpy()  # [B, K]
    for (start, end, _), scores in zip(found, rows, strict=True):
        yield Window(start, end, scores)
