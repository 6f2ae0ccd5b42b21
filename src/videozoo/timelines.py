"""What is in a long video, and when: the part of a Predictor that answers it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from videozoo.answers import check_reject
from videozoo.classifier import Classifier
from videozoo.config.keys import Settings
from videozoo.data.batch import Batch
from videozoo.families import family_of

if TYPE_CHECKING:  # FFmpeg comes with the first video
    from videozoo.timeline.segments import Hysteresis, Segment
    from videozoo.timeline.windows import Report, Window


class TimelinePredictor(ABC):
    """Scores over time; see Predictor for what it is made of."""

    classifier: Classifier
    settings: Settings
    device: torch.device

    @abstractmethod
    def scores(self, batch: Batch) -> Tensor:
        """Returns the scores of a batch's videos, float [B, K] on the CPU."""

    @abstractmethod
    def name(self, index: int) -> str:
        """Returns the name of a class."""

    def timeline(
        self,
        video: str | os.PathLike[str],
        *,
        window: float = 8.0,
        stride: float = 2.0,
        say: Callable[[str], None] | None = None,
        report: Report | None = None,
    ) -> Iterator[Window]:
        """Scores windows of a video while it is decoded, once; memory does not grow with it.

        Args:
            video: a file; "-", the standard input; or an address such as http://...
            window: seconds of a window.
            stride: seconds from one window to the next.
            say: told at the end what could not be read.
            report: told how many seconds of the video are done, and of how many.

        Yields:
            Windows in their order; `segments` makes segments of them.

        Raises:
            VideozooError: window or stride are no lengths, or the model takes no videos.
            SampleError: not one frame can be decoded.
        """
        from videozoo.timeline.source import Source
        from videozoo.timeline.windows import check_window, score_windows

        check_window(window, stride)
        recipe = self.classifier.recipe
        samples = family_of(self.settings).windows(os.fspath(video), recipe, self.device)
        with Source(video, sound=samples.hears) as source:
            yield from score_windows(
                source, samples, self.scores, window=window, stride=stride, report=report
            )
        if say is not None and source.fault is not None:
            say(source.fault)

    def segments(
        self,
        windows: Iterable[Window],
        *,
        onset: float | None = None,
        offset: float | None = None,
        min_duration: float = 0.0,
        reject: float | None = None,
    ) -> list[Segment]:
        """Makes segments of windows: which class is seen from when to when.

        Args:
            windows: in their order, as `timeline` yields them.
            onset: score from which a segment begins; None: see timeline.segments.Hysteresis.of.
            offset: score below which it ends; None: 0.15 below onset.
            min_duration: seconds of the shortest; shorter gaps of one class are closed.
            reject: windows whose best score is below this show none of the classes.

        Raises:
            VideozooError: a number is no score, or no length.
        """
        from videozoo.timeline.segments import find_segments

        how = self.hysteresis(onset=onset, offset=offset, min_duration=min_duration, reject=reject)
        return find_segments(windows, how, self.name)

    def hysteresis(
        self,
        *,
        onset: float | None = None,
        offset: float | None = None,
        min_duration: float = 0.0,
        reject: float | None = None,
    ) -> Hysteresis:
        """Returns how segments are found with this model; see `segments`."""
        from videozoo.timeline.segments import Hysteresis

        check_reject(reject)
        return Hysteresis.of(
            num_classes=self.settings.num_classes,
            multi_label=self.classifier.multi_label,
            thresholds=self.classifier.calibration.thresholds,
            onset=onset,
            offset=offset,
            min_duration=min_duration,
            reject=reject,
        )
