"""Frames of video files as RGB: exactly those that are wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av import library_versions
from PIL import Image

from videozoo.data.clips.decoding import ChooseFrames, all_frames, visit_frames
from videozoo.data.clips.pictures import ResizeRule, rgb_planes, upright_size
from videozoo.data.clips.stream import VideoStream
from videozoo.data.clips.timeline import read_timeline
from videozoo.data.framing import Cut, Planes
from videozoo.errors import SampleError

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
Show = Callable[[Planes, list[int]], None]


@dataclass(frozen=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        frames: how many frames decoding gives.
        width, height: pixels of a frame, upright.
        fps: frames a second on average, where the file says so.
        codec: FFmpeg's name of it.
        rotation: degrees clockwise by which stored frames are turned to be upright.
        duration: seconds, where the file says so.
    """

    frames: int
    width: int
    height: int
    fps: float | None
    codec: str
    rotation: int
    duration: float | None


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

    def keep(planes: Planes, places: list[int]) -> None:
        frames.update(dict.fromkeys(places, np.stack(list(planes))))

    count = _show_frames(path, choose, keep)
    return [frames[place] for place in range(count)]


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
    clip: UInt8Array | None = None
    count = 0

    def chosen(n: int) -> Int64Array:
        nonlocal clip, count
        indices = choose(n)
        if count != indices.size:
            clip, count = None, indices.size
        return indices

    def keep(planes: Planes, places: list[int]) -> None:
        nonlocal clip
        if clip is None:
            clip = np.empty((count, 3, *crop.extent(*planes[0].shape)), dtype=np.uint8)
        for place in places:
            crop.cut(planes, clip[place])

    _show_frames(path, chosen, keep, resize=resize, resize_with=resize_with)
    assert clip is not None  # _show_frames raises where it has no frame to show
    return clip


def _show_frames(
    path: Path,
    choose: ChooseFrames,
    show: Show,
    *,
    resize: ResizeRule | None = None,
    resize_with: str = "swscale",
) -> int:
    """Gives `show` the planes of each wanted frame, and its places among the indices.

    Returns:
        How many indices there are.
    """

    def show_resized(planes: Planes, places: list[int]) -> None:
        show(planes if resize is None else resized(planes, resize), places)

    if resize_with == "pillow":
        return visit_frames(path, choose, lambda f, places: show_resized(rgb_planes(f), places))
    return visit_frames(path, choose, lambda f, places: show(rgb_planes(f, resize), places))


def resized(planes: Planes, resize: ResizeRule) -> Planes:
    """Resizes a picture by Pillow's bilinear, as the frames of pickles are.

    Args:
        planes: red, green and blue, uint8 [H, W] each.
        resize: answers its width and height with those wanted.
    """
    height, width = planes[0].shape
    size = resize(width, height)
    if size == (width, height):
        return planes
    image = Image.fromarray(np.stack(list(planes), axis=2))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def probe_video(path: Path) -> VideoInfo:
    """Finds out what a video file holds; decodes all of it only where nothing less will do.

    Raises:
        SampleError: not one frame can be decoded; the message says why.
    """
    with VideoStream(path) as stream:
        timeline, _ = read_timeline(stream)
        decoded = all_frames(stream)
        first = next(decoded, None)
        if first is None:
            raise SampleError("no frame of it can be decoded", path=path)
        width, height = upright_size(first)
        return VideoInfo(
            frames=len(timeline.times) if timeline else 1 + sum(1 for _ in decoded),
            width=width,
            height=height,
            fps=stream.fps,
            codec=stream.codec,
            rotation=-first.rotation % 360,
            duration=stream.duration,
        )
