"""Frames of video files, exactly those that are wanted.

A file is walked through once without decoding, to know how many frames there are and where
decoding may begin; then only what the wanted frames need is decoded. Where the packets do not tell
for sure, or tell something that decoding contradicts, all frames are decoded and counted. Either
way the frames of a sound file are those that decoding all of it gives, bit for bit, and no more
than a few of them are in memory.

A file whose packets show that it is damaged counts as the frames before the first fault: it is
unreadable only when there is none. Where packets look whole and one turns out damaged when it is
decoded, the number of frames stays what it was, or it would depend on which are wanted: a frame
that does not come shows the one before it, as in players. Either way `ChosenFrames.damage` tells.
Damage that no packet shows and no decoder reports remains unseen, as it does in players.
"""

from __future__ import annotations

from collections import deque
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
from videozoo.video.damage import Damage
from videozoo.video.frame_times import FrameTimes, Int64Array, Seen, frame_times
from videozoo.video.stream import DecodingError, VideoStream
from videozoo.video.timeline import Timeline, Walk, read_timeline

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
        damage: after iterating: what is known to be missing; None: nothing.
    """

    def __init__(self, stream: VideoStream, choose: ChooseByTime) -> None:
        self._stream = stream
        self._choose = choose
        self.count = 0
        self.times: FrameTimes | None = None
        self.damage: Damage | None = None

    def __iter__(self) -> Iterator[tuple[VideoFrame, list[int]]]:
        """Decodes.

        Raises:
            SampleError: not one frame can be decoded.
            IndexError: `choose` gave an index outside 0..n-1.
        """
        walk = read_timeline(self._stream)
        wanted = self._ask(walk.times) if walk.times is not None else {}
        done = False
        if walk.timeline is not None:
            done = yield from _frames_by_time(self._stream, walk.timeline, wanted)
            self.damage = walk.promise.broken(len(walk.timeline.times), faults=False)
        if not done:
            yield from self._frames_by_count(walk, wanted)

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

    def _frames_by_count(
        self, walk: Walk, wanted: Places
    ) -> Iterator[tuple[VideoFrame, list[int]]]:
        """Decodes all frames and knows them by their place; again if others turn out wanted."""
        path = self._stream.path
        for _ in range(2):
            seen: list[Seen] = []
            faults: list[SampleError] = []
            for frame in all_frames(self._stream, faults):
                if len(seen) in wanted:
                    yield frame, wanted[len(seen)]
                seen.append(Seen(frame.pts, frame.pts, frame.duration))
            if not seen:
                raise SampleError("no frame of it can be decoded", path=path)
            self.damage = walk.promise.broken(len(seen), faults=bool(faults))
            if walk.timeline is not None and _lacks_some(walk.timeline, seen):
                good = yield from _frames_by_access(self._stream, walk.timeline, wanted)
                self.damage = walk.promise.broken(good, faults=True)
                return
            asked, wanted = wanted, self._ask(frame_times(self._stream, seen))
            if wanted == asked:
                return
        raise SampleError("decoding it twice gives different frames", path=path)


def _lacks_some(timeline: Timeline, seen: list[Seen]) -> bool:
    """Whether the frames are those of a timeline but for some that do not come."""
    times = {one.time for one in seen}
    return len(seen) < len(timeline.times) and times < set(timeline.times)


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


def _frames_by_access(
    stream: VideoStream, timeline: Timeline, wanted: Places
) -> Generator[tuple[VideoFrame, list[int]], None, int]:
    """Decodes a damaged video from each access on, as far as it goes.

    A wanted frame that does not come gives way to the last one before it that does; where there is
    none, to the first. What comes depends on the file alone, not on what is wanted.

    Returns:
        How many frames come.
    """
    stream.reopen()
    packets = enumerate(stream.packets())
    left = deque(sorted(wanted))
    shown: VideoFrame | None = None
    good = 0
    for access in range(len(timeline.accesses)):
        for number, frame in _good_frames(stream, timeline, access, packets):
            shown = shown or frame
            while left and left[0] <= number:
                one = left.popleft()
                yield frame if one == number else shown, wanted[one]
            shown = frame
            good += 1
    if shown is None:
        raise SampleError("no frame of it can be decoded", path=stream.path)
    for one in left:
        yield shown, wanted[one]
    return good


def _good_frames(
    stream: VideoStream, timeline: Timeline, access: int, packets: VideoPackets
) -> Iterator[tuple[int, VideoFrame]]:
    """Yields the frames from one access to the next, numbered, up to the first fault."""
    first = timeline.accesses[access].first
    later = timeline.accesses[access + 1 : access + 2]
    stop = later[0].first if later else len(timeline.times)
    numbers = {timeline.times[number]: number for number in range(first, stop)}
    plan = _Plan.of(timeline, access, list(numbers.values()))
    last = -1
    try:
        for frame in _decoded(stream, plan, packets):
            number = -1 if frame.pts is None else numbers.get(frame.pts, -1)
            if number <= last:
                return
            yield number, frame
            last = number
    except DecodingError:
        return


def all_frames(
    stream: VideoStream, faults: list[SampleError] | None = None
) -> Iterator[VideoFrame]:
    """Decodes a stream from its first good frame to its end, or to where it is damaged.

    Args:
        stream: begun anew, wherever it is.
        faults: gets what went wrong, but for what a recording of a broadcast begins with.

    Yields:
        Its frames in the order of display.
    """
    stream.reopen()  # a decoder that was only restarted still remembers a damaged stream's headers
    packets = stream.packets()
    faults = [] if faults is None else faults
    begun = False
    while True:
        try:
            packet = next(packets, None)
        except DecodingError as error:
            faults.append(error)
            return
        try:
            frames = stream.decode(packet)
        except DecodingError as error:
            if begun or not stream.clock_jumps:
                faults.append(error)
            if begun or packet is None:
                return
            continue  # a recording may begin in the middle of a group of pictures
        begun = begun or bool(frames)
        yield from frames
        if packet is None:
            return
