from __future__ import annotations

import pytest

from videozoo.errors import VideozooError
from videozoo.training.recordings import guess_recordings, match_recordings


def guess(names: list[str], class_name: str = "class") -> list[str | None]:
    """Guesses with clips of three other recordings beside them."""
    others = [f"other{letter}_{i}.mp4" for letter in "xyz" for i in (1, 2)]
    classes = [class_name] * (len(names) + len(others))
    return guess_recordings([*names, *others], classes, share=0.2).groups[: len(names)]


@pytest.mark.parametrize(
    ("names", "group"),
    [
        (["a_01.mp4", "a_02.mp4"], "a"),
        (["a-1.avi", "a-2.avi"], "a"),
        (["a.1.avi", "a.2.avi"], "a"),
        (["a(1).mp4", "a (2).mp4", "a.mp4"], "a"),
        (["v_Fence_g01_c01.avi", "v_Fence_g01_c02.avi"], "v_Fence_g01"),
        (["street_part1.mp4", "street_part2.mp4"], "street"),
        (["0wR5jVB-WPk_000417_000427.mp4", "0wR5jVB-WPk_000001_000011.mp4"], "0wR5jVB-WPk"),
        (["0012_1.mp4", "0012_2.mp4"], "0012"),
    ],
)
def test_clips_of_a_recording_are_told_by_their_names(names: list[str], group: str) -> None:
    assert guess(names) == [group] * len(names)


@pytest.mark.parametrize(
    "names",
    [
        ["clip_0001.mp4", "clip_0002.mp4"],
        ["IMG_0001.MOV", "IMG_0002.MOV"],
        ["My Class 1.mp4", "My Class 2.mp4"],
        ["a1.mp4", "a2.mp4"],
        ["01531ae3db6e8494.mp4", "01531ae3db6e8495.mp4"],
        ["0.mp4", "0.mp4"],
    ],
)
def test_plain_numbers_are_no_recordings(names: list[str]) -> None:
    assert guess(names, "my_class") == [None] * len(names)


@pytest.mark.parametrize(
    ("names", "harm"),
    [
        ([f"x_{i:03d}.mp4" for i in range(50)], "50 of the 50 videos of class 'c' would be one"),
        ([*(f"x_{i:03d}.mp4" for i in range(50)), "y.mp4"], "50 of the 51 videos of class 'c'"),
        ([f"clip_{i:03d}.mp4" for i in range(50)], "these are plain numbers"),
    ],
)
def test_a_guess_that_does_harm_is_not_made_and_said(names: list[str], harm: str) -> None:
    found = guess_recordings(names, ["c"] * len(names), share=0.2)
    assert not any(found.groups)
    assert harm in found.note
    assert "not grouped by names" in found.note
    assert f"{names[0]}, {names[1]} ... -> " in found.note


def test_sub_folders_of_a_class_are_recordings() -> None:
    names = [f"cam{c}/{i}.mp4" for c in range(5) for i in range(4)]
    found = guess_recordings(names, ["c"] * 20, share=0.2)
    assert found.groups == [name[:4] for name in names]
    assert "kept together by sub-folders: 5, of 20 videos" in found.note


def test_names_count_where_sub_folders_do_harm() -> None:
    names = [f"all/{letter}_{i}.mp4" for letter in "pqrs" for i in range(4)]
    found = guess_recordings(names, ["c"] * 16, share=0.2)
    assert set(found.groups) == {"all/p", "all/q", "all/r", "all/s"}


def test_nothing_to_guess_is_nothing_to_say() -> None:
    found = guess_recordings(["a.mp4", "b.mp4", "c_1.mp4"], ["x", "x", "y"], share=0.2)
    assert found.note == ""
    assert len(set(found.groups) - {None}) <= 1


def test_a_pattern_takes_its_group_or_all() -> None:
    names = ["p1_run.avi", "p2_run.avi", "other.avi"]
    assert match_recordings(names, r"p(\d)_").groups == ["1", "2", None]
    found = match_recordings(names, r"p\d")
    assert found.groups == ["p1", "p2", None]
    assert "2, of 2 videos, 1 videos belong to none" in found.note
    with pytest.raises(VideozooError, match="is no regular expression: missing"):
        match_recordings(names, "(")
