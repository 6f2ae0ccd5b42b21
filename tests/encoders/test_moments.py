from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sounds import damage_sound, tone, write_sound
from videos import number_of, pattern, write_video
from videozoo.data.framing import Crop
from videozoo.encoders import moments
from videozoo.encoders.row_clock import RowClock
from videozoo.errors import SampleError

read_moments = partial(moments.read_moments, resize=lambda width, height: (48, 48), crop=Crop(48))

# in 1/10 s: two frames a second, then ten; numbers 0 1 2 3 4 5, then 6 7 8 ... from 3 s on
SLOW_THEN_FAST = [0, 5, 10, 15, 20, 25, *range(30, 60)]


def numbers(read: moments.Moments) -> list[list[int]]:
    return [[number_of(frame) for frame in row] for row in read.frames]


def are_loud(read: moments.Moments) -> list[bool]:
    assert read.audio is not None
    return (read.audio.max(axis=1) > -8).tolist()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_picture_and_sound_of_a_row_are_of_the_same_stretch(name: str, tmp_path: Path) -> None:
    """Neither a rate that varies nor a track that begins late puts them apart."""
    codec = "aac" if name == "a.mp4" else "pcm_s16le"
    path = write_sound(tmp_path / name, (4, tone(440, 2)), codec=codec, pictures=SLOW_THEN_FAST)
    read = read_moments(path)
    assert read.clock == RowClock(0, 1, 6)
    assert read.frames.shape == (6, 1, 3, 48, 48)
    assert numbers(read) == [[1], [3], [5], [11], [21], [31]]
    assert are_loud(read) == [False, False, False, False, True, True]
    assert read.damage is None


def test_rows_of_a_long_video_may_be_spread_or_end_early(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mkv", (4, tone(440, 2)), pictures=SLOW_THEN_FAST)
    spread = read_moments(path, most=3, spread=True)
    assert spread.clock == RowClock(0, 2, 3)
    assert numbers(spread) == [[2], [6], [26]]
    assert are_loud(spread) == [False, False, True]
    early = read_moments(path, most=3)
    assert early.clock == RowClock(0, 1, 3)
    assert are_loud(early) == [False, False, False]


def test_a_window_s_frames_are_spread_over_its_row(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 50)
    read = read_moments(path, window=5, sound=False)
    assert read.frames.shape == (2, 5, 3, 48, 48)
    assert numbers(read) == [[2, 7, 12, 17, 22], [27, 32, 37, 42, 47]]
    assert read.audio is None


def test_a_picture_and_a_video_of_one_frame_are_a_row(tmp_path: Path) -> None:
    Image.fromarray(pattern(9)).save(tmp_path / "a.png")
    write_video(tmp_path / "a.mp4", 1)
    for name, number in (("a.png", 9), ("a.mp4", 0)):
        read = read_moments(tmp_path / name)
        assert numbers(read) == [[number]]
        assert are_loud(read) == [False]


def test_a_file_without_sound_is_silent(tmp_path: Path) -> None:
    read = read_moments(write_video(tmp_path / "a.mp4", 50))
    np.testing.assert_allclose(read.audio, np.full((2, 64), np.log(1e-6)), rtol=1e-6)
    assert read.damage is None


def test_damaged_sound_does_not_cost_the_video(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "a.mp4", (0, tone(440, 3)), codec="aac", pictures=range(30))
    damage_sound(path, 35)  # in the third second
    read = read_moments(path)
    assert (len(read.frames), are_loud(read)) == (3, [True] * 3)
    assert read.damage is not None
    assert read_moments(path, most=1).damage is None  # what no row hears is not decoded


def test_a_file_that_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("no video")
    with pytest.raises(SampleError, match=r"a\.mp4"):
        read_moments(path)
