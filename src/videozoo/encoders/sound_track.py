"""The sound of a media file, piece by piece, each in its place on the file's clock."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard

from videozoo.video.frame_times import JUMP_BACK, JUMP_FORTH
from videozoo.video.stream import FAULTS, TIMED_CONTAINERS, clock_may_jump, open_media, reason_of

Float = npt.NDArray[np.float32]
Piece = tuple[int, Float]

RATE = 16_000  # samples a second of everything here

# Seconds by which a frame may miss the end of the one before it without being moved: less than
# one frame of sound, so that none is lost unseen, and more than rounded times differ.
_SLACK = 0.02
_AT_ONCE = 32  # frames of sound in a piece: about a second


class SoundDecoder:
    """Decodes the packets of a sound track, each piece in its place on the file's clock.

    Packets that cannot be decoded are left out: what follows them stays in its place.

    Args:
        stream: with a decoder.
        origin: seconds of the file's clock from which samples are counted.
        jumps: the file's clock may begin anew in the middle.

    Attributes:
        fault: what could not be decoded so far, in words; None: nothing.
    """

    def __init__(self, stream: AudioStream, origin: float, *, jumps: bool) -> None:
        self.fault: str | None = None
        self._origin = origin
        self._damaged = 0
        self._clock = _SoundClock(unit=float(stream.time_base or 0), jumps=jumps, start=origin)
        self._resampling: _Resampling | None = None

    def push(self, packet: Packet[AudioStream]) -> Iterator[Piece]:
        """Decodes a packet; yields what has come so far, see SoundTrack."""
        for frame in self._frames(packet):
            start = self._clock.place(frame)
            if self._resampling is None or self._clock.broke or not self._resampling.takes(frame):
                yield from self.finish()
                place = floor((start - self._origin) * RATE + 0.5)
                self._resampling = _Resampling(frame, place)
            yield from self._resampled(self._resampling, frame)

    def finish(self) -> Iterator[Piece]:
        """Yields what is held back; no packet follows, or one behind a gap."""
        held, self._resampling = self._resampling, None
        if held is not None:
            yield from self._resampled(held, None)

    def _frames(self, packet: Packet[AudioStream]) -> list[AudioFrame]:
        try:
            return packet.decode()
        except FAULTS as error:
            self._note(error)
            return []

    def _resampled(self, resampling: _Resampling, frame: AudioFrame | None) -> Iterator[Piece]:
        try:
            piece = resampling.push(frame)
        except FAULTS as error:
            self._note(error)
            return
        if piece is not None:
            yield piece

    def _note(self, error: BaseException) -> None:
        self._damaged += 1
        what = f"{self._damaged} packets" if self._damaged > 1 else "a packet"
        self.fault = f"{what} of its sound cannot be decoded: {reason_of(error)}"


class SoundTrack:
    """The first sound track of a file, decoded while it is iterated over.

    Nothing of it is kept. Packets that cannot be decoded are left out: what follows them stays in
    its place.

    Args:
        path: any file that FFmpeg opens.
        origin: seconds of the file's clock from which samples are counted.

    Attributes:
        fault: what could not be read so far, in words; None: nothing.
    """

    def __init__(self, path: Path, origin: float = 0.0) -> None:
        self.path = path
        self.origin = origin
        self.fault: str | None = None

    def __iter__(self) -> Iterator[Piece]:
        """Decodes.

        Yields:
            Place of the first sample after `origin`, which may be negative, and float32
            [samples], mono, RATE samples a second, within about [-1, 1]. Places rise but for
            sound that overlaps.
        """
        self.fault = None
        try:
            with _opened(self.path) as container:
                stream = next(iter(container.streams.audio), None)
                if stream is not None:
                    yield from self._pieces(container, stream)
        except FAULTS as error:
            self.fault = f"its sound cannot be read to its end: {reason_of(error)}"

    def _pieces(self, container: InputContainer, stream: AudioStream) -> Iterator[Piece]:
        if stream.codec_context is None:
            self.fault = "no decoder for its sound is built in"
            return
        stream.codec_context.thread_count = 1  # files are read side by side
        for other in container.streams:
            if other.index != stream.index:
                other.discard = Discard.all
        decoder = SoundDecoder(stream, self.origin, jumps=clock_may_jump(container))
        for packet in container.demux(stream):
            for piece in decoder.push(packet):
                self.fault = decoder.fault
                yield piece
            self.fault = decoder.fault
        yield from decoder.finish()
        self.fault = decoder.fault


class _SoundClock:
    """Tells where each frame of a track lies on the file's clock.

    Args:
        unit: seconds in which frames count their times; 0: not known.
        jumps: the clock may begin anew in the middle of the file.
        start: seconds, of a first frame that does not tell its time.

    Attributes:
        broke: the last frame did not follow the one before it: there is a gap or an overlap.
    """

    def __init__(self, *, unit: float, jumps: bool, start: float) -> None:
        self.broke = False
        self._unit = unit
        self._jumps = jumps
        self._shift = 0.0
        self._end = start  # of what is placed
        self._begun = False

    def place(self, frame: AudioFrame) -> float:
        """Returns the seconds at which the next frame begins."""
        start = self._end
        self.broke = not self._begun
        if frame.pts is not None and self._unit:
            told = frame.pts * self._unit + self._shift
            off = told - self._end
            if self._begun and self._jumps and not -JUMP_BACK <= off <= JUMP_FORTH:
                self._shift -= off
            elif not self._begun or abs(off) > _SLACK:
                start, self.broke = told, True
        self._begun = True
        self._end = start + frame.samples / (frame.sample_rate or RATE)
        return start


class _Resampling:
    """Makes frames of one format, one after another without a gap, mono at RATE.

    Args:
        first: a frame of the format.
        place: of its first sample.
    """

    def __init__(self, first: AudioFrame, place: int) -> None:
        self._format = _format_of(first)
        self._place = place
        self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
        self._held: list[Float] = []
        self._failed = False

    def takes(self, frame: AudioFrame) -> bool:
        """Whether the frame is of the same format, and none before it was lost."""
        return not self._failed and _format_of(frame) == self._format

    def push(self, frame: AudioFrame | None) -> Piece | None:
        """Resamples a frame, None after the last one; returns what has come when it is enough."""
        self._failed = True
        resampled_frames = self._resampler.resample(frame)
        self._failed = False
        for resampled in resampled_frames:
            plane = np.frombuffer(memoryview(resampled.planes[0]), np.float32)
            self._held.append(plane[: resampled.samples].copy())  # [samples]
        if not self._held or (frame is not None and len(self._held) < _AT_ONCE):
            return None
        samples: Float = np.concatenate(self._held)
        place = self._place
        self._held = []
        self._place += len(samples)
        return place, samples


def _format_of(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _opened(path: Path) -> InputContainer:
    container = open_media(path, trying=False)
    if container.format.name in TIMED_CONTAINERS:
        return container
    container.close()
    return open_media(path, trying=True)
