"""Writes small media files with sound, every sample of which is known."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer

from videos import pattern

RATE = 16_000


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Returns float32 [samples]."""
    time = np.arange(int(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def write_sound(
    path: Path,
    *parts: tuple[float, np.ndarray],
    codec: str = "pcm_s16le",
    rate: int = RATE,
    layout: str = "mono",
    pictures: Sequence[int] = (),
    picture_codec: str = "libx264",
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Writes a media file and returns its path.

    Args:
        path: its ending names the container.
        parts: where each piece of the sound begins, in seconds, and float32 [samples].
        codec: FFmpeg's name of the sound's encoder.
        rate: samples a second.
        layout: of the channels, which all hold the same.
        picture_codec: FFmpeg's name of their encoder.
        pictures: when frames 0, 1, 2, ... of `pattern` are shown, in 1/10 s; none: sound alone.
        tags: metadata.
    """
    with av.open(str(path), "w") as file:
        file.metadata.update(tags or {})
        if pictures:
            video = file.add_stream(picture_codec, rate=10)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            if picture_codec == "libvpx":
                video.options = {"deadline": "realtime", "cpu-used": "8"}
        sound = file.add_stream(codec, rate=rate, layout=layout)
        for number, time in enumerate(pictures):
            picture = av.VideoFrame.from_ndarray(pattern(number))
            picture.pts, picture.time_base = time, Fraction(1, 10)
            file.mux(video.encode(picture))
        if pictures:
            file.mux(video.encode(None))
        for start, samples in parts:
            for at in range(0, len(samples), 1024):
                frame = _audio_frame(samples[at : at + 1024], rate, layout)
                frame.pts = round(start * rate) + at
                file.mux(sound.encode(frame))
        file.mux(sound.encode(None))
    return path


def _audio_frame(samples: np.ndarray, rate: int, layout: str) -> av.AudioFrame:
    channels = 1 if layout == "mono" else 2
    values = np.repeat(np.rint(samples * 32767).astype(np.int16), channels)
    frame = av.AudioFrame.from_ndarray(values[None], format="s16", layout=layout)
    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
    return frame


def damage_sound(path: Path, packet: int) -> Path:
    """Overwrites a packet of a file's sound."""
    with av.open(str(path)) as file:
        chosen = [p for p in file.demux(audio=0) if p.size][packet]
    data = bytearray(path.read_bytes())
    place = data.index(bytes(chosen), chosen.pos or 0)
    data[place : place + chosen.size] = b"\xff" * chosen.size
    path.write_bytes(data)
    return path


def begin_late(path: Path, seconds: int) -> Path:
    """Lets the sound of an AVI file begin so much later."""
    data = bytearray(path.read_bytes())
    start = data.index(b"auds") + 20  # units a second come before it: scale, rate
    scale, rate = struct.unpack_from("<2I", data, start)
    struct.pack_into("<I", data, start + 8, seconds * rate // scale)
    path.write_bytes(data)
    return path


def write_long(path: Path, seconds: int) -> Path:
    """Writes an MP4 file of a frame a second with a tone; quick, since its packets recur."""
    block = 64  # seconds; a packet of sound is 1024 samples
    rate, samples = 8000, 64 * 8000
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=1)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.options = {"preset": "ultrafast", "bf": "0"}
        sound = file.add_stream("aac", rate=rate, layout="mono")
        pictures, tones = [], []
        for number in range(block):
            picture = av.VideoFrame.from_ndarray(pattern(number))
            picture.pts, picture.time_base = number, Fraction(1)
            pictures += [bytes(p) for p in video.encode(picture)]
        pictures += [bytes(p) for p in video.encode(None)]
        frame = _audio_frame(tone(440, block, rate), rate, "mono")
        frame.pts = 0
        tones += [bytes(p) for p in sound.encode(frame)]
        whole = samples // 1024
        for number in range(seconds):
            _mux(file, video, pictures[number % block], number, Fraction(1), number % block == 0)
            for at in range(number * whole // block, (number + 1) * whole // block):
                _mux(file, sound, tones[at % len(tones)], at * 1024, Fraction(1, rate), True)
    return path


def _mux(
    file: OutputContainer, stream: Any, data: bytes, time: int, unit: Fraction, is_key: bool
) -> None:
    packet = av.Packet(data)
    packet.pts = packet.dts = time
    packet.time_base, packet.stream, packet.is_keyframe = unit, stream, is_key
    file.mux(packet)
