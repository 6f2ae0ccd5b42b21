"""All that the page says of a video, worked out step by step; what is done so far can be shown."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from videozoo.answers import NONE_OF_THESE, Result, check_reject
from videozoo.api import load
from videozoo.data.clips.clip_files import expand_path
from videozoo.encoders.find import encoder_of
from videozoo.errors import SampleError, VideozooError
from videozoo.families import family_of
from videozoo.predict import Predictor
from videozoo.reports.strips import Seen, frames_seen
from videozoo.text import escaped
from videozoo.timeline.segments import Segment
from videozoo.timeline.windows import Window, check_window
from videozoo.video.reader import seeming_times
from videozoo.video.stream import VideoStream
from videozoo.web import parts

_OFTEN = 0.7  # seconds between two looks at a timeline that grows


@dataclass(frozen=True)
class Limits:
    """What a video may cost: megabytes (2^20 bytes) of the file, seconds of the video."""

    max_size: float = 500
    max_length: float = 3600

    def check(self, name: str, *, size: int = 0, seconds: float | None = None) -> None:
        """Refuses a file of too many bytes, or a video that is too long.

        Raises:
            VideozooError: it is.
        """
        if size > self.max_size * 2**20:
            raise VideozooError(
                f"{name}: has {size / 2**20:,.1f} MB; files up to {self.max_size:g} MB are taken"
                " here"
            )
        if seconds is not None and seconds > self.max_length:
            raise VideozooError(
                f"{name}: is {seconds:,.1f} s long; videos up to {self.max_length:g} s are taken"
                " here"
            )


@dataclass(frozen=True)
class Found:
    """What is known of a video so far.

    Attributes:
        name: of the file, without its folder.
        seconds: how long the video is.
        frames: that the model saw, evenly spaced ones where there are many.
        result: its classes; None: not known yet.
        segments: its timeline; None: it is not longer than a window.
        scored: seconds that the timeline has come to.
        left: seconds until it is whole, about; None: it is, or nobody knows.
        fault: what could not be read of it; None: nothing.
    """

    name: str
    seconds: float
    frames: list[Seen]
    result: Result | None = None
    segments: list[Segment] | None = None
    scored: float = 0.0
    left: float | None = None
    fault: str | None = None

    @property
    def headline(self) -> str:
        """What the video is said to show."""
        if self.result is None:
            return ""
        answer = self.result.answer
        named = self.result.predictions[:1] if answer is None else answer
        return ", ".join(one.label for one in named) or NONE_OF_THESE


@dataclass(frozen=True)
class Looker:
    """Looks at videos.

    Attributes:
        predictor: with the weights.
        limits: of a video.
        window: seconds of a window of the timeline.
        stride: seconds from one window to the next.
        reject: the answer is "none of these" where the best score is below this; None: never.
    """

    predictor: Predictor
    limits: Limits
    window: float = 8.0
    stride: float = 2.0
    reject: float | None = None

    def __call__(self, task: tuple[str, str]) -> Iterator[list[str]]:
        """Yields what `look` or `why` finds of a file, as parts of the page.

        Raises:
            VideozooError: it is beyond a limit, or cannot be read; the file is called by its name
                alone.
        """
        what, video = task
        path = Path(video)
        name = escaped(path.name)
        try:
            yield from (
                map(parts.found_parts, self.look(path, name))
                if what == "look"
                else [[parts.why_part(replace(self.predictor.explain(path), video=name))]]
            )
        except SampleError as error:
            raise VideozooError(f"{name}: {error.reason}") from error
        except FileNotFoundError as error:
            raise VideozooError(f"{name}: was taken away") from error
        except VideozooError as error:
            raise VideozooError(str(error).replace(video, name)) from error

    def look(self, path: Path, name: str) -> Iterator[Found]:
        """Yields what is known of a video, more each time."""
        self.limits.check(name, size=path.stat().st_size)
        expand_path(str(path))  # says of other files what they are
        with VideoStream(path) as stream:
            self.limits.check(name, seconds=stream.duration)
        seconds = seeming_times(path).seconds
        self.limits.check(name, seconds=seconds)
        found = Found(name, seconds, frames_seen(self.predictor, path, at_most=40))
        yield found
        (result,) = self.predictor.predict(path, top_k=10, reject=self.reject)
        if result.unreadable is not None:
            raise SampleError(result.unreadable)
        found = replace(found, result=result, fault=result.damage)
        yield found
        if seconds > self.window:
            yield from self._timed(path, found)

    def _timed(self, path: Path, found: Found) -> Iterator[Found]:
        start = shown = time.monotonic()
        windows: list[Window] = []
        faults: list[str] = []
        timeline = self.predictor.timeline(
            path, window=self.window, stride=self.stride, say=faults.append
        )
        for window in timeline:
            self.limits.check(found.name, seconds=window.end)
            windows.append(window)
            now = time.monotonic()
            if now - shown > _OFTEN:
                shown = now
                left = (now - start) * max(0.0, found.seconds / window.end - 1)
                segments = self.predictor.segments(windows, reject=self.reject)
                yield replace(found, segments=segments, scored=window.end, left=left)
        fault = "; ".join(dict.fromkeys(filter(None, [found.fault, *faults]))) or None
        seconds = max(found.seconds, windows[-1].end)  # as decoding has it
        segments = self.predictor.segments(windows, reject=self.reject)
        yield replace(found, seconds=seconds, segments=segments, scored=seconds, fault=fault)


def open_looker(
    weights: str, limits: tuple[float, float], *, use_gpu: bool, **how: float | None
) -> tuple[Looker, tuple[str, list[str]]]:
    """Loads a model to look with; `how` is window, stride and reject of Looker.

    Returns:
        What looks, and the model's name with those of its classes.

    Raises:
        VideozooError: the weights do not fit, take no videos, or an option is wrong.
    """
    looker = Looker(load(weights, use_gpu=use_gpu), Limits(*limits), **how)  # type: ignore[arg-type]
    check_reject(looker.reject)
    check_window(looker.window, looker.stride)
    predictor = looker.predictor
    if predictor.classifier.recipe is None and not family_of(predictor.settings).takes_videos:
        raise VideozooError(
            f"{weights}: takes records of features made elsewhere, no videos; give weights that"
            " take videos, such as checkpoints/LINEAR_best.safetensors of videozoo train FOLDER"
        )
    if hasattr(predictor.settings, "cache_rows"):  # rows of a stranger's video do not stay here
        predictor.settings = predictor.settings.model_copy(update={"cache_rows": False})
    if predictor.classifier.recipe is not None:
        encoder = encoder_of(predictor.classifier.recipe, predictor.device)
        height, width = encoder.framing.height, encoder.framing.width
        blank = torch.zeros(encoder.batch, encoder.window, 3, height, width, dtype=torch.uint8)
        encoder(blank)  # its first batch takes long: before somebody waits for it
    names = [predictor.name(index) for index in range(predictor.settings.num_classes)]
    return looker, (predictor.settings.NAME, names)
