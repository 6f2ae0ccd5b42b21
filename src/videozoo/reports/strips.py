"""The frames of a video that a model saw, small enough for a page."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from videozoo.classifier import load_weights
from videozoo.errors import VideozooError
from videozoo.families import family_of
from videozoo.predict import Predictor
from videozoo.reports.run_files import Predicted, TestedRun
from videozoo.text import valid
from videozoo.video.frame_times import FrameTimes, Int64Array
from videozoo.video.geometry import UInt8Array
from videozoo.video.reader import FramePlan, read_timed_clip

_QUALITY = 72  # of the JPEG files


class Seen(NamedTuple):
    """A frame: the seconds after the video's first one at which it appears, and a JPEG file."""

    second: float
    jpeg: bytes


def frames_seen(
    predictor: Predictor, video: str | os.PathLike[str], *, at_most: int = 8, width: int = 160
) -> list[Seen]:
    """Reads frames of a video that a model sees when it names what is in it.

    They are cut as for the model, and have the proportions of the video: where the model takes
    squeezed frames, these are widened again.

    Args:
        predictor: the model.
        video: a file.
        at_most: frames; evenly spaced ones where the model sees more.
        width: pixels of the pictures, or less where the model sees less.

    Returns:
        The frames in the order of the video, each once; none of what holds no pictures that FFmpeg
        reads: records of features, and Kinetics pickles.

    Raises:
        VideozooError: there is no such file, or the model takes no videos.
        SampleError: not one frame can be decoded.
    """
    family = family_of(predictor.settings)
    recipe = predictor.classifier.recipe
    dataset = family.open([os.fspath(video)], labelled=False, recipe=recipe).dataset
    plan, path = dataset.frame_plan(0), dataset.file(0)
    if plan is None or path is None:
        return []
    if len(dataset) != 1:
        raise VideozooError(f"{os.fspath(video)}: is not one video; give one file")
    return _read(path, plan, at_most, width)


def _read(path: Path, plan: FramePlan, at_most: int, width: int) -> list[Seen]:
    chosen: Int64Array = np.empty(0, dtype=np.int64)
    squeezed = 1.0

    def choose(times: FrameTimes) -> Int64Array:
        nonlocal chosen
        chosen = _thinned(plan.choose(times), at_most)
        return chosen

    def resize(across: int, down: int) -> tuple[int, int]:
        nonlocal squeezed
        size = plan.resize(across, down)
        squeezed = size[0] * down / (size[1] * across)
        return size

    clip = read_timed_clip(path, **vars(replace(plan, choose=choose, resize=resize)))
    starts = clip.times.starts[chosen] - clip.times.start
    return [
        Seen(round(float(second), 3), _jpeg(frame, width, squeezed))
        for second, frame in zip(starts, clip.frames, strict=True)
    ]


def _thinned(frames: Int64Array, at_most: int) -> Int64Array:
    """Returns evenly spaced ones of [n, k] frames, of each n as many as there is room, none twice.

    One of the k is the middle one.
    """
    n, k = frames.shape
    some = np.unique(frames[:, _spaced(k, min(k, max(1, at_most // n)))])
    return some[_spaced(len(some), min(at_most, len(some)))]


def _spaced(n: int, count: int) -> Int64Array:
    return ((np.arange(count) + 0.5) * n / count).astype(np.int64)


def _jpeg(frame: UInt8Array, width: int, squeezed: float) -> bytes:
    """Returns a JPEG file of a frame, uint8 [3, H, W]; `squeezed`: its width over its height."""
    image = Image.fromarray(np.ascontiguousarray(frame.transpose(1, 2, 0)))
    wide = min(width, image.width)
    high = max(1, round(wide * image.height / image.width * squeezed))
    file = io.BytesIO()
    image.resize((wide, high), Image.Resampling.LANCZOS).save(file, "jpeg", quality=_QUALITY)
    return file.getvalue()


class Reader:
    """Reads frames of the videos of a test, by what their list calls them.

    Raises:
        VideozooError: the weights or the list are not here, are others now, or hold no pictures.
    """

    def __init__(self, run: TestedRun) -> None:
        source, tested = str(run.result.get("list")), run.protocol.get("weights_sha256")
        if run.weights is None:
            raise VideozooError(f"the weights {run.protocol.get('weights', '')} are not here")
        if not Path(source).exists():
            raise VideozooError(f"the list of the test, {source}, is not here")
        loaded = load_weights(run.weights)
        if loaded.sha256 != tested:
            raise VideozooError(f"{run.weights}: holds other weights than those that were tested")
        settings, classifier = loaded.experiment["TEST"], loaded.classifier
        self._predictor = Predictor(
            classifier=classifier,
            settings=settings,
            labels=loaded.labels,
            device=torch.device("cpu"),
        )
        family = family_of(settings)
        listed = family.open(source, labelled=False, recipe=classifier.recipe).dataset
        if listed.frame_plan(0) is None:
            raise VideozooError("the model was tested on records of features or on pickles")
        self._files = {valid(listed.name(i)): listed.file(i) for i in range(len(listed))}

    def __call__(self, one: Predicted) -> tuple[list[Seen], str]:
        """Returns the frames of a video, or why there are none."""
        file = self._files.get(one.video)
        if file is None:
            return [], "its list names no such video now"
        try:
            return frames_seen(self._predictor, file), ""
        except VideozooError as error:
            return [], str(error)

    def reason(self, one: Predicted) -> str:
        """Says which moment a video's class was named for; empty where that cannot be told."""
        file = self._files.get(one.video)
        try:
            return self._predictor.explain(file, one.called).reason if file else ""
        except VideozooError:  # the strip has said that there are no frames, and why
            return ""
