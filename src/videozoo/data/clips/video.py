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

from videozoo.data.clips.pictures import ResizeRule, rgb_planes, upright_size
from videozoo.data.clips.stream import DecodingError, VideoStream
from videozoo.data.clips.timeline import Timeline, read_timeline
from videozoo.data.transforms import Crop
from videozoo.errors import SampleError

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
ChooseFrames = Callable[[int], Int64Array]
Places = dict[int, list[int]]
Visit = Callable[[VideoFrame, list[int]], None]
VideoPackets: TypeAlias = "Iterator[tuple[int, Packet[AvVideoStream]]]"


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

    def keep(frame: VideoFrame, places: list[int]) -> None:
        frames.update(dict.fromkeys(places, np.stack(rgb_planes(frame))))

    count = visit_frames(path, choose, keep)
    return [frames[place] for place in range(count)]


def read_clip(path: Path, choose: ChooseFrames, *, resize: ResizeRule, crop: Crop) -> UInt8Array:
    """Reads the chosen frames of a video file, resized and cropped as soon as each is decoded.

    Args:
        path: the file.
        choose: as in `read_frames`; how many it chooses must not depend on n.
        resize: answers width and height of an upright frame with those wanted.
        crop: what is cut out of it then.

    Returns:
        uint8 [N, 3, size, size] in the order of the flattened indices.

    Raises:
        SampleError: not one frame can be decoded, or one is smaller than the crop.
        IndexError: `choose` gave an index outside 0..n-1.
    """
    clip = np.empty((0, 3, crop.size, crop.size), dtype=np.uint8)

    def chosen(n: int) -> Int64Array:
        nonlocal clip
        indices = choose(n)
        if len(clip) != indices.size:
            clip = np.empty((indices.size, 3, crop.size, crop.size), dtype=np.uint8)
        return indices

    def keep(frame: VideoFrame, places: list[int]) -> None:
        planes = rgb_planes(frame, resize)
        for place in places:
            crop.cut(planes, clip[place])

    visit_frames(path, chosen, keep)
    return clip


def visit_frames(path: Path, choose: ChooseFrames, visit: Visit) -> int:
    """Decodes the chosen frames of a video file and shows each to `visit`.

    Args:
        path: the file.
        choose: as in `read_frames`.
        visit: is given a decoded frame and its places among the flattened indices. Where the file
            turns out to have another number of frames than it said, it is given all of them anew.

    Returns:
        How many indices there are.

    Raises:
        SampleError: not one frame can be decoded, or `visit` raised an error of FFmpeg's.
        IndexError: `choose` gave an index outside 0..n-1.
    """
    with VideoStream(path) as stream:
        timeline, seeming = read_timeline(stream)
        if timeline is not None:
            wanted = _Wanted.of(choose, len(timeline.times))
            if _visit_by_time(stream, timeline, wanted.places, visit):
                return wanted.count
        return _visit_by_count(stream, choose, seeming, visit)


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
            raise SampleError(f"{path}: no frame of it can be decoded")
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


@dataclass(frozen=True)
class _Wanted:
    """How many frames are wanted, and the places of each among them."""

    count: int
    places: dict[int, list[int]]

    @classmethod
    def of(cls, choose: ChooseFrames, n: int) -> _Wanted:
        numbers: list[int] = np.asarray(choose(n)).ravel().tolist() if n else []
        if numbers and not 0 <= min(numbers) <= max(numbers) < n:
            raise IndexError(f"frames {min(numbers)}..{max(numbers)} are wanted of {n}")
        places: dict[int, list[int]] = {}
        for place, number in enumerate(numbers):
            places.setdefault(number, []).append(place)
        return cls(len(numbers), places)


def _visit_by_time(stream: VideoStream, timeline: Timeline, wanted: Places, visit: Visit) -> bool:
    """Decodes from the nearest access before each wanted frame on, and knows frames by their time.

    Returns:
        False where the decoder gave other frames than the timeline foretold.
    """
    packets = enumerate(stream.packets())
    for access, group in groupby(sorted(wanted), key=timeline.access_for):
        numbers = list(group)
        plan = _Plan.of(timeline, access, numbers)
        missing = set(numbers)
        expected = iter(plan.frames)
        try:
            for frame in _decoded(stream, plan, packets):
                number = next(expected, None)
                if number is None or frame.pts != timeline.times[number]:
                    return False
                if number in missing:
                    _visit(stream, frame, wanted[number], visit)
                    missing.remove(number)
                    if not missing:
                        break
        except DecodingError:
            return False
        if missing:
            return False
    return True


@dataclass(frozen=True)
class _Plan:
    """What to decode for some wanted frames.

    Attributes:
        start, stop: the first packet, and the one after the last wanted frame's.
        left_out: packets between them that no wanted frame refers to.
        frames: the frames that come of it, in the order of display.
    """

    start: int
    stop: int
    left_out: frozenset[int]
    frames: list[int]

    @classmethod
    def of(cls, timeline: Timeline, access: int, wanted: list[int]) -> _Plan:
        packets = timeline.packets
        start = timeline.accesses[access].packet
        stop = 1 + max(packets[number] for number in wanted)
        left_out = timeline.needless - {packets[number] for number in wanted}
        first = timeline.accesses[access].first
        later = timeline.accesses[access + 1 : access + 2]
        last = later[0].first if later else len(packets)
        frames = [
            number
            for number in range(first, last)
            if packets[number] < stop and packets[number] not in left_out
        ]
        return cls(start, stop, left_out, frames)


def _decoded(stream: VideoStream, plan: _Plan, packets: VideoPackets) -> Iterator[VideoFrame]:
    """Decodes what is planned; `packets` are numbered, and taken up to the plan's stop."""
    stream.restart()
    for number, packet in packets:
        if number >= plan.start and number not in plan.left_out:
            yield from stream.decode(packet)
        if number + 1 == plan.stop:
            break
    # nothing that follows changes a frame: the decoder is told that this was the end
    yield from stream.decode(None)


def _visit_by_count(stream: VideoStream, choose: ChooseFrames, seeming: int, visit: Visit) -> int:
    """Decodes all frames and knows them by their place; twice where there are not `seeming`."""
    n = seeming
    for _ in range(2):
        wanted = _Wanted.of(choose, n)
        count = 0
        for frame in all_frames(stream):
            if count in wanted.places:
                _visit(stream, frame, wanted.places[count], visit)
            count += 1
        if not count:
            raise SampleError(f"{stream.path}: no frame of it can be decoded")
        if count == n:
            return wanted.count
        n = count
    raise SampleError(f"{stream.path}: decoding it twice gives different numbers of frames")


def all_frames(stream: VideoStream) -> Iterator[VideoFrame]:
    """Decodes a stream from its first good frame to its end, or to where it is damaged.

    Args:
        stream: begun anew, wherever it is.

    Yields:
        Its frames in the order of display.
    """
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


def _visit(stream: VideoStream, frame: VideoFrame, places: list[int], visit: Visit) -> None:
    with stream.faults("a frame cannot be converted to RGB"):
        visit(frame, places)
