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

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from typing import TypeAlias

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from videozoo.errors import SampleError
from videozoo.video.frame_times import FrameTimes, Int64Array, Seen, frame_times
from videozoo.video.stream import DecodingError, VideoStream
from videozoo.video.timeline import Timeline, read_timeline

ChooseFrames = Callable[[int], Int64Array]
ChooseByTime = Callable[[FrameTimes], Int64Array]
Places = dict[int, list[int]]
VideoPackets: TypeAlias = "Iterator[tuple[int, Packet[AvVideoStream]]]"


def by_count(choose: ChooseFrames) -> ChooseByTime:
    """Makes a choice of frames that looks at their number alone; it is asked once for each."""
    answers = cache(choose)
    return lambda times: answers(len(times))


class ChosenFrames:
    """The chosen frames of a video, decoded while they are iterated over.

    Each wanted frame comes once, in the order of display, with its places among the flattened
    indices. Where the file turns out to have other frames than it said, `choose` is asked again
    and, if it now wants others, all come anew: of two frames for one place the later one counts.

    Args:
        stream: of the file.
        choose: answers the times of all n frames with the wanted indices, each in 0..n-1, counted
            in the order of display; any shape, repetitions allowed.

    Attributes:
        count: how many indices `choose` gave when it was last asked.
        times: of all frames; after iterating those that the file turned out to have.
    """

    def __init__(self, stream: VideoStream, choose: ChooseByTime) -> None:
        self._stream = stream
        self._choose = choose
        self.count = 0
        self.times: FrameTimes | None = None

    def __iter__(self) -> Iterator[tuple[VideoFrame, list[int]]]:
        """Decodes.

        Raises:
            SampleError: not one frame can be decoded.
            IndexError: `choose` gave an index outside 0..n-1.
        """
        timeline, seeming = read_timeline(self._stream)
        wanted = self._ask(seeming) if seeming is not None else {}
        done = False
        if timeline is not None:
            done = yield from _frames_by_time(self._stream, timeline, wanted)
        if not done:
            yield from self._frames_by_count(wanted)

    def _ask(self, times: FrameTimes) -> Places:
        """Asks which frames are wanted; returns their places."""
        n = len(times)
        numbers: list[int] = np.asarray(self._choose(times)).ravel().tolist()
        if numbers and not 0 <= min(numbers) <= max(numbers) < n:
            raise IndexError(f"frames {min(numbers)}..{max(numbers)} are wanted of {n}")
        self.count = len(numbers)
        self.times = times
        places: Places = {}
        for place, number in enumerate(numbers):
            places.setdefault(number, []).append(place)
        return places

    def _frames_by_count(self, wanted: Places) -> Iterator[tuple[VideoFrame, list[int]]]:
        """Decodes all frames and knows them by their place; again if others turn out wanted."""
        path = self._stream.path
        for _ in range(2):
            seen: list[Seen] = []
            for frame in all_frames(self._stream):
                if len(seen) in wanted:
                    yield frame, wanted[len(seen)]
                seen.append(Seen(frame.pts, frame.pts, frame.duration))
            if not seen:
                raise SampleError("no frame of it can be decoded", path=path)
            asked, wanted = wanted, self._ask(frame_times(self._stream, seen))
            if wanted == asked:
                return
        raise SampleError("decoding it twice gives different frames", path=path)


def _frames_by_time(
    stream: VideoStream, timeline: Timeline, wanted: Places
) -> Generator[tuple[VideoFrame, list[int]], None, bool]:
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
                    yield frame, wanted[number]
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
