"""Sound and picture on one clock, frames by time, the shape of pixels: as people met them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from sounds import begin_late, damage_sound, tone, write_long, write_sound
from videozoo.encoders.encoder import Framing
from videozoo.encoders.moments import Moments, read_moments
from videozoo.video.reader import find_damage, probe_video, read_clip, read_frames

SMALL = Framing(32, 32, short_side=32)
LOUD = -8.0  # of a band's logarithm: a tone is above it, silence far below


def moments(path: Path, framing: Framing = SMALL, *, sound: bool = True) -> Moments:
    square = framing.square_pixels
    return read_moments(
        path, resize=framing.resize, crop=framing.cut, square_pixels=square, sound=sound
    )


def heard(read: Moments) -> str:
    """Returns a sign for each row: # is sound, . is silence."""
    assert read.audio is not None
    return "".join("#" if loudest > LOUD else "." for loudest in read.audio.max(axis=1))


@pytest.mark.parametrize("name", ["late_sound.mp4", "late_sound.mkv"])
def test_sound_that_begins_late_is_late(inputs: Path, name: str) -> None:
    assert heard(moments(inputs / "sound" / name)) == "...###"


# ending: encoders of sound and picture, samples a second
TRACKS = {
    ".mp4": ("aac", "libx264", 16_000),
    ".mov": ("pcm_s16le", "libx264", 16_000),
    ".mkv": ("aac", "libx264", 16_000),
    ".webm": ("libopus", "libvpx", 48_000),
    ".ts": ("mp2", "libx264", 48_000),
    ".mpg": ("mp2", "mpeg2video", 48_000),
    ".flv": ("aac", "flv1", 44_100),
}


@pytest.mark.parametrize("ending", TRACKS)
def test_a_track_may_begin_before_or_after_the_other(ending: str, tmp_path: Path) -> None:
    codec, picture_codec, rate = TRACKS[ending]
    begin = {"codec": codec, "picture_codec": picture_codec, "rate": rate}
    sound = tone(1000, 3.0, rate)
    late = write_sound(tmp_path / f"late{ending}", (2, sound), pictures=range(60), **begin)
    assert heard(moments(late)) == "..###."
    early = write_sound(tmp_path / f"early{ending}", (0, sound), pictures=range(20, 60), **begin)
    assert heard(moments(early)) == "#..."


def test_sound_of_an_avi_file_may_begin_late(tmp_path: Path) -> None:
    path = write_sound(
        tmp_path / "a.avi", (0, tone(1000, 3.0)), pictures=range(60), picture_codec="mpeg4"
    )
    assert heard(moments(path)) == "###..."
    assert heard(moments(begin_late(path, 2))) == "..###."


def test_two_recordings_that_were_joined_are_described(inputs: Path) -> None:
    read = moments(inputs / "sound" / "joined.ts")
    assert (heard(read), read.damage) == ("####", None)


def test_damaged_sound_costs_the_sound_alone(inputs: Path) -> None:
    good, read = (moments(inputs / "sound" / f"{n}.mp4") for n in ("good", "damaged_sound"))
    np.testing.assert_array_equal(read.frames, good.frames)
    assert good.damage is None
    assert read.damage is not None
    assert read.damage.startswith("a packet of its sound cannot be decoded: ")
    assert "Error number" not in read.damage


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "aac"), ("a.mov", "aac"), ("a.avi", "ac3")])
def test_what_follows_a_damaged_packet_of_sound_is_heard(
    name: str, codec: str, tmp_path: Path
) -> None:
    path = write_sound(
        tmp_path / name, (0, tone(1000, 4.0, 32_000)), codec=codec, rate=32_000,
        pictures=range(40), picture_codec="mpeg4",
    )  # fmt: skip
    read = moments(damage_sound(path, 50))
    assert len(read.frames) == 4
    assert heard(read) == "####"
    assert read.damage is not None
    assert "of its sound" in read.damage


def test_rows_show_the_frame_of_their_second(inputs: Path) -> None:
    path = inputs / "vfr" / "slow_then_fast.mp4"
    with av.open(str(path)) as file:
        times = [
            float(packet.pts * packet.time_base) for packet in file.demux(video=0) if packet.size
        ]
    wanted = np.searchsorted(sorted(times), np.arange(10) + 0.5, side="right") - 1
    assert wanted.tolist() == [1, 3, 5, 7, 9, 25, 55, 85, 115, 145]
    rows = read_clip(path, lambda n: wanted, resize=SMALL.resize, crop=SMALL.cut)
    np.testing.assert_array_equal(moments(path, sound=False).frames[:, 0], rows)


def test_oblong_pixels_are_shown_as_they_are_meant(inputs: Path) -> None:
    info = probe_video(inputs / "frames" / "sar_2_1.mp4")
    assert info.width * info.pixel_aspect / info.height == pytest.approx(160 / 96)
    # a frame of these proportions loses nothing
    read = moments(inputs / "frames" / "sar_2_1.mp4", Framing(80, 48, short_side=48), sound=False)
    assert read.frames.shape[-2:] == (48, 80)


def test_a_download_that_stopped_is_told(inputs: Path) -> None:
    path = inputs / "misc" / "download_stopped.mp4"
    told = "4 of 60 frames decode, the file is cut off"
    assert str(find_damage(path)) == told
    assert moments(path).damage == told
    assert probe_video(path).frames == 4
    for wanted in range(0, 60, 5):
        asked: list[int] = []
        read_frames(path, lambda n, w=wanted, a=asked: a.append(n) or np.array([min(w, n - 1)]))
        assert asked[-1] == 4


MEASURE = """
import resource, sys
from pathlib import Path
from videozoo.encoders.encoder import Framing
from videozoo.encoders.moments import read_moments
framing = Framing(96, 96)
how = {"resize": framing.resize, "crop": framing.cut}
read_moments(Path(sys.argv[1]), **how)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = read_moments(Path(sys.argv[2]), **how).audio
print(len(rows), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


@pytest.mark.slow
def test_three_hours_of_which_300_rows_are_wanted_take_little_memory(tmp_path: Path) -> None:
    short = write_long(tmp_path / "short.mp4", 4)
    path = write_long(tmp_path / "long.mp4", 3 * 3600)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, short, path], capture_output=True, text=True, check=True
    )
    rows, megabytes = map(int, run.stdout.split())
    assert rows == 300
    assert megabytes < 300
