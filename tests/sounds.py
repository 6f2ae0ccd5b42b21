"""Writes small media files with sound, every sample of which is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

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
    tags: Mapping[str, str] | None = None,
) -> Path:
    """Writes a media file and returns its path.

    Args:
        path: its ending names the container.
        parts: where each piece of the sound begins, in seconds, and float32 [samples].
        codec: FFmpeg's name of the sound's encoder.
        rate: samples a second.
        layout: of the channels, which all hold the same.
        pictures: when frames 0, 1, 2, ... of `pattern` are shown, in 1/10 s; none: sound alone.
        tags: metadata.
    """
    with av.open(str(path), "w") as file:
        file.metadata.update(tags or {})
        if pictures:
            video = file.add_stream("libx264", rate=10)
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
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
        place = [(p.pos, p.size) for p in file.demux(audio=0) if p.size][packet]
    data = bytearray(path.read_bytes())
    data[place[0] : place[0] + place[1]] = b"\xff" * place[1]
    path.write_bytes(data)
    return path
