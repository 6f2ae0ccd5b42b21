"""Frames of video files as RGB: exactly those that are wanted."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
from av import library_versions
from av.video.frame import VideoFrame
from PIL import Image

from videozoo.errors import SampleError
from videozoo.video.chosen_frames import (
    ChooseByTime,
    ChooseFrames,
    ChosenFrames,
    all_frames,
    by_count,
)
from videozoo.video.damage import Damage
from videozoo.video.frame_times import FrameTimes
from videozoo.video.geometry import Cut, Planes, ResizeRule, UInt8Array
from videozoo.video.rgb import SQUARE, is_turned, rgb_planes, upright_size
from videozoo.video.stream import VideoStream
from videozoo.video.timeline import read_timeline

_CONVERTED = "a frame cannot be converted to RGB"
_PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        frames: how many frames decoding gives.
        width, height: pixels of a frame, upright.
        fps: frames a second on average, where the file says so.
        codec: FFmpeg's name of it.
        rotation: degrees clockwise by which stored frames are turned to be upright.
        pixel_aspect: width of a pixel of the upright frame over its height.
        duration: seconds, where the file says so.
        has_sound: there is a sound track.
    """

    frames: int
    width: int
    height: int
    fps: float | None
    codec: str
    rotation: int
    pixel_aspect: float
    duration: float | None
    has_sound: bool


@dataclass(frozen=True)
class FramePlan:
    """Which frames of a video a model sees, and what of each: what `read_timed_clip` takes.

    Attributes:
        choose: answers the times of all frames with the wanted indices, [n, k]: k frames each of n
            moments or segments.
        resize, crop, resize_with, resample, square_pixels: see `read_timed_clip`.
    """

    choose: ChooseByTime
    resize: ResizeRule
    crop: Cut
    resize_with: str = "swscale"
    resample: str = "bilinear"
    square_pixels: bool = False


def decoder_version() -> str:
    """Returns the versions of what decodes, such as "PyAV 18.1.0, libavcodec 62.28.102"."""
    libavcodec = ".".join(str(n) for n in library_versions["libavcodec"])
    return f"PyAV {av.__version__}, libavcodec {libavcodec}"


def read_frames(path: Path, choose: ChooseFrames) -> list[UInt8Array]:
    """Reads the chosen frames of a video file at their full size.

    Args:
        path: the file.
        choose: answers the number n of frames with the wanted indices, each in 0..n-1, counted in
            the order of display; any shape, repetitions allowed. Where the file turns out to have
            another number of frames than it said, it is asked again.

    Returns:
        The frames in the order of the flattened indices: uint8 [3, H, W], RGB, upright. A frame
        that is wanted more than once is decoded once and is the same array each time.

    Raises:
        SampleError: not one frame can be decoded; the message says why.
        IndexError: `choose` gave an index outside 0..n-1.
    """
    frames: dict[int, UInt8Array] = {}
    with VideoStream(path) as stream:
        chosen = ChosenFrames(stream, by_count(choose))
        for frame, places in chosen:
            with stream.faults(_CONVERTED):
                frames.update(dict.fromkeys(places, np.stack(rgb_planes(frame))))
        return [frames[place] for place in range(chosen.count)]


def read_clip(
    path: Path,
    choose: ChooseFrames,
    *,
    resize: ResizeRule,
    crop: Cut,
    resize_with: str = "swscale",
) -> UInt8Array:
    """Reads the chosen frames of a video file, resized and cropped as soon as each is decoded.

    Args:
        path: the file.
        choose: as in `read_frames`; how many it chooses must not depend on n.
        resize: answers width and height of an upright frame with those wanted.
        crop: what is cut out of it then.
        resize_with: "swscale" resizes while it converts colours; "pillow" resizes the converted
            frame, as for pickles and in the original, and takes several times as long. They
            differ where a picture is over- or underexposed: see docs/data.md.

    Returns:
        uint8 [N, 3, *crop.extent(H, W)] in the order of the flattened indices.

    Raises:
        SampleError: not one frame can be decoded, or one is smaller than the crop.
        IndexError: `choose` gave an index outside 0..n-1.
    """
    choice = by_count(choose)
    return read_timed_clip(path, choice, resize=resize, crop=crop, resize_with=resize_with).frames


class TimedClip(NamedTuple):
    """Frames of a video.

    Attributes:
        frames: uint8 [N, 3, H, W] in the order of the flattened indices.
        times: of all frames of the video.
        damage: what is known to be missing of the video; None: nothing.
    """

    frames: UInt8Array
    times: FrameTimes
    damage: Damage | None


def read_timed_clip(
    path: Path,
    choose: ChooseByTime,
    *,
    resize: ResizeRule,
    crop: Cut,
    resize_with: str = "swscale",
    resample: str = "bilinear",
    square_pixels: bool = False,
) -> TimedClip:
    """Reads frames of a video file that are chosen by the times at which they are on screen.

    Args:
        path: the file.
        choose: answers the times of all n frames with the wanted indices, each in 0..n-1; any
            shape, repetitions allowed. Where the file turns out to have other frames than it said,
            it is asked again.
        resize: answers width and height of an upright frame with those wanted.
        crop: what is cut out of it then.
        resize_with: "swscale" or "pillow", see `read_clip`.
        resample: "bilinear" or "bicubic", the kernel of resizing.
        square_pixels: ask `resize` about the frame as it is shown: with square pixels, where the
            file says that stored ones are oblong. Otherwise stored pixels are counted.

    Returns:
        The clip, uint8 [N, 3, *crop.extent(H, W)], with the times of all frames and with what is
        known to be missing.

    Raises:
        SampleError: not one frame can be decoded, or one is smaller than the crop.
        IndexError: `choose` gave an index outside 0..n-1.
    """
    clip: UInt8Array | None = None
    with VideoStream(path) as stream:
        chosen = ChosenFrames(stream, choose)
        for frame, places in chosen:
            with stream.faults(_CONVERTED):
                pixels = stream.pixel_aspect if square_pixels else SQUARE
                planes = resized_planes(frame, resize, resize_with, resample, pixels)
                if clip is None or len(clip) != chosen.count:
                    extent = crop.extent(*planes[0].shape)
                    clip = np.empty((chosen.count, 3, *extent), dtype=np.uint8)
                for place in places:
                    crop.cut(planes, clip[place])
    assert clip is not None  # iterating raises where there is no frame
    assert chosen.times is not None
    return TimedClip(clip, chosen.times, chosen.damage)


def resized_planes(
    frame: VideoFrame,
    resize: ResizeRule,
    resize_with: str = "swscale",
    resample: str = "bilinear",
    pixel_aspect: Fraction = SQUARE,
) -> Planes:
    """Returns a decoded frame's red, green and blue, upright and resized; see `read_timed_clip`."""
    if resize_with == "pillow":
        size = resize(*upright_size(frame, pixel_aspect))
        return resized(rgb_planes(frame), size, resample=resample)
    return rgb_planes(frame, resize, resample=resample, pixel_aspect=pixel_aspect)


def resized(planes: Planes, size: tuple[int, int], *, resample: str = "bilinear") -> Planes:
    """Resizes a picture by Pillow, as the frames of pickles are.

    Args:
        planes: red, green and blue, uint8 [H, W] each.
        size: the width and height that are wanted.
        resample: "bilinear" or "bicubic".
    """
    height, width = planes[0].shape
    if size == (width, height):
        return planes
    image = Image.fromarray(np.stack(list(planes), axis=2))
    return np.asarray(image.resize(size, _PILLOW[resample])).transpose(2, 0, 1)


def seeming_times(path: Path) -> FrameTimes:
    """Finds out when frames are on screen without decoding one; cheap for any file.

    Of a file whose packets do not tell it for sure, or that is damaged, it is what they seem to
    tell; `read_timed_clip` knows better.

    Raises:
        SampleError: there is no frame; the message says why.
    """
    with VideoStream(path) as stream:
        times = read_timeline(stream).times
        if times is None:
            raise SampleError("no frame of it can be decoded", path=path)
        return times


def find_damage(path: Path) -> Damage | None:
    """Decodes a whole video and finds out what is missing of it.

    Returns:
        What is known to be missing; None: nothing.

    Raises:
        SampleError: not one frame can be decoded; the message says why.
    """
    with VideoStream(path) as stream:
        chosen = ChosenFrames(stream, by_count(np.arange))
        for _ in chosen:
            pass
        return chosen.damage


def probe_video(path: Path) -> VideoInfo:
    """Finds out what a video file holds; decodes all of it only where nothing less will do.

    Raises:
        SampleError: not one frame can be decoded; the message says why.
    """
    with VideoStream(path) as stream:
        timeline = read_timeline(stream).timeline
        decoded = all_frames(stream)
        first = next(decoded, None)
        if first is None:
            raise SampleError("no frame of it can be decoded", path=path)
        width, height = upright_size(first)
        pixels = stream.pixel_aspect
        return VideoInfo(
            frames=len(timeline.times) if timeline else 1 + sum(1 for _ in decoded),
            width=width,
            height=height,
            fps=stream.fps,
            codec=stream.codec,
            rotation=-first.rotation % 360,
            pixel_aspect=float(1 / pixels if is_turned(first) else pixels),
            duration=stream.duration,
            has_sound=stream.has_sound,
        )
