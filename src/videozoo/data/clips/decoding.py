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

import numpy as np
import numpy.typing as npt
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from videozoo.data.clips.stream import DecodingError, VideoStream
from videozoo.data.clips.timeline import Timeline, read_timeline
from videozoo.errors import SampleError

Int64Array = npt.NDArray[np.int64]
ChooseFrames = Callable[[int], Int64Array]
Places = dict[int, list[int]]
Visit = Callable[[VideoFrame, list[int]], None]
VideoPackets: TypeAlias = "Iterator[tuple[int, Packet[AvVideoStream]]]"


def visit_frames(path: Path, choose: ChooseFrames, visit: Visit) -> int:
    """Decodes the chosen frames of a video file and shows each to `visit`.

    Args:
        path: the file.
        choose: answers the number n of frames with the wanted indices, each in 0..n-1, counted in
            the order of display; any shape, repetitions allowed. Where the file turns out to have
            another number of frames than it said, it is asked again.
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
            wanted = Wanted.of(choose, len(timeline.times))
            if _visit_by_time(stream, timeline, wanted.places, visit):
                return wanted.count
        return _visit_by_count(stream, choose, seeming, visit)


@dataclass(frozen=True)
class Wanted:
    """How many frames are wanted, and the places of each among them."""

    count: int
    places: dict[int, list[int]]

    @classmethod
    def of(cls, choose: ChooseFrames, n: int) -> Wanted:
        """Asks `choose` about n frames, 0 of which need no asking.

        Raises:
            IndexError: it gave an index outside 0..n-1.
        """
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
        wanted = Wanted.of(choose, n)
        count = 0
        for frame in all_frames(stream):
            if count in wanted.places:
                _visit(stream, frame, wanted.places[count], visit)
            count += 1
        if not count:
            raise SampleError("no frame of it can be decoded", path=stream.path)
        if count == n:
            return wanted.count
        n = count
    raise SampleError("decoding it twice gives different numbers of frames", path=stream.path)


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
