from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from videozoo.encoders.sound import RATE, log_mel, mel_filters, read_sound
from videozoo.errors import SampleError


def _tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def _write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """samples: float32 [channels, n]"""
    layout = "mono" if len(samples) == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate, layout=layout)
        interleaved = np.rint(samples.T.reshape(1, -1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def _peak(sound: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound))


def test_sound_of_the_right_rate_comes_back_sample_for_sample(tmp_path: Path) -> None:
    sound = _tone(440)
    _write_wav(tmp_path / "a.wav", sound[None], RATE)
    np.testing.assert_allclose(read_sound(tmp_path / "a.wav"), sound, atol=1e-4)


def test_other_rates_and_stereo_become_mono_at_the_one_rate(tmp_path: Path) -> None:
    time = np.arange(44_100) / 44_100
    left = 0.5 * np.sin(2 * np.pi * 1000 * time)
    _write_wav(tmp_path / "a.wav", np.stack([left, left]).astype(np.float32), 44_100)
    sound = read_sound(tmp_path / "a.wav")
    assert sound.dtype == np.float32
    assert abs(len(sound) - RATE) <= 32
    assert _peak(sound) == pytest.approx(1000, abs=3)


def test_a_file_without_sound_is_silent_for_its_duration(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(20):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    sound = read_sound(path)
    assert sound.shape == (2 * RATE,)
    assert not sound.any()


def test_what_is_no_media_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(SampleError, match=r"a\.mp4: its sound cannot be read"):
        read_sound(tmp_path / "a.mp4")
    with pytest.raises(SampleError, match=r"b\.mp4"):
        read_sound(tmp_path / "b.mp4")


@pytest.mark.parametrize("bands", [32, 64, 128])
def test_filters_cover_the_spectrum_in_rising_order(bands: int) -> None:
    filters = mel_filters(bands=bands, width=512)
    assert filters.shape == (bands, 257)
    assert filters.min() >= 0
    assert filters.max() <= 1
    assert (filters.max(axis=1) > 0.3).all()  # no band is deaf
    assert (np.diff(filters @ np.arange(257) / filters.sum(axis=1)) > 0).all()


def test_a_higher_tone_peaks_in_a_higher_band() -> None:
    peaks = [log_mel(_tone(hertz)).mean(axis=0).argmax() for hertz in (200, 500, 1000, 3000, 7000)]
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
    sound[3200:6400] = _tone(800, 0.2)
    loud = log_mel(sound, rate=5).max(axis=1)
    assert loud.argmax() == 1
    np.testing.assert_allclose(np.delete(loud, 1), np.log(1e-6), rtol=1e-5)


def test_a_reversed_sound_gives_reversed_rows() -> None:
    sound = np.random.default_rng(0).normal(size=3 * RATE).astype(np.float32)
    np.testing.assert_allclose(log_mel(sound[::-1])[::-1], log_mel(sound), atol=1e-4)


def test_a_rate_without_room_for_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="rate must be at most"):
        log_mel(_tone(100), rate=100)
