"""Frames of video files, exactly those that are wanted.

A file is walked through once without decoding, to know how many frames there are and where
decoding may begin; then only what the wanted frames need is decoded. Where the packets do not tell
for sure, or tell something that decoding contradicts, all frames are decoded and counted. Either
way the frames of a sound file are those that decoding all of it gives, bit for bit, and no more
than a few of them are in memory.

A file that breaks off, or has a packet that cannot be decoded, counts as the frames before that
place: it is unreadable only when there is none. Damage that no packet shows and no decoder reports
remains unseen, as it does in players.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

import av
import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream
from PIL import Image

from videozoo.data.clips.stream import DecodingError, VideoStream
from videozoo.data.clips.timeline import Timeline, read_timeline
from videozoo.errors import SampleError

Int64Array = npt.NDArray[np.int64]
ChooseFrames = Callable[[int], Int64Array]
Each = Callable[[Image.Image], Image.Image]
Images = dict[int, Image.Image]
VideoPacket: TypeAlias = "Packet[AvVideoStream]"


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
    version = ".".join(str(n) for n in av.library_versions["libavcodec"])
    return f"PyAV {av.__version__}, libavcodec {version}"


def read_frames(
    path: Path,
    choose: ChooseFrames,
    *,
    each: Each | None = None,
) -> list[Image.Image]:
    """Reads the chosen frames of a video file.

    Args:
        path: the file.
        choose: answers the number n of frames with the wanted indices, each in 0..n-1, counted in
            the order of display; any shape, repetitions allowed. Where the file turns out to have
            another number of frames than it said, it is asked again.
        each: is applied to every wanted frame as soon as it is decoded, such as a resize: then no
            frame is kept at its full size.

    Returns:
        The frames in the order of the flattened indices: RGB, upright. A frame that is wanted more
        than once is decoded once and is the same object each time.

    Raises:
        SampleError: not one frame can be decoded; the message says why.
        IndexError: `choose` gave an index outside 0..n-1.
    """
    with VideoStream(path) as stream:
        timeline, seeming = read_timeline(stream)
        if timeline is not None:
            wanted = _checked(choose, len(timeline.times))
            images = _read_by_time(stream, timeline, set(wanted), each)
            if images is not None:
                return [images[i] for i in wanted]
        return _read_by_count(stream, choose, seeming, each)


def probe_video(path: Path) -> VideoInfo:
    """Finds out what a video file holds; decodes all of it only where nothing less will do.

    Raises:
        SampleError: not one frame can be decoded; the message says why.
    """
    with VideoStream(path) as stream:
        timeline, _ = read_timeline(stream)
        decoded = _all_frames(stream)
        first = next(decoded, None)
        if first is None:
            raise SampleError(f"{path}: no frame of it can be decoded")
        image = stream.image(first)
        return VideoInfo(
            frames=len(timeline.times) if timeline else 1 + sum(1 for _ in decoded),
            width=image.width,
            height=image.height,
            fps=stream.fps,
            codec=stream.codec,
            rotation=-first.rotation % 360,
            duration=stream.duration,
        )


def _checked(choose: ChooseFrames, n: int) -> list[int]:
    wanted: list[int] = np.asarray(choose(n)).ravel().tolist()
    if wanted and not 0 <= min(wanted) <= max(wanted) < n:
        raise IndexError(f"frames {min(wanted)}..{max(wanted)} are wanted of {n}")
    return wanted


def _read_by_time(
    stream: VideoStream, timeline: Timeline, wanted: set[int], each: Each | None
) -> Images | None:
    """Decodes from the nearest access before each wanted frame on, and knows frames by their time.

    Returns:
        The wanted frames by number; None where the decoder gave other frames than the timeline
        foretold.
    """
    images: Images = {}
    number_at = {time: number for number, time in enumerate(timeline.times)}
    packets = enumerate(stream.packets())
    for access, group in groupby(sorted(wanted), key=timeline.access_for):
        missing = set(group)
        first = timeline.accesses[access].first
        last = first - 1
        times = {timeline.times[number] for number in missing}
        try:
            for frame in _frames_from(stream, timeline, access, packets, times):
                number = number_at.get(frame.pts, -1) if frame.pts is not None else -1
                left_out = number > last >= first and _can_leave_out(stream)
                if number != last + 1 and not left_out:
                    return None
                last = number
                if number in missing:
                    images[number] = _image(stream, frame, each)
                    missing.remove(number)
                if not missing:
                    break
        except DecodingError:
            return None
        if missing:
            return None
    return images


def _can_leave_out(stream: VideoStream) -> bool:
    """Whether frames that no other frame needs are passed over; it saves a third of the time."""
    return stream.codec == "h264"


def _frames_from(
    stream: VideoStream,
    timeline: Timeline,
    access: int,
    packets: Iterator[tuple[int, VideoPacket]],
    times: set[int],
) -> Iterator[VideoFrame]:
    """Decodes from one access up to the next one.

    Args:
        stream: the video.
        timeline: of the stream.
        access: the number of the access.
        packets: numbered; those up to the next access are taken.
        times: of the wanted frames.
    """
    start = timeline.accesses[access].packet
    later = timeline.accesses[access + 1 : access + 2]
    stream.restart()
    for number, packet in packets:
        if number >= start:
            quick = _can_leave_out(stream) and packet.pts not in times
            yield from stream.decode(packet, quick=quick)
        if later and number + 1 == later[0].packet:
            break
    yield from stream.decode(None)


def _read_by_count(
    stream: VideoStream, choose: ChooseFrames, seeming: int, each: Each | None
) -> list[Image.Image]:
    """Decodes all frames and knows them by their place; twice where there are not `seeming`."""
    n = seeming
    for _ in range(2):
        wanted = _checked(choose, n) if n else []
        missing = set(wanted)
        images: Images = {}
        count = 0
        for frame in _all_frames(stream):
            if count in missing:
                images[count] = _image(stream, frame, each)
            count += 1
        if not count:
            raise SampleError(f"{stream.path}: no frame of it can be decoded")
        if count == n:
            return [images[i] for i in wanted]
        n = count
    raise SampleError(f"{stream.path}: decoding it twice gives different numbers of frames")


def _all_frames(stream: VideoStream) -> Iterator[VideoFrame]:
    """Decodes the stream from its first good frame to its end, or to where it is damaged."""
    stream.reopen()  # a decoder that was only restarted still remembers a damaged stream's headers
    packets = stream.packets()
    begun = False
    while True:
        try:
            packet = next(packets, None)
        except DecodingError:
            return
        try:
            frames = stream.decode(packet)
        except DecodingError:
            if begun or packet is None:
                return
            continue  # a recording may begin in the middle of a group of pictures
        begun = begun or bool(frames)
        yield from frames
        if packet is None:
            return


def _image(stream: VideoStream, frame: VideoFrame, each: Each | None) -> Image.Image:
    image = stream.image(frame)
    return each(image) if each else image
