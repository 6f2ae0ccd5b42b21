"""The sound of a video as mel-scaled spectra: the audio modality of prepared features."""

from __future__ import annotations

from math import log10
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from videozoo.errors import SampleError

Float = npt.NDArray[np.float32]

RATE = 16_000  # samples a second of everything here


def read_sound(path: Path) -> Float:
    """Reads the first sound track of a media file.

    Args:
        path: any file that FFmpeg opens.

    Returns:
        float32 [samples], mono, RATE samples a second, within about [-1, 1]. A file without sound
        gives silence of the file's duration.

    Raises:
        SampleError: the file cannot be opened or its sound cannot be decoded.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                microseconds = container.duration or 0
                return np.zeros(int(microseconds * RATE / 1_000_000), dtype=np.float32)
            resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
            pieces = [
                piece.to_ndarray()[0]  # [samples]
                for frame in [*container.decode(container.streams.audio[0]), None]
                for piece in resampler.resample(frame)
            ]
    except (av.error.FFmpegError, OSError) as error:
        raise SampleError(f"its sound cannot be read: {error}", path=path) from error
    return np.concatenate([np.zeros(0), *pieces]).astype(np.float32)


def log_mel(sound: Float, *, rate: float = 5.0, bands: int = 64) -> Float:
    """Describes a sound by the logarithm of its energy in mel-spaced bands.

    Each value is log(energy + 1e-6), where the energy of a band is a triangle-weighted sum over the
    power spectrum of Hann windows of 32 ms at every 16 ms, averaged over the 1 / rate seconds that
    the row stands for. Windows lie evenly within a row, so that a reversed sound gives the same
    rows in reversed order.

    Source: S. Davis, P. Mermelstein: "Comparison of Parametric Representations for Monosyllabic
    Word Recognition", IEEE Trans. ASSP 28 (4), 1980, section II (triangular mel bands).

    Args:
        sound: float32 [samples] at RATE samples a second.
        rate: rows a second.
        bands: mel bands from 60 Hz to RATE / 2.

    Returns:
        float32 [n, bands]: n = samples / RATE * rate, rounded, at least 1; the sound is cut or
        padded with silence to fit.
    """
    width, hop = 512, 256
    row = round(RATE / rate)
    if row < width:
        raise ValueError(f"rate must be at most {RATE / width} a second: {rate}")
    n = max(1, round(len(sound) / row))
    padded = np.zeros(n * row, dtype=np.float32)
    padded[: len(sound)] = sound[: n * row]
    rows = padded.reshape(n, row)  # [n, samples a row]
    steps = (row - width) // hop + 1
    first = (row - width - (steps - 1) * hop) // 2
    places = first + hop * np.arange(steps)[:, None] + np.arange(width)  # [steps, width]
    window = np.sin(np.pi * (np.arange(width) + 0.5) / width) ** 2  # [width], Hann
    spectra = np.abs(np.fft.rfft(rows[:, places] * window)) ** 2  # [n, steps, width / 2 + 1]
    power = spectra.mean(axis=1) / width  # [n, width / 2 + 1]
    energy: Float = power @ mel_filters(bands=bands, width=width).T  # [n, bands]
    logs: Float = np.log(energy + 1e-6).astype(np.float32)
    return logs


def mel_filters(*, bands: int, width: int, lowest: float = 60.0) -> Float:
    """Returns triangular filters, evenly spaced on the mel scale m = 2595 log10(1 + f / 700).

    Source: D. O'Shaughnessy: "Speech Communication: Human and Machine", Addison-Wesley, 1987, for
    the formula. Where bands lie closer than the spectrum's lines, a triangle is at least one line
    wide on either side, so that no band is empty.

    Args:
        bands: how many.
        width: samples of the windows whose spectra are filtered.
        lowest: hertz where the first triangle begins; the last ends at RATE / 2.

    Returns:
        float32 [bands, width / 2 + 1]; each filter's largest possible weight is 1.
    """
    ends = [2595 * log10(1 + hertz / 700) for hertz in (lowest, RATE / 2)]
    corners = 700 * (
        10 ** (np.linspace(ends[0], ends[1], bands + 2) / 2595) - 1
    )  # [bands + 2], hertz
    line = RATE / width
    hertz = line * np.arange(width // 2 + 1)[None, :]  # [1, lines]
    centre = corners[1:-1, None]  # [bands, 1]
    below = np.maximum(centre - corners[:-2, None], line)
    above = np.maximum(corners[2:, None] - centre, line)
    rising, falling = 1 - (centre - hertz) / below, 1 - (hertz - centre) / above  # [bands, lines]
    filters: Float = np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)
    return filters
