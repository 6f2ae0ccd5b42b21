"""Writes small videos from a formula, so that every frame tells its own number."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np

BITS = 8


def pattern(number: int, *, width: int = 64, height: int = 48) -> np.ndarray:
    """Returns frame `number` (0..255) as uint8 [H, W, 3].

    The upper half shows the number in binary, black and white columns, highest bit first. The lower
    half is coloured and moves, so that a codec has something to predict.
    """
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    bits = (number >> (BITS - 1 - x * BITS // width)) & 1
    lower = np.stack(
        [(x * 3 + number * 5) % 256, (y * 4 + number * 3) % 256, (x + y + number * 7) % 256], axis=2
    )
    frame = np.where((y < height // 2)[:, :, None], bits[:, :, None] * 255, lower)
    return frame.astype(np.uint8)


def number_of(frame: np.ndarray) -> int:
    """Returns the number that a frame of `pattern` shows; colours first [3, H, W] or last."""
    if frame.shape[0] != 3:
        frame = frame.transpose(2, 0, 1)  # [3, H, W]
    upper = frame.mean(axis=0)[: frame.shape[1] // 2]
    columns = np.array_split(upper, BITS, axis=1)
    return sum(int(c.mean() > 128) << (BITS - 1 - i) for i, c in enumerate(columns))


def write_video(
    path: Path,
    frames: int,
    *,
    codec: str = "libx264",
    size: tuple[int, int] = (64, 48),
    pixels: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    container: Mapping[str, str] | None = None,
    times: Sequence[int] | None = None,
    pixel_aspect: Fraction | None = None,
) -> Path:
    """Writes frames 0, 1, 2, ... of `pattern` and returns the path.

    Args:
        path: its ending names the container.
        frames: how many.
        codec: FFmpeg's name of the encoder.
        size: width and height.
        pixels: pixel format.
        options: of the encoder.
        container: options of the container.
        times: when each frame is shown, in 1/25 s; None for one after another.
        pixel_aspect: width of a pixel over its height; None: the file does not say it.
    """
    width, height = size
    with av.open(str(path), "w", options=dict(container or {})) as file:
        stream = file.add_stream(codec, rate=25, options=dict(options or {}))
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.time_base = Fraction(1, 25)
        stream.codec_context.thread_count = 1
        if pixel_aspect is not None:
            stream.sample_aspect_ratio = pixel_aspect
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(pattern(number, width=width, height=height))
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, 25)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


class Stored(NamedTuple):
    """A packet as a container stores it."""

    data: bytes
    pts: int
    dts: int
    is_key: bool


def stored_packets(path: Path) -> list[Stored]:
    """Returns the packets of a video, in the order of decoding."""
    with av.open(str(path)) as file:
        packets = [p for p in file.demux(video=0) if p.size]
        return [Stored(bytes(p), p.pts, p.dts, p.is_keyframe) for p in packets]


def store(path: Path, packets: Sequence[Stored], like: Path) -> Path:
    """Writes packets into a new file, with the configuration and the units of time of another."""
    with av.open(str(like)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for stored in packets:
            packet = av.Packet(stored.data)
            packet.pts, packet.dts = stored.pts, stored.dts
            packet.time_base = old.streams.video[0].time_base
            packet.is_keyframe, packet.stream = stored.is_key, stream
            new.mux(packet)
    return path


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Rewrites the display matrix of the first track of an MP4 file; entries are -1, 0 or 1."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44  # version, flags, times, number, duration, layer, volume
    one = 1 << 16
    struct.pack_into(">9i", data, at, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def skip_by_edit_list(path: Path, frames: int) -> Path:
    """Moves the start of the first edit of an MP4 file by some frames: they are not shown."""
    data = bytearray(path.read_bytes())
    scale = struct.unpack_from(">i", data, data.index(b"mdhd") + 16)[0]
    at = data.index(b"elst") + 16  # version, flags, number of edits, duration of the first
    start = struct.unpack_from(">i", data, at)[0]
    struct.pack_into(">i", data, at, start + frames * scale // 25)
    path.write_bytes(data)
    return path


def fill_with_zeros(path: Path, start: float, stop: float) -> Path:
    """Overwrites a part of a file, from one share of its bytes to another."""
    data = bytearray(path.read_bytes())
    first, last = int(len(data) * start), int(len(data) * stop)
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    return path


def overwrite_packet(path: Path, number: int, like: Path) -> Path:
    """Writes a video anew; of one packet all but the head, which tells what it is, is zeros."""
    packets = stored_packets(like)
    data = packets[number].data
    packets[number] = packets[number]._replace(data=data[:8].ljust(len(data), b"\0"))
    return store(path, packets, like)
