"""A file that is cut out of another one, while it is written."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import Self, TypeAlias

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as AvVideoStream

from videozoo.errors import SampleError
from videozoo.files import replacing
from videozoo.video.rgb import upright_size
from videozoo.video.stream import FAULTS
from videozoo.video.write import Converter, Encoding, add_stream, write_picture

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}  # others become Matroska
_QUALITY = Encoding(short_side=1 << 14, gop=250)  # no picture is made smaller

AnyPacket: TypeAlias = "Packet[AvVideoStream] | Packet[AudioStream]"


class CutFile:
    """A file that is there whole or not at all.

    Args:
        target: its path; its ending says the format.
        origin: seconds of the old file's clock that become 0.
        copied: pictures come as packets; else as frames, to be encoded.

    Attributes:
        frames: how many pictures have come.
    """

    def __init__(self, target: Path, origin: float, *, copied: bool) -> None:
        self.frames = 0
        self._target, self._origin, self._copied = target, origin, copied
        self._done = ExitStack()
        self._file: OutputContainer | None = None
        self._unit = Fraction(1, 25)
        self._converter: Converter | None = None
        self._waiting: list[Packet[AudioStream]] = []  # sound before the first picture
        self._audio: AudioStream | None = None  # of the old file
        self._sound: AudioStream | None = None
        self._video: AvVideoStream | None = None

    def begin(self, video: AvVideoStream, audio: AudioStream | None) -> Self:
        """Opens the file where it is not open yet; the streams are the old file's."""
        if self._file is None:
            path = self._done.enter_context(replacing(self._target))
            form = FORMATS.get(self._target.suffix, "matroska")
            opened = av.open(f"file:{os.fspath(path)}", "w", format=form)
            self._file = self._done.enter_context(opened)
            self._unit = video.time_base or self._unit
            self._audio = audio
            if self._copied:
                self._add(self._file, self._file.add_stream_from_template(video))
        return self

    def _add(self, file: OutputContainer, video: AvVideoStream) -> None:
        """Takes the stream of pictures, and adds that of sound."""
        self._video = video
        if self._audio is not None:
            self._sound = file.add_stream_from_template(self._audio)
        for packet in self._waiting:
            self.copy_sound(packet)
        self._waiting.clear()

    def copy_picture(self, packet: Packet[AvVideoStream]) -> None:
        """Copies a packet of pictures."""
        assert self._video is not None
        self._mux(packet, self._video)
        self.frames += 1

    def copy_sound(self, packet: Packet[AudioStream]) -> None:
        """Copies a packet of sound."""
        if self._sound is None:
            self._waiting.append(packet)
        else:
            self._mux(packet, self._sound)

    def _mux(self, packet: AnyPacket, stream: AvVideoStream | AudioStream) -> None:
        assert self._file is not None
        copy = av.Packet(bytes(packet))
        base = packet.time_base or self._unit
        shift = round(self._origin / float(base))
        copy.pts = None if packet.pts is None else packet.pts - shift
        copy.dts = None if packet.dts is None else packet.dts - shift
        copy.duration, copy.time_base, copy.is_keyframe = packet.duration, base, packet.is_keyframe
        copy.stream = stream
        self._file.mux(copy)

    def show(self, frame: VideoFrame) -> None:
        """Encodes a frame."""
        assert self._file is not None
        if self._converter is None:
            self._converter = Converter(frame, self._unit, _QUALITY.size(*upright_size(frame)))
            made = add_stream(self._file, self._converter, _QUALITY)
            made.codec_context.thread_count = 0
            self._add(self._file, made)
        assert self._video is not None
        write_picture(self._file, self._video, self._converter.convert(frame))
        self.frames += 1

    def close(self) -> None:
        """Finishes the file, which has pictures."""
        if self._file is not None and self._video is not None and self._converter is not None:
            write_picture(self._file, self._video, None)
        self._done.close()

    def abandon(self) -> None:
        """Leaves nothing of a file that is not finished."""
        with suppress(SampleError, *FAULTS):
            self._done.__exit__(SampleError, SampleError("not finished"), None)
