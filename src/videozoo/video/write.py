"""Clips written anew: the same frames at the same times, quick to reach and to decode."""

from __future__ import annotations

import os
import secrets
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

from videozoo.errors import SampleError, VideozooError, did_you_mean
from videozoo.video.chosen_frames import all_frames
from videozoo.video.damage import Damage
from videozoo.video.rgb import display_matrix, is_turned, plane_array, upright, upright_size
from videozoo.video.stream import VideoStream
from videozoo.video.timeline import read_timeline

ENCODER = "libx264"
PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow"),
)
# Bicubic keeps what the reader's own bilinear step, which follows, would otherwise blur twice.
_INTERPOLATION = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
_FRAME_DURATION = 1 << 8  # FFmpeg's AV_CODEC_FLAG_FRAME_DURATION
_FINEST = 1_000_000  # an MP4 file counts the units between two frames in 32 bits


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How clips are encoded.

    The defaults were measured. Leaving out arithmetic coding and the smoothing of edges makes files
    a tenth larger and reading them a third shorter; B-frames gained nothing.

    Attributes:
        short_side: pixels; larger frames are made smaller. It differs from the short_size of the
            bundled configs on purpose: the reader leaves a frame of exactly that size as it is,
            where it gives every other frame the proportions 4:3.
        gop: frames from one that can be decoded alone to the next.
        crf: x264's constant rate factor; less is better and larger.
        preset: x264's; slower ones are smaller at the same quality.

    Raises:
        VideozooError: a setting is out of range, or PyAV is built without the encoder.
    """

    short_side: int = 288
    gop: int = 8
    crf: int = 18
    preset: str = "faster"

    def __post_init__(self) -> None:
        if self.short_side < 16 or self.short_side % 2:
            raise VideozooError(f"--short-side {self.short_side}: give an even number from 16 on")
        if self.gop < 1:
            raise VideozooError(f"--gop {self.gop}: give a number from 1 on")
        if not 1 <= self.crf <= 51:
            raise VideozooError(f"--crf {self.crf}: give a number from 1 (best) to 51")
        if self.preset not in PRESETS:
            hint = did_you_mean(self.preset, PRESETS) or f"; there are {', '.join(PRESETS)}"
            raise VideozooError(f"--preset {self.preset}: unknown{hint}")
        if ENCODER not in av.codecs_available:
            raise VideozooError(
                f"PyAV {av.__version__} is built without {ENCODER}, which encodes the clips; "
                "install the wheel from PyPI: pip install --force-reinstall --only-binary av av"
            )

    def options(self) -> dict[str, str]:
        """Returns the options of FFmpeg's libx264."""
        fixed = "scenecut=0:open-gop=0:bframes=0:cabac=0:no-deblock=1"
        return {
            "preset": self.preset,
            "crf": str(self.crf),
            "a53cc": "0",  # no subtitles
            "x264-params": f"keyint={self.gop}:{fixed}",
        }

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Returns width and height of the new frames for those of the upright old ones.

        They are even, as 4:2:0 pictures need; never larger (but for a side of one pixel, which
        becomes two).
        """
        short = min(width, height)
        if short <= self.short_side:
            return max(2, width // 2 * 2), max(2, height // 2 * 2)
        return (
            2 * round(width * self.short_side / short / 2),
            2 * round(height * self.short_side / short / 2),
        )


@dataclass(frozen=True)
class WrittenClip:
    """What was written.

    Attributes:
        frames: how many.
        size: width and height of the upright frames before.
        new_size: width and height after.
        damage: what is known to be missing of the video; None: nothing.
    """

    frames: int
    size: tuple[int, int]
    new_size: tuple[int, int]
    damage: Damage | None = None


def write_clip(
    source: Path,
    target: Path,
    *,
    start: float | None = None,
    end: float | None = None,
    encoding: Encoding,
) -> WrittenClip:
    """Writes the frames of a video, or of a part of it, into a new file: whole or not at all.

    The new file is H.264 in MP4 without sound, upright, in the colours and with the pixel shape of
    the old one. Times are counted from its first frame. The old file is decoded from its beginning
    on.

    Args:
        source: the video; one that is damaged counts with the frames that can be decoded.
        target: the file to write; its folder exists.
        start: seconds after the video's first frame; frames before it are left out.
        end: seconds; frames from there on are left out.
        encoding: size and quality.

    Raises:
        SampleError: there is no such frame, or one cannot be converted or encoded.
        VideozooError: the target cannot be written.
    """
    # short, for names may be as long as they can; nobody can guess it and lay a link there
    temporary = target.with_name(f".{secrets.token_hex(8)}.mp4.part")
    whole = start is end is None
    try:
        with VideoStream(source) as stream:
            time_base = stream.time_base or Fraction(1, 25)
            promise = read_timeline(stream).promise
            faults: list[SampleError] = []
            frames = _frames_between(all_frames(stream, faults), time_base, start, end)
            first = next(frames, None)
            if first is None:
                part = "" if whole else f" between {start} s and {end} s"
                raise SampleError(f"{source}: no frame of it{part} can be decoded")
            size = upright_size(first)
            converter = Converter(first, time_base, encoding.size(*size))
            pixels, written = stream.pixel_aspect, 0
            with _faults(source, target):
                with av.open(f"file:{os.fspath(temporary)}", "w", format="mp4") as file:
                    video = add_stream(file, converter, encoding)
                    video.sample_aspect_ratio = 1 / pixels if is_turned(first) else pixels
                    for frame in chain([first], frames):
                        with stream.faults("a frame cannot be converted"):
                            picture = converter.convert(frame)
                        written += write_picture(file, video, picture)
                    written += write_picture(file, video, None)
                if written != (given := converter.count):
                    raise SampleError(f"{source}: the encoder took {given} frames, gave {written}")
                os.replace(temporary, target)
            damage = promise.broken(written, faults=bool(faults)) if whole else None
        return WrittenClip(written, size, converter.size, damage)
    finally:
        temporary.unlink(missing_ok=True)


def _frames_between(
    frames: Iterator[VideoFrame], time_base: Fraction, start: float | None, end: float | None
) -> Iterator[VideoFrame]:
    """Yields the frames from `start` to before `end`; a frame without a time follows the last."""
    begin, seconds = None, 0.0
    for frame in frames:
        if frame.pts is not None:
            begin = frame.pts if begin is None else begin
            seconds = float((frame.pts - begin) * time_base)
        if end is not None and seconds >= end:
            return
        if start is None or seconds >= start:
            yield frame


class Converter:
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
        width, height = self.size[::-1] if is_turned(frame) else self.size
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
        matrix = display_matrix(picture)
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


def add_stream(file: OutputContainer, converter: Converter, encoding: Encoding) -> AvVideoStream:
    """Adds the stream of a converter's pictures to a file."""
    stream = cast("AvVideoStream", file.add_stream(ENCODER, options=encoding.options()))
    stream.width, stream.height = converter.size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = converter.unit
    context.thread_count = 1  # clips are written side by side
    context.flags |= _FRAME_DURATION  # or the last one is taken to last 1/24 s
    return stream


def write_picture(file: OutputContainer, video: AvVideoStream, picture: VideoFrame | None) -> int:
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
def _faults(source: Path, target: Path) -> Iterator[None]:
    """Tells faults of the disk, which end the work, from those of one clip."""
    try:
        yield
    except OSError as error:
        raise VideozooError(f"{target}: cannot be written: {error.strerror}") from error
    except (av.FFmpegError, ValueError, MemoryError) as error:
        raise SampleError(f"{source}: cannot be encoded: {error}") from error
