"""One clip encoded anew: the same frames at the same times, quick to reach and to decode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream as AvVideoStream

from videozoo.errors import SampleError, VideozooError
from videozoo.prepare.recipe import ENCODER, ClipRecipe
from videozoo.video.chosen_frames import all_frames
from videozoo.video.rgb import display_matrix, plane_array, upright, upright_size
from videozoo.video.stream import VideoStream

# Bicubic keeps what the reader's own bilinear step, which follows, would otherwise blur twice.
_INTERPOLATION = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
_FINEST = 1_000_000  # an MP4 file counts the units between two frames in 32 bits


@dataclass(frozen=True)
class EncodedClip:
    """What was encoded.

    Attributes:
        frames: how many, before and after.
        size: width and height of the upright frames before.
        new_size: width and height after.
    """

    frames: int
    size: tuple[int, int]
    new_size: tuple[int, int]


def check_encoder() -> None:
    """Makes sure that the encoder is there, before any work.

    Raises:
        VideozooError: this PyAV is built without it.
    """
    try:
        av.Codec(ENCODER, "w")
    except ValueError:
        raise VideozooError(
            f"PyAV {av.__version__} is built without {ENCODER}, which encodes the clips; install "
            "the wheel from PyPI: pip install --force-reinstall --only-binary av av"
        ) from None


def temporary_of(target: Path, process: int) -> Path:
    """Returns the name under which a process writes a clip before it is whole."""
    return target.with_name(f".{process}.mp4.part")  # short: names may be as long as they can


def encode_clip(source: Path, target: Path, recipe: ClipRecipe) -> EncodedClip:
    """Encodes all frames of a video that can be decoded.

    The new file is H.264 in MP4 without sound, upright, in the colours of the old one. Times are
    counted from the first frame.

    Args:
        source: the video.
        target: the file to write, in one step; its folder exists.
        recipe: size and quality.

    Raises:
        SampleError: not one frame can be decoded, or one cannot be converted or encoded.
        VideozooError: the target cannot be written.
    """
    temporary = temporary_of(target, os.getpid())
    try:
        with VideoStream(source) as stream:
            time_base = _time_base(stream)
            frames = all_frames(stream)
            first = next(frames, None)
            if first is None:
                raise SampleError(f"{source}: no frame of it can be decoded")
            size = upright_size(first)
            converter = _Converter(first, time_base, recipe.size(*size))
            written = 0
            with _faults(source, target), _opened(temporary) as file:
                video = _add_stream(file, converter, recipe)
                for frame in chain([first], frames):
                    with stream.faults("a frame cannot be converted"):
                        picture = converter.convert(frame)
                    written += _write(file, video, picture)
                written += _write(file, video, None)
        if written != converter.count:
            raise SampleError(
                f"{source}: {converter.count} frames were given to the encoder and {written} came"
            )
        _finish(temporary, target)
        return EncodedClip(written, size, converter.size)
    finally:
        temporary.unlink(missing_ok=True)


def _time_base(stream: VideoStream) -> Fraction:
    """Returns the seconds in which a stream counts; its last frames do not tell it themselves."""
    packet = next(stream.packets(), None)
    return packet.time_base if packet is not None and packet.time_base else Fraction(1, 25)


class _Converter:
    """Makes decoded frames upright yuv420p pictures of one size, with times that ascend.

    Args:
        first: the first frame: its colours are those of the clip.
        time_base: seconds in which frames tell their times.
        size: width and height of the pictures.
    """

    def __init__(self, first: VideoFrame, time_base: Fraction, size: tuple[int, int]) -> None:
        self.size = size
        self.count = 0
        self.time_base = time_base
        self.unit = Fraction(1, _FINEST) if time_base.denominator > _FINEST else time_base
        self._start = first.pts
        self._last = -1
        self._reformatter = VideoReformatter()
        self._colours: tuple[int, int] = (first.colorspace, first.color_range)
        if first.format.is_rgb:  # what the reader takes a file for that does not say
            self._colours = (int(Colorspace.ITU601), int(ColorRange.MPEG))

    def convert(self, frame: VideoFrame) -> VideoFrame:
        """Returns the picture of a frame."""
        turned = upright_size(frame) != (frame.width, frame.height)
        width, height = self.size[::-1] if turned else self.size
        colorspace, color_range = self._colours
        picture = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="yuv420p",
            dst_colorspace=colorspace,
            dst_color_range=color_range,
            interpolation=_INTERPOLATION,
            threads=1,
        )
        matrix = display_matrix(frame)
        if matrix is not None:
            picture = _upright_picture(picture, matrix)
        picture.pts, picture.duration = self._time(frame)
        picture.time_base = self.unit
        picture.pict_type = PictureType.NONE  # the encoder decides, not the old file
        self.count += 1
        return picture

    def _time(self, frame: VideoFrame) -> tuple[int, int]:
        """Returns time and duration of a frame in units; where the file tells none, the next."""
        duration = self._units(frame.duration or 0)
        time = self._last + max(1, duration) if self.count else 0
        if frame.pts is not None and self._start is not None:
            told = self._units(frame.pts - self._start)
            time = told if told > self._last else time
        self._last = time
        return time, duration

    def _units(self, ticks: int) -> int:
        return round(ticks * self.time_base / self.unit)


def _upright_picture(picture: VideoFrame, matrix: bytes) -> VideoFrame:
    planes = [upright(plane_array(plane), matrix) for plane in picture.planes]  # [H, W] each
    height, width = planes[0].shape
    flat = np.concatenate([plane.ravel() for plane in planes])  # [H*W*3/2]
    turned = VideoFrame.from_ndarray(flat.reshape(height * 3 // 2, width), format="yuv420p")
    turned.colorspace, turned.color_range = picture.colorspace, picture.color_range
    return turned


def _add_stream(file: OutputContainer, converter: _Converter, recipe: ClipRecipe) -> AvVideoStream:
    added = file.add_stream(ENCODER, options=recipe.encoder_options())
    stream = cast("AvVideoStream", added)
    stream.width, stream.height = converter.size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = converter.unit
    context.thread_count = 1  # clips are encoded side by side
    return stream


def _write(file: OutputContainer, video: AvVideoStream, picture: VideoFrame | None) -> int:
    """Encodes a picture, None after the last one; returns how many were written to the file."""
    context = video.codec_context
    if picture is not None and not context.is_open:
        context.colorspace, context.color_range = picture.colorspace, picture.color_range
        context.color_primaries = picture.color_primaries
        context.color_trc = picture.color_trc
    packets = video.encode(picture)
    file.mux(packets)
    return len(packets)


@contextmanager
def _opened(path: Path) -> Iterator[OutputContainer]:
    with av.open(f"file:{os.fspath(path)}", "w", format="mp4") as file:
        yield file


@contextmanager
def _faults(source: Path, target: Path) -> Iterator[None]:
    """Tells faults of the disk, which end the work, from those of one clip."""
    try:
        yield
    except OSError as error:
        raise VideozooError(f"{target}: cannot be written: {error.strerror}") from error
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise SampleError(f"{source}: cannot be encoded: {error}") from error


def _finish(temporary: Path, target: Path) -> None:
    try:
        os.replace(temporary, target)
    except OSError as error:
        raise VideozooError(f"{target}: cannot be written: {error.strerror}") from None
