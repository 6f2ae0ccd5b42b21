"""Sound lies in its place on the file's clock, whatever happens to the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sounds import RATE, damage_sound, tone, write_sound
from videozoo.encoders.sound_track import SoundTrack

TENTHS = 10  # of a second


def heard(track: SoundTrack) -> np.ndarray:
    """Returns the sound from the origin on, float32 [samples]; later pieces win."""
    pieces = [(place, samples) for place, samples in track if place + len(samples) > 0]
    sound = np.zeros(max((p + len(s) for p, s in pieces), default=0), np.float32)
    for place, samples in pieces:
        sound[max(0, place) : place + len(samples)] = samples[max(0, -place) :]
    return sound


def loud(sound: np.ndarray) -> str:
    """Returns a sign for each tenth of a second: # is sound, . is silence, - between."""
    tenths = sound[: len(sound) // (RATE // TENTHS) * (RATE // TENTHS)].reshape(-1, RATE // TENTHS)
    shares = (np.abs(tenths) > 0.01).mean(axis=1)  # nearly all of a tone is
    return "".join("#" if share > 0.6 else "." if share < 0.05 else "-" for share in shares)


def test_sound_of_the_right_rate_comes_back_sample_for_sample(tmp_path: Path) -> None:
    sound = tone(440)
    track = SoundTrack(write_sound(tmp_path / "a.wav", (0, sound)))
    np.testing.assert_allclose(heard(track), sound, atol=1e-4)
    assert track.fault is None


def test_other_rates_and_stereo_become_mono_at_the_one_rate(tmp_path: Path) -> None:
    written = tone(1000, rate=44_100)
    path = write_sound(tmp_path / "a.wav", (0, written), rate=44_100, layout="stereo")
    sound = heard(SoundTrack(path))
    assert sound.dtype == np.float32
    assert abs(len(sound) - RATE) <= 32
    assert np.abs(np.fft.rfft(sound)).argmax() * RATE / len(sound) == pytest.approx(1000, abs=3)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.avi", "a.ts"])
@pytest.mark.parametrize("late", [0, 1.5])
def test_a_track_may_begin_late(name: str, late: float, tmp_path: Path) -> None:
    codec = {"a.mp4": "aac", "a.ts": "mp2"}.get(name, "pcm_s16le")
    path = tmp_path / name
    start = 0.0
    if name == "a.ts":  # a transport stream's clock begins somewhere
        write_sound(path, (0, tone(440)), codec=codec, pictures=range(20))
        start = next(place for place, _ in SoundTrack(path)) / RATE
    write_sound(path, (late, tone(440)), codec=codec, pictures=range(20))
    if name == "a.avi":
        late = 0  # it has no way to say so
    wanted = "." * int(late * TENTHS) + "#" * TENTHS
    assert loud(heard(SoundTrack(path, start)))[: len(wanted)] == wanted


def test_gaps_are_gaps_and_overlaps_lie_where_they_are_said_to(tmp_path: Path) -> None:
    # packets are of 64 ms: the third part begins 10 ms after the last one of the second does
    parts = [(0, tone(440, 0.5)), (0.8, tone(440, 0.384)), (1.13, tone(440, 0.37))]
    parts.append((2, tone(440, 0.2)))
    track = SoundTrack(write_sound(tmp_path / "a.mkv", *parts))
    assert loud(heard(track)) == "#####...#######.....##"
    assert track.fault is None


def test_samples_are_counted_from_the_origin(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mkv", (0.5, tone(440, 0.5)))
    assert loud(heard(SoundTrack(path, 0.3))) == "..#####"
    assert loud(heard(SoundTrack(path, 0.7))) == "###"


def test_rounded_times_leave_no_holes(tmp_path: Path) -> None:
    sound = np.full(3 * 22_050, 0.5, np.float32)
    path = write_sound(tmp_path / "a.mkv", (0, sound), rate=22_050)  # 1024 samples: 46.44 ms
    assert np.abs(heard(SoundTrack(path))[100:-100] - 0.5).max() < 1e-3


def test_two_recordings_of_other_formats_follow_each_other(tmp_path: Path) -> None:
    one = write_sound(tmp_path / "1.ts", (0, tone(440, 1, 44_100)), codec="mp2", rate=44_100)
    two = write_sound(
        tmp_path / "2.ts", (0, tone(880, 1, 32_000)), codec="mp2", rate=32_000, layout="stereo"
    )
    path = tmp_path / "joined.ts"
    path.write_bytes(one.read_bytes() + two.read_bytes())
    start = next(place for place, _ in SoundTrack(path)) / RATE
    track = SoundTrack(path, start)
    sound = heard(track)
    assert track.fault is None
    assert len(sound) == pytest.approx(2 * RATE, abs=0.15 * RATE)
    peaks = [np.abs(np.fft.rfft(half)).argmax() for half in np.split(sound[: 2 * RATE], 2)]
    assert peaks == pytest.approx([440, 880], abs=5)


def test_a_damaged_packet_is_silence_and_what_follows_stays_in_its_place(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mp4", (0, tone(440, 2)), codec="aac", pictures=range(20))
    whole = heard(SoundTrack(path))
    track = SoundTrack(damage_sound(path, 16))
    sound = heard(track)
    assert track.fault is not None
    assert "of its sound cannot be decoded" in track.fault
    assert len(sound) == len(whole)
    assert np.abs(sound[: 14 * 1024] - whole[: 14 * 1024]).max() < 1e-6
    assert np.abs(sound[20 * 1024 :] - whole[20 * 1024 :]).max() < 1e-6
    assert not sound[15 * 1024 + 100 : 16 * 1024 - 100].any()


def test_a_name_with_a_colon_and_text_that_is_no_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_sound(tmp_path / "a.mkv", (0, tone(440)), tags={"title": "cafXX"})
    data = path.read_bytes()
    assert b"cafXX" in data
    Path("10:30 take.mkv").write_bytes(data.replace(b"cafXX", b"caf\xe9X"))
    track = SoundTrack(Path("10:30 take.mkv"))
    assert loud(heard(track)) == "#" * TENTHS
    assert track.fault is None


def test_what_is_no_media_file_is_a_fault_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"no video")
    track = SoundTrack(path)
    assert list(track) == []
    assert track.fault is not None
    assert track.fault.startswith("its sound cannot be read")
