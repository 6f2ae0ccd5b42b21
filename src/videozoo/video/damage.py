"""What is known to be missing of a video file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO, NamedTuple

from videozoo.video.stream import AVI, MATROSKA, MOV, VideoStream

_SEGMENT = b"\x18\x53\x80\x67"  # the element that holds all of a Matroska file (RFC 9559)
_HEADER = b"\x1a\x45\xdf\xa3"
_DURATION = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


@dataclass(frozen=True)
class Damage:
    """Frames of a video that are missing.

    Attributes:
        decoded: how many frames decode.
        promised: how many the file says that it has.
        cut_off: the file ends too early.
    """

    decoded: int
    promised: int
    cut_off: bool

    def __str__(self) -> str:
        why = "the file is cut off" if self.cut_off else "the others are damaged"
        return f"{self.decoded} of {self.promised} frames decode, {why}"


class Promise(NamedTuple):
    """How many frames a file says that it has.

    Attributes:
        frames: those included that are not there.
        exact: that many decode if nothing is damaged.
        cut_off: the file ends too early.
    """

    frames: int
    exact: bool
    cut_off: bool

    def broken(self, decoded: int, *, faults: bool) -> Damage | None:
        """Returns what is known to be missing; None: nothing.

        Args:
            decoded: how many frames decode.
            faults: decoding met some.
        """
        if decoded >= self.frames or not (self.exact or faults):
            return None
        return Damage(decoded, self.frames, self.cut_off)


def promise_of(stream: VideoStream, given: int, *, exact: bool) -> Promise:
    """Finds out how many frames a file says that it has.

    That some are not there is told by the tables of MP4 and AVI files, and by the sizes with which
    Matroska and AVI files begin; what a file says of rates and durations alone is not trusted.

    Args:
        stream: all packets of which have been read.
        given: frames that these packets seem to give.
        exact: they give as many if nothing is damaged.
    """
    frames = given
    cut_off = stream.container in (MATROSKA, AVI) and is_cut_off(stream.path)
    if stream.container in (MOV, AVI):
        frames += max(0, stream.indexed - stream.count)
    if cut_off:
        rate = stream.fps or 0
        told = stream.listed if stream.container == AVI else round(_seconds(stream) * rate)
        frames = max(frames, told)
    lacking = frames > given
    return Promise(frames, exact or lacking, lacking and (cut_off or stream.container == MOV))


def _seconds(stream: VideoStream) -> float:
    told = _DURATION.fullmatch(stream.tags.get("DURATION", ""))
    if told is None:
        return stream.duration or 0.0
    hours, minutes, seconds = map(float, told.groups())
    return 3600 * hours + 60 * minutes + seconds


def is_cut_off(path: Path) -> bool:
    """Whether a Matroska or AVI file is shorter than its first bytes say."""
    try:
        with path.open("rb") as file:
            end = _said_end(file)
            return end is not None and file.seek(0, SEEK_END) < end
    except OSError:
        return False


def _said_end(file: BinaryIO) -> int | None:
    """Returns where a file says that it ends; None: it does not say."""
    start = file.read(12)
    if start[:4] == b"RIFF":
        return 8 + int.from_bytes(start[4:8], "little")
    if start[:4] != _HEADER:
        return None
    file.seek(4)
    size = _element_size(file)
    if size is None:
        return None
    file.seek(size, 1)
    if file.read(4) != _SEGMENT:
        return None
    size = _element_size(file)
    return None if size is None else file.tell() + size


def _element_size(file: BinaryIO) -> int | None:
    """Reads a size as EBML writes it (RFC 8794, section 4); None: unknown, as of a live stream."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    more = 8 - first[0].bit_length()  # bytes that follow
    data = bytes([first[0] & (0x7F >> more)]) + file.read(more)
    size = int.from_bytes(data, "big")
    return None if size == (1 << 7 * (more + 1)) - 1 else size
