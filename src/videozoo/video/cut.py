"""Stretches of a video as files of their own, with their sound: copied, or encoded anew.

The packets of a stretch are copied where no frame of it leans on one outside, and none outside
stands between its own: then every frame is the old one, bit for bit. Otherwise its pictures are
encoded anew, from its first frame to its last. Sound is copied in both cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from videozoo.errors import SampleError, VideozooError
from videozoo.video.cut_file import FORMATS, CutFile
from videozoo.video.frame_times import FrameTimes, RunningClock
from videozoo.video.stream import (
    FAULTS,
    VideoStream,
    best_video,
    clock_may_jump,
    open_media,
    reason_of,
)
from videozoo.video.timeline import Timeline, read_timeline

_LATE = 1000  # packets of pictures by which sound may be stored later than its own


@dataclass(frozen=True)
class Stretch:
    """A part of a video that becomes a file.

    Attributes:
        start, end: seconds after the first frame: frames that appear in [start, end).
        target: the file; see `suffix_for`.
    """

    start: float
    end: float
    target: Path


@dataclass(frozen=True)
class Cut:
    """What became of a stretch.

    Attributes:
        stretch: as it was wanted.
        start, end: when its first frame appears and its last one leaves the screen.
        frames: how many.
        copied: its packets were; False: its pictures were encoded anew.
    """

    stretch: Stretch
    start: float
    end: float
    frames: int
    copied: bool


def suffix_for(source: Path) -> str:
    """Returns the ending of files cut out of this one: its own of the MP4 family, else .mkv."""
    suffix = source.suffix.lower()
    return suffix if suffix in FORMATS else ".mkv"


def cut_video(
    source: Path, stretches: Sequence[Stretch], *, keyframes: bool = False
) -> Iterator[Cut]:
    """Cuts stretches out of a video in one pass; each file is there whole or not at all.

    Args:
        source: the video.
        stretches: may overlap.
        keyframes: let stretches begin and end at the key frames around them, so that all can be
            copied.

    Yields:
        What became of each, as it is done.

    Raises:
        SampleError: the video cannot be read, or has no frame in a stretch.
        VideozooError: a file cannot be written.
    """
    with VideoStream(source) as stream:
        timeline, times, _ = read_timeline(stream)
    if times is None:
        raise SampleError("no frame of it can be decoded", path=source)
    plans = [_Plan.of(one, timeline, times, source, keyframes=keyframes) for one in stretches]
    files = {
        plan: CutFile(plan.stretch.target, times.start + plan.start, copied=plan.copied)
        for plan in plans
    }
    try:
        with open_media(source, trying=True) as container:
            yield from _cut(container, source, files, times)
    except OSError as error:
        raise VideozooError(f"{source}: cannot be cut: {reason_of(error)}") from error
    except FAULTS as error:
        raise SampleError(f"cannot be cut: {reason_of(error)}", path=source) from error
    finally:
        for file in files.values():
            file.abandon()


def _cut(
    container: InputContainer, source: Path, files: dict[_Plan, CutFile], times: FrameTimes
) -> Iterator[Cut]:
    """Hands packets, and frames of those that are to be decoded, to the files that want them."""
    video = best_video(container, source)
    audio = next(iter(container.streams.audio), None)
    unit = float(video.time_base or 0)
    clock = RunningClock(unit, 1 / 25, jumps=clock_may_jump(container), start=times.start)
    decoded = [plan for plan in files if not plan.copied]
    number, running, heard = -1, False, 0.0
    for packet in container.demux([s for s in (video, audio) if s is not None]):
        if audio is not None and packet.stream_index == audio.index:
            if packet.pts is not None and packet.size:
                heard = packet.pts * float(packet.time_base or 0) - times.start
                for plan, file in files.items():
                    if plan.start <= heard < plan.finish:
                        file.begin(video, audio).copy_sound(cast("Packet[AudioStream]", packet))
            continue
        picture = cast("Packet[AvVideoStream]", packet)
        number += bool(picture.size)
        for plan, file in files.items():
            if plan.copied and picture.size and plan.begin <= number < plan.end:
                file.begin(video, audio).copy_picture(picture)
        wanted = picture.size > 0 and any(plan.begin <= number < plan.end for plan in decoded)
        frames = _decoded(video, picture) if wanted else []
        if running and not wanted:  # what the decoder holds back
            frames = _decoded(video, None)
            video.codec_context.flush_buffers()
        running = wanted
        for frame in frames:
            told = frame.pts, frame.duration
            shown = clock.place(frame.pts, frame.pts) - times.start
            for plan in decoded:
                if plan.start <= shown + times.rounding < plan.finish:
                    frame.pts, frame.duration = told  # another file's times are set on it
                    file = files[plan].begin(video, audio)
                    if file.frames + 1 == plan.frames:
                        frame.duration = round((plan.finish - shown) / unit)
                    file.show(frame)
        for plan in [p for p in files if number >= p.end and not running]:
            if audio is None or heard >= plan.finish or number > plan.end + _LATE:
                yield _finished(plan, files)
    for plan in list(files):
        yield _finished(plan, files)


def _finished(plan: _Plan, files: dict[_Plan, CutFile]) -> Cut:
    frames = files[plan].frames
    if not frames:
        raise SampleError(f"no frame from {plan.start:g} to {plan.finish:g} s can be decoded")
    files[plan].close()
    del files[plan]
    return Cut(plan.stretch, plan.start, plan.finish, frames, plan.copied)


def _decoded(video: AvVideoStream, packet: Packet[AvVideoStream] | None) -> list[VideoFrame]:
    try:
        return video.codec_context.decode(packet)
    except FAULTS:
        return []  # it is damaged; what follows may not be


@dataclass(frozen=True)
class _Plan:
    """Which frames and packets make a stretch.

    Attributes:
        stretch: as it was wanted.
        frames: how many.
        begin, end: packets to copy or to decode, in their own order.
        copied: see Cut.
        start, finish: seconds after the first frame.
    """

    stretch: Stretch
    frames: int
    begin: int
    end: int
    copied: bool
    start: float
    finish: float

    @classmethod
    def of(
        cls,
        stretch: Stretch,
        timeline: Timeline | None,
        times: FrameTimes,
        source: Path,
        *,
        keyframes: bool,
    ) -> _Plan:
        starts = times.starts - times.start  # [n]
        wanted = np.array([stretch.start, stretch.end]) - times.rounding
        first, stop = np.searchsorted(starts, wanted).tolist()
        if first >= stop:
            what = f"has no frame from {stretch.start:g} to {stretch.end:g} s"
            raise SampleError(what, path=source)
        begin, end, copied = 0, len(starts), False
        if timeline is not None:
            accesses = [access.first for access in timeline.accesses]
            if keyframes:
                first = accesses[timeline.access_for(first)]
                stop = next((a for a in accesses if a >= stop), len(starts))
            begin = timeline.accesses[timeline.access_for(first)].packet
            end = 1 + max(timeline.packets[first:stop])
            copied = first in accesses and end - begin == stop - first
        finish = starts[stop] if stop < len(starts) else times.seconds
        return cls(stretch, stop - first, begin, end, copied, float(starts[first]), float(finish))
