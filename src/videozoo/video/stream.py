"""One video stream of one file: its packets and its decoder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from videozoo.addresses.copies import local
from videozoo.errors import SampleError

# Compressed packets up to this many bytes stay in memory between finding out which frames there are
# and decoding some of them; a longer file is read a second time.
_KEPT_BYTES = 32 * 2**20

# Containers that describe their streams and store the time at which each frame is shown. Others
# (AVI, transport streams) only guess times, and their guesses look sane.
MOV, MATROSKA, AVI = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"
TIMED_CONTAINERS = (MOV, MATROSKA)

_OBLONG = 16  # pixels of other proportions than this are a fault of the file

FAULTS = (av.FFmpegError, OSError, ValueError, LookupError, MemoryError)


class DecodingError(SampleError):
    """The file cannot be read (any further)."""


def open_media(path: Path, *, trying: bool) -> InputContainer:
    """Opens a media file, and no other address that its name or its content may hold.

    Args:
        path: the file.
        trying: let FFmpeg decode the first packets to know the streams better. It takes longer
            than opening; containers that describe their streams can do without.

    Raises:
        av.FFmpegError, OSError, ValueError: it cannot be opened.
        VideozooError: it lies at an address, and cannot be had.
    """
    options = {"protocol_whitelist": "file"}  # play lists send the reader nowhere
    if not trying:
        options["codec_whitelist"] = "none"
    # "file:" keeps names with a colon from being taken for the address of a server
    with local(path) as file:
        return av.open(f"file:{os.fspath(file)}", metadata_errors="ignore", options=options)


def pixel_aspect_of(video: AvVideoStream) -> Fraction:
    """Returns a stored pixel's width over its height: what the file says, else the codec's headers.

    1 where neither says it, or what they say makes no sense.
    """
    for told in (video.sample_aspect_ratio, video.codec_context.sample_aspect_ratio):
        if told and 1 / _OBLONG <= told <= _OBLONG:
            return Fraction(told)
    return Fraction(1)


def clock_may_jump(container: InputContainer) -> bool:
    """Whether times of the file's format may begin anew in the middle of a file."""
    return bool(container.format.flags & cast("int", Flags.ts_discont.value))


def best_video(container: InputContainer, path: Path | str) -> AvVideoStream:
    """Returns the video stream of a container that is meant: its best one, no cover picture.

    Raises:
        DecodingError: there is none, or no decoder for it is built in.
    """
    pictures = [s for s in container.streams.video if s.disposition & Disposition.attached_pic]
    videos = [s for s in container.streams.video if s not in pictures]
    if not videos:
        raise DecodingError("has no video stream", path=path)
    best = container.streams.best("video")
    stream = next((s for s in videos if best is not None and s.index == best.index), videos[0])
    if stream.codec_context is None:
        raise DecodingError("no decoder for its video is built in", path=path)
    return stream


def reason_of(error: BaseException) -> str:
    """Returns what FFmpeg or the system says of a fault."""
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return "invalid data" if told.startswith("Error number") else told


class VideoStream:
    """The best video stream of a file.

    The decoder runs in this thread alone: the processes that read samples are the parallelism.

    Args:
        path: the file.

    Attributes:
        codec: FFmpeg's name of the codec, such as "h264".
        container: FFmpeg's name of the file format.
        count: packets that `packets` has given since it was asked last.

    Raises:
        DecodingError: there is no such file, it is no video, or no decoder for it is built in.
        VideozooError: it lies at an address, and cannot be had.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._kept: list[Packet[AvVideoStream]] | None = None
        with local(path) as file:
            if not os.path.isfile(file):
                raise DecodingError("no such file", path=path)
            if not file.stat().st_size:
                raise DecodingError("the file is empty", path=path)
        self._open(trying=False)
        several = len(self._container.streams.video) > 1
        if several or self.container not in TIMED_CONTAINERS:
            self.reopen()

    def _open(self, *, trying: bool) -> None:
        """Opens the file; `trying`: see `open_media`."""
        with self.faults("cannot be opened as a video"):
            self._container = open_media(self.path, trying=trying)
        try:
            self._stream = best_video(self._container, self.path)
            with self.faults("no decoder for it is built in"):
                self._stream.codec_context.thread_count = 1
                self._stream.codec_context.thread_type = "NONE"
        except BaseException:
            self._container.close()
            raise
        self.codec: str = self._stream.codec_context.codec.canonical_name
        self.container: str = self._container.format.name
        self._fresh = True

    def reopen(self) -> None:
        """Forgets everything: packets come from the file again, to a new decoder.

        Raises:
            DecodingError: the file has changed and can no longer be opened.
        """
        self._container.close()
        self._kept = None
        self._open(trying=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._container.close()

    @contextmanager
    def faults(self, what: str) -> Iterator[None]:
        """Names the file, and what could not be done with it, in errors of the block."""
        try:
            yield
        except FAULTS as error:
            raise self._fault(what, error) from error

    def _fault(self, what: str, error: BaseException) -> DecodingError:
        return DecodingError(f"{what}: {reason_of(error)}", path=self.path)

    @property
    def extradata(self) -> bytes | None:
        """The codec's configuration record."""
        return self._stream.codec_context.extradata

    @property
    def reorders(self) -> bool:
        """Whether the decoder expects frames to be stored in another order than they are shown.

        Raises:
            DecodingError: the decoder cannot be opened.
        """
        with self.faults("cannot be decoded"):
            self._stream.codec_context.open(strict=False)
        return self._stream.codec_context.has_b_frames

    @property
    def time_base(self) -> Fraction | None:
        """Seconds in which frames count their times, where the file says so."""
        return self._stream.time_base

    @property
    def fps(self) -> float | None:
        """Frames a second on average, as the file says."""
        return float(self._stream.average_rate) if self._stream.average_rate else None

    @property
    def listed(self) -> int:
        """Frames that the file's header counts; 0: it does not."""
        return self._stream.frames

    @property
    def indexed(self) -> int:
        """Packets that the file's table lists, as far as it has been read."""
        return len(self._stream.index_entries)

    @property
    def tags(self) -> dict[str, str]:
        """What the file notes of the stream, by name."""
        return self._stream.metadata

    @property
    def pixel_aspect(self) -> Fraction:
        """See `pixel_aspect_of`."""
        return pixel_aspect_of(self._stream)

    @property
    def clock_jumps(self) -> bool:
        """See `clock_may_jump`."""
        return clock_may_jump(self._container)

    @property
    def has_sound(self) -> bool:
        """Whether there is a sound track."""
        return bool(self._container.streams.audio)

    @property
    def duration(self) -> float | None:
        """Seconds, as the file says."""
        return self._container.duration / av.time_base if self._container.duration else None

    def packets(self) -> Iterator[Packet[AvVideoStream]]:
        """Yields all packets that hold something, from the first on, in the order of decoding.

        Raises:
            DecodingError: the file breaks off.
        """
        if self._kept is not None:
            yield from self._kept
            return
        if not self._fresh:
            self.reopen()
        self._fresh = False
        self.count = 0
        kept: list[Packet[AvVideoStream]] | None = []
        kept_bytes = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except FAULTS as error:
                raise self._fault("cannot be read to its end", error) from error
            if packet is None:
                break
            size = packet.size
            if not size:
                continue  # the one that ends the stream; to a decoder it would mean just that
            kept_bytes += size
            if kept_bytes > _KEPT_BYTES:
                kept = None
            if kept is not None:
                kept.append(packet)
            self.count += 1
            yield packet
        self._kept = kept

    def decode(self, packet: Packet[AvVideoStream] | None) -> list[VideoFrame]:
        """Decodes one packet and returns the frames that are ready, in the order of display.

        Args:
            packet: None says that there are no more: what is still held back comes.

        Raises:
            DecodingError: the packet is damaged.
        """
        try:
            return self._stream.codec_context.decode(packet)
        except FAULTS as error:
            raise self._fault("cannot be decoded", error) from error

    def restart(self) -> None:
        """Makes the decoder forget the frames it has seen; what comes next must be an access."""
        self._stream.codec_context.flush_buffers()
