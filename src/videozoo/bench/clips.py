"""The stages of reading clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from PIL import Image

from videozoo.bench.blocks import Span, spread_runs
from videozoo.bench.subjects import Pass, Stage, whole
from videozoo.data.clips.decoding import visit_frames
from videozoo.data.clips.files import PICKLE_SUFFIXES
from videozoo.data.clips.pickles import load_clip
from videozoo.data.clips.pictures import ResizeRule, rgb_planes
from videozoo.data.clips.source import ClipSource
from videozoo.data.clips.stream import VideoStream
from videozoo.data.clips.timeline import read_timeline
from videozoo.data.clips.video import read_frames, resized
from videozoo.data.framing import resized_size
from videozoo.data.sampling import Int64Array

Choose = Callable[[int], Int64Array]


_READ = Stage("read", "reading the bytes")
_PYAV_STAGES = (
    _READ,
    Stage("open", "opening files and finding which frames there are"),
    Stage("decode", "decoding"),
    Stage("resize", "converting to RGB and resizing"),
    Stage("crop", "cropping and stacking"),
)
_OTHER_STAGES = (
    _READ,
    Stage("decode", "opening files, decoding and converting to RGB"),
    Stage("crop", "resizing, cropping and stacking"),
)


class ClipSubject:
    """Videos and Kinetics pickles, to be measured.

    Args:
        source: the clips.
    """

    noun = "clips"

    def __init__(self, source: ClipSource) -> None:
        self.source = source
        self._pyav = source.decoder == "pyav"
        self.stages: tuple[Stage, ...] = _PYAV_STAGES if self._pyav else _OTHER_STAGES

    def choose(self, wanted: int, batch_size: int) -> list[int]:
        """Chooses clips evenly over the list, none beside another: neighbours are alike."""
        return spread_runs(len(self.source), wanted, 1)

    def spans(self, indices: Sequence[int]) -> list[Span]:
        """Returns the files, without those that are not there."""
        paths = [self.source.entries[index].path for index in indices]
        return [Span(path, 0, path.stat().st_size) for path in paths if path.is_file()]

    def passes(self) -> list[Pass]:
        """Returns passes: clips opened, decoded, resized, made into batches.

        Other decoders than PyAV do the first two at once.
        """
        source = self.source
        choose = partial(source.choose_frames, rng=None)
        resize = partial(resized_size, short_size=source.short_size, rule=source.resize)
        if not self._pyav:
            return [self._each(partial(_read, choose, source.decoder)), whole(source)]
        return [
            self._each(_open),
            self._each(partial(_decode, choose)),
            self._each(partial(_resize, choose, resize, source.resize_with)),
            whole(source),
        ]

    def _each(self, run: Callable[[Path], object]) -> Pass:
        entries = self.source.entries
        return lambda block: [run(entries[index].path) for index in block.indices]


def _open(path: Path) -> None:
    if _is_pickle(path):
        load_clip(path)
        return
    with VideoStream(path) as stream:
        read_timeline(stream)


def _decode(choose: Choose, path: Path) -> None:
    if _is_pickle(path):
        _images(path, choose)
        return
    visit_frames(path, choose, lambda frame, places: None)


def _read(choose: Choose, decoder: str, path: Path) -> None:
    if _is_pickle(path):
        _images(path, choose)
        return
    read_frames(path, choose, decoder=decoder)


def _resize(choose: Choose, resize: ResizeRule, resize_with: str, path: Path) -> None:
    def convert(frame: VideoFrame, places: list[int]) -> None:
        if resize_with == "pillow":
            resized(rgb_planes(frame), resize)
        else:
            rgb_planes(frame, resize)

    if _is_pickle(path):
        for image in _images(path, choose):
            size = resize(*image.size)
            if size != image.size:
                image.resize(size, Image.Resampling.BILINEAR)
        return
    visit_frames(path, choose, convert)


def _images(path: Path, choose: Choose) -> list[Image.Image]:
    clip = load_clip(path)
    return [clip.image(index) for index in np.unique(choose(len(clip.frames))).tolist()]


def _is_pickle(path: Path) -> bool:
    return path.suffix.lower() in PICKLE_SUFFIXES
