"""What is known to be missing of a video is told, and which frames it has does not depend on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exact import FILES, How, Written, x264, x265

from videos import fill_with_zeros, number_of, overwrite_packet, store, stored_packets, write_video
from videozoo.video.damage import Damage
from videozoo.video.reader import find_damage, probe_video, read_frames

FRONT = {"container": {"movflags": "+faststart"}}
VP9 = {"codec": "libvpx-vp9", "options": {"cpu-used": "4", "g": "20"}}


def counts(path: Path) -> set[int]:
    """Returns how many frames a video is said to have, asked in many ways: one number is right."""
    found = {probe_video(path).frames, len(read_frames(path, np.arange))}
    asked: list[int] = []
    for wanted in range(0, 60, 5):

        def choose(n: int, wanted: int = wanted) -> np.ndarray:
            asked.append(n)
            return np.array([min(wanted, n - 1)])

        read_frames(path, choose)
        found.add(asked[-1])  # of what it seems to have at first nothing stays
    return found


def numbers(path: Path) -> list[int]:
    return [number_of(frame) for frame in read_frames(path, np.arange)]


@pytest.mark.parametrize("name", FILES)
def test_sound_videos_are_not_called_damaged(name: str, written: Written) -> None:
    assert find_damage(written(name)) is None


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mp4", x264("keyint=12:bframes=2") | FRONT),
        ("a.mov", {"codec": "mpeg4"} | FRONT),
        ("a.mkv", x264("keyint=12:bframes=2")),
        ("a.webm", VP9),
        ("a.avi", {"codec": "mpeg4", "size": (128, 96)}),
    ],
)
def test_a_file_that_is_cut_off_tells_how_many_frames_it_had(
    name: str, how: How, tmp_path: Path
) -> None:
    path = write_video(tmp_path / name, 60, **how)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.8)])
    damage = find_damage(path)
    assert damage is not None
    assert 20 < damage.decoded < 60
    assert (damage.promised, damage.cut_off) == (60, True)
    assert counts(path) == {damage.decoded}


def test_what_a_file_leaves_out_on_purpose_is_no_damage(tmp_path: Path) -> None:
    gaps = [i * i for i in range(20)]
    for name, how in (("a.avi", {"codec": "mpeg4"}), ("a.mkv", {}), ("a.mp4", FRONT)):
        path = write_video(tmp_path / name, 20, times=gaps, **how)
        assert find_damage(path) is None
        assert counts(path) == {20}


@pytest.mark.parametrize(
    ("name", "how"),
    [("a.mp4", x264("keyint=12:bframes=2")), ("h.mp4", x265("keyint=12")), ("v.mp4", VP9)],
)
def test_a_hole_in_the_middle_ends_the_video_there(name: str, how: How, tmp_path: Path) -> None:
    path = fill_with_zeros(write_video(tmp_path / name, 60, **how | FRONT), 0.6, 0.8)
    damage = find_damage(path)
    assert damage is not None
    assert (damage.promised, damage.cut_off) == (60, False)
    assert str(damage) == f"{damage.decoded} of 60 frames decode, the others are damaged"
    assert counts(path) == {damage.decoded}
    assert numbers(path) == list(range(damage.decoded))


@pytest.mark.parametrize(
    ("name", "how", "shown", "good"),
    [  # packet 28 is damaged; what leans on it shows the last good frame, up to the next key frame
        ("a.webm", VP9, [*range(28), *[27] * 12, *range(40, 49)], 37),
        (
            "a.mp4",
            x264("keyint=12:bframes=0:scenecut=0"),
            [*range(28), *[27] * 8, *range(36, 49)],
            41,
        ),
    ],
)
def test_damage_that_only_decoding_meets_does_not_change_the_count(
    name: str, how: How, shown: list[int], good: int, tmp_path: Path
) -> None:
    whole = write_video(tmp_path / name, 49, **how)
    path = overwrite_packet(tmp_path / f"damaged_{name}", 28, whole)
    assert find_damage(path) == Damage(good, 49, cut_off=False)
    assert counts(path) == {49}
    every = read_frames(path, np.arange)
    assert [number_of(frame) for frame in every] == shown
    for wanted in range(49):
        (alone,) = read_frames(path, lambda n, wanted=wanted: np.array([wanted]))
        assert np.array_equal(alone, every[wanted]), wanted


def test_a_damaged_beginning_shows_the_first_good_frame(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.webm", 49, **VP9)
    path = overwrite_packet(tmp_path / "damaged.webm", 0, whole)
    damage = find_damage(path)
    assert damage is not None
    assert len(counts(path)) == 1
    assert numbers(path)[-9:] == list(range(40, 49))


def test_a_key_frame_that_is_not_there_is_missed(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mp4", 49, **x264("keyint=20:bframes=0:scenecut=0"))
    path = store(tmp_path / "b.mp4", stored_packets(whole)[1:], whole)
    assert find_damage(path) == Damage(29, 48, cut_off=False)
    assert counts(path) == {29}
