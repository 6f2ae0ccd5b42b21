"""A video that is read once, from its first packet to its last: a file, a pipe or an address."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, cast

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from videozoo.addresses.places import is_file
from videozoo.addresses.remote import is_address
from videozoo.encoders.sound_track import Float, SoundDecoder
from videozoo.errors import SampleError
from videozoo.video.frame_times import USUAL_RATE, RunningClock, rounding_of
from videozoo.video.reader import seeming_times
from videozoo.video.stream import (
    FAULTS,
    best_video,
    clock_may_jump,
    open_media,
    pixel_aspect_of,
    reason_of,
)

PIPE = "-"
# What an address may lead to: servers, and no file of this machine.
_PROTOCOLS = "http,https,tcp,tls,udp,rtp,rtsp,rtmp,srt,hls,crypto,httpproxy"
_PAUSE = 1.0  # seconds without sound, after which none is held back
_STILL = 1000  # frames of one and the same time, after which it is no clock


class Shown(NamedTuple):
    """A decoded frame, and the seconds after the first one at which it appears."""

    start: float
    frame: VideoFrame


class Heard(NamedTuple):
    """Sound: the place of its first sample after the first frame, and float32 [samples]."""

    place: int
    samples: Float


def is_stream(address: str) -> bool:
    """Whether this is the standard input or a server's address, no file: it is read but once."""
    if is_address(address) and not address.startswith("http"):
        return False
    return address == PIPE or re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", address) is not None


class Source:
    """The frames of a video and its sound, decoded while it is iterated over, once.

    Nothing of it is kept. Packets that cannot be decoded are left out and counted; where it breaks
    off, it ends.

    Args:
        address: a file, "-" (the standard input) or an address that FFmpeg opens, such as http://.
        sound: whether sound is wanted.

    Attributes:
        address: as given.
        live: it is no file: what comes is to be scored soon.
        seconds: how long it is, as it says; None: it does not.
        has_sound: sound is wanted, and there is a track of it.
        rounding: seconds by which its times may be rounded.
        gap: usual seconds from one frame to the next.
        pixel_aspect: width of a stored pixel over its height.
        end: seconds after the first frame at which the last one leaves the screen, so far.
        fault: what could not be read so far, in words; None: nothing.

    Raises:
        SampleError: it cannot be opened, or is no video.
    """

    def __init__(self, address: str | os.PathLike[str], *, sound: bool) -> None:
        self.address = os.fspath(address)
        self.live = is_stream(self.address)
        self.end = 0.0
        self.fault: str | None = None
        self._damaged = 0
        try:
            self._container = self._opened()
        except FAULTS as error:
            reason = f"cannot be opened as a video: {reason_of(error)}"
            raise SampleError(reason, path=self.address) from error
        try:
            self._video = best_video(self._container, self.address)
        except BaseException:
            self._container.close()
            raise
        self._video.codec_context.thread_count = 1  # the same frames, and none is held back
        self._audio = next(iter(self._container.streams.audio), None) if sound else None
        if self._audio is not None and self._audio.codec_context is None:
            self._audio, self.fault = None, "no decoder for its sound is built in"
        self.has_sound = self._audio is not None
        self._unit = float(self._video.time_base or 0)
        self.rounding = rounding_of(self._unit)
        self.gap = 1 / float(self._video.average_rate or USUAL_RATE)
        self.seconds = self._stated_seconds()
        self.pixel_aspect = pixel_aspect_of(self._video)

    def _opened(self) -> InputContainer:
        if self.address == PIPE:
            pipe = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115  (what has come, at once)
            return cast("InputContainer", av.open(pipe, metadata_errors="ignore"))
        if self.live:
            options = {"protocol_whitelist": _PROTOCOLS}
            return av.open(self.address, metadata_errors="ignore", options=options)
        if not is_file(self.address):
            raise SampleError("no such file", path=self.address)
        return open_media(Path(self.address), trying=True)

    def _stated_seconds(self) -> float | None:
        if self._video.duration and self._unit:
            return self._video.duration * self._unit
        return self._container.duration / av.time_base if self._container.duration else None

    def shorter(self, window: float) -> float:
        """Returns the length of a window, or of the whole file where that is shorter."""
        if self.live or (self.seconds is not None and self.seconds > 1.1 * window):
            return window
        return min(window, seeming_times(Path(self.address)).seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[Shown | Heard]:
        """Decodes.

        Yields:
            Frames in the order of display, and sound as it comes between them, from the first
            frame on.

        Raises:
            SampleError: there is no frame, or its frames have no times.
        """
        jumps = clock_may_jump(self._container)
        clock = RunningClock(self._unit, self.gap, jumps=jumps)
        origin: float | None = None
        waiting: list[Packet[AudioStream]] = []  # sound before the first frame
        sound: SoundDecoder | None = None
        last, still, heard_at = 0.0, 0, 0.0
        for packet in self._packets():
            if self._audio is not None and packet.stream_index == self._audio.index:
                waiting.append(cast("Packet[AudioStream]", packet))
            else:
                for frame in self._decoded(cast("Packet[AvVideoStream]", packet)):
                    told = clock.place(frame.pts, frame.pts)
                    origin = told if origin is None else origin
                    start = max(last, told - origin)
                    still = still + 1 if start == last else 0
                    if still > _STILL:
                        raise SampleError("its frames have no times", path=self.address)
                    self.gap = start - last or self.gap
                    last = start
                    self.end = start + ((frame.duration or 0) * self._unit or self.gap)
                    yield Shown(start, frame)
            if origin is None or self._audio is None:
                continue
            sound = sound or SoundDecoder(self._audio, origin, jumps=jumps)
            heard_at = last if waiting else heard_at
            for heard in waiting:
                yield from map(Heard._make, sound.push(heard))
            waiting.clear()
            if last - heard_at > _PAUSE:
                yield from map(Heard._make, sound.finish())
            self.fault = self.fault or sound.fault
        if origin is None:
            reason = self.fault or "no frame of it can be decoded"
            raise SampleError(reason, path=self.address)
        if sound is not None:
            yield from map(Heard._make, sound.finish())

    def _packets(self) -> Iterator[Packet[AvVideoStream] | Packet[AudioStream]]:
        streams = [stream for stream in (self._video, self._audio) if stream is not None]
        try:
            yield from self._container.demux(streams)  # type: ignore[misc]
        except FAULTS as error:
            self.fault = f"cannot be read to its end: {reason_of(error)}"

    def _decoded(self, packet: Packet[AvVideoStream]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except FAULTS as error:
            self._damaged += 1
            what = f"{self._damaged} packets" if self._damaged > 1 else "a packet"
            self.fault = f"{what} of it cannot be decoded: {reason_of(error)}"
            return []
