"""The sound of a video as mel-scaled spectra: the audio modality of prepared features."""

from __future__ import annotations

from functools import cache
from math import log10
from pathlib import Path

import numpy as np

from videozoo.encoders.row_clock import RowClock
from videozoo.encoders.sound_track import RATE, Float, SoundTrack
from videozoo.video.frame_times import Float64Array

BANDS = 64  # of the spectra that describe videos
_WIDTH, _HOP = 512, 256  # samples of a window, and from one to the next
_HANN = np.sin(np.pi * (np.arange(_WIDTH) + 0.5) / _WIDTH) ** 2  # [_WIDTH]
_AT_ONCE = 1024  # windows


def sound_rows(path: Path, clock: RowClock, *, bands: int = BANDS) -> tuple[Float, str | None]:
    """Describes what is heard of a media file while each row lasts, as `log_mel` does.

    No more than one row's sound is in memory, and what follows the last row is not decoded.

    Args:
        path: any file that FFmpeg opens; one without sound is silent.
        clock: the rows.
        bands: mel bands from 60 Hz to RATE / 2.

    Returns:
        float32 [clock.count, bands]; and what of the sound could not be read and is silence, None:
        nothing.

    Raises:
        ValueError: a row is shorter than a window.
    """
    rows = SoundRows(clock.span, bands, clock.count)
    track = SoundTrack(path, clock.start)
    for place, samples in track:
        rows.hear(place, samples)
        if rows.done:
            break
    return rows.finished(), track.fault


def log_mel(sound: Float, *, rate: float = 5.0, bands: int = BANDS) -> Float:
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

    Raises:
        ValueError: a row is shorter than a window.
    """
    count = max(1, round(len(sound) / RATE * rate))
    rows = SoundRows(1 / rate, bands, count)
    rows.hear(0, sound)
    return rows.finished()


class SoundRows:
    """Rows of sound that comes in pieces.

    Args:
        span: seconds of a row.
        bands: see `log_mel`.
        count: rows that are wanted; None: as many as come.

    Attributes:
        rows: float32 [bands] each, those that are complete; they may be taken out.

    Raises:
        ValueError: a row is shorter than a window.
    """

    def __init__(self, span: float, bands: int = BANDS, count: int | None = None) -> None:
        self.rows: list[Float] = []
        self._step = span * RATE  # samples from one row to the next
        self._row = np.zeros(round(self._step), np.float32)  # what is heard of the row so far
        if len(self._row) < _WIDTH:
            raise ValueError(f"rate must be at most {RATE / _WIDTH} a second: {1 / span:g}")
        self._windows = _windows(self._row)
        self._heard = False  # anything of it
        self._number = 0  # of the row
        self._end = 0  # of all that was heard
        self._bands = bands
        self._count = count

    @property
    def done(self) -> bool:
        """Whether nothing that comes later is heard in any row."""
        return self._count is not None and self._number >= self._count

    def hear(self, place: int, samples: Float) -> None:
        """Takes the sound from sample `place` on; what overlaps older sound is left out.

        Rows that end before it are complete, though `samples` be empty.
        """
        samples = samples[max(0, self._end - place) :]
        place = max(place, self._end)
        self._end = place + len(samples)
        while not self.done:
            at = place - round(self._number * self._step)
            if at >= len(self._row):
                self.finish_row()
                continue
            if not len(samples):
                break
            part = samples[max(0, -at) :][: len(self._row) - max(0, at)]
            self._row[max(0, at) : max(0, at) + len(part)] = part
            self._heard = True
            taken = max(0, -at) + len(part)
            samples, place = samples[taken:], place + taken

    def finish_row(self) -> None:
        """Completes a row; what was not heard of it is silence."""
        energy = _energy(self._windows, self._bands) if self._heard else np.zeros(self._bands)
        self.rows.append(np.log(energy + 1e-6).astype(np.float32))  # [bands]
        self._row[:] = 0
        self._heard = False
        self._number += 1

    def finished(self) -> Float:
        """Returns float32 [count, bands]."""
        while not self.done:
            self.finish_row()
        return np.stack(self.rows)


def _windows(row: Float) -> Float:
    """Returns a view of a row's windows, which lie evenly in it: [steps, _WIDTH] of [samples]."""
    steps = (len(row) - _WIDTH) // _HOP + 1
    first = (len(row) - _WIDTH - (steps - 1) * _HOP) // 2
    all_windows = np.lib.stride_tricks.sliding_window_view(row[first:], _WIDTH)
    return all_windows[::_HOP][:steps]


def _energy(windows: Float, bands: int) -> Float64Array:
    """Returns the mean energy of windows, [steps, _WIDTH], in each band, [bands]."""
    power = np.zeros(_WIDTH // 2 + 1)
    for begin in range(0, len(windows), _AT_ONCE):
        part = windows[begin : begin + _AT_ONCE] * _HANN  # [_AT_ONCE, _WIDTH]
        power += (np.abs(np.fft.rfft(part)) ** 2).sum(axis=0)
    power /= len(windows) * _WIDTH
    energy: Float64Array = mel_filters(bands=bands, width=_WIDTH) @ power
    return energy


@cache
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
    filters.flags.writeable = False  # all share it
    return filters
