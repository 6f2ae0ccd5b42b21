from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sounds import tone, write_sound
from videozoo.encoders.row_clock import RowClock
from videozoo.encoders.sound import log_mel, mel_filters, sound_rows
from videozoo.encoders.sound_track import RATE


@pytest.mark.parametrize("bands", [32, 64, 128])
def test_filters_cover_the_spectrum_in_rising_order(bands: int) -> None:
    filters = mel_filters(bands=bands, width=512)
    assert filters.shape == (bands, 257)
    assert filters.min() >= 0
    assert filters.max() <= 1
    assert (filters.max(axis=1) > 0.3).all()  # no band is deaf
    assert (np.diff(filters @ np.arange(257) / filters.sum(axis=1)) > 0).all()


def test_a_higher_tone_peaks_in_a_higher_band() -> None:
    peaks = [log_mel(tone(hertz)).mean(axis=0).argmax() for hertz in (200, 500, 1000, 3000, 7000)]
    assert peaks == sorted(set(peaks))
    # the band that holds 1000 Hz on the mel scale between 60 Hz and 8 kHz
    mel = [2595 * np.log10(1 + f / 700) for f in (60, 1000, 8000)]
    expected = (mel[1] - mel[0]) / (mel[2] - mel[0]) * 65 - 1
    assert abs(peaks[2] - expected) <= 1


@pytest.mark.parametrize(
    ("samples", "rate", "rows"), [(48_000, 5, 15), (48_900, 5, 15), (0, 5, 1), (16_000, 10, 10)]
)
def test_rows_follow_the_duration(samples: int, rate: float, rows: int) -> None:
    mel = log_mel(np.zeros(samples, np.float32), rate=rate, bands=16)
    assert mel.shape == (rows, 16)
    np.testing.assert_allclose(mel, np.log(1e-6), rtol=1e-5)


def test_each_row_hears_its_own_moment_only() -> None:
    sound = np.zeros(RATE, np.float32)
    sound[3200:6400] = tone(800, 0.2)
    loud = log_mel(sound, rate=5).max(axis=1)
    assert loud.argmax() == 1
    np.testing.assert_allclose(np.delete(loud, 1), np.log(1e-6), rtol=1e-5)


def test_a_reversed_sound_gives_reversed_rows() -> None:
    sound = np.random.default_rng(0).normal(size=3 * RATE).astype(np.float32)
    np.testing.assert_allclose(log_mel(sound[::-1])[::-1], log_mel(sound), atol=1e-4)


def test_a_rate_without_room_for_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="rate must be at most"):
        log_mel(tone(100), rate=100)


@pytest.mark.parametrize("seconds", [0.1, 0.2, 1, 3, 30])
def test_rows_of_a_file_are_those_of_its_sound(seconds: float, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sound = (tone(440, 31) * rng.uniform(0.2, 1, 31 * RATE)).astype(np.float32)
    path = write_sound(tmp_path / "a.wav", (0, sound))
    wanted = log_mel(sound, rate=1 / seconds)
    rows, fault = sound_rows(path, RowClock(0, seconds, len(wanted)))
    np.testing.assert_allclose(rows, wanted, atol=0.02)
    assert fault is None


def test_rows_begin_with_the_clock_and_hear_nothing_beyond_the_sound(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mkv", (1, tone(440, 2)))
    rows, _ = sound_rows(path, RowClock(0.5, 0.5, 8), bands=16)
    assert (rows.max(axis=1) > -8).tolist() == [False, True, True, True, True, False, False, False]


def test_rows_of_a_span_that_is_no_whole_number_of_samples_keep_the_time(tmp_path: Path) -> None:
    sound = np.zeros(60 * RATE, np.float32)
    sound[59 * RATE :] = tone(440)
    path = write_sound(tmp_path / "a.wav", (0, sound))
    rows, _ = sound_rows(path, RowClock(0, 1 / 7, 420), bands=16)
    assert np.flatnonzero(rows.max(axis=1) > -8).tolist() == list(range(413, 420))
