"""Pixels that are not square: shown as they are meant where proportions are kept."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from exact import x264

from videos import set_display_matrix, write_video
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.clips.dataset import ClipDataset
from videozoo.data.framing import Crop, resized_size
from videozoo.encoders.encoder import Framing
from videozoo.video.chosen_frames import by_count
from videozoo.video.geometry import ResizeRule
from videozoo.video.reader import probe_video, read_timed_clip
from videozoo.video.write import Encoding, write_clip

WIDE = Fraction(2)
QUARTER = (0, 1, -1, 0)


def asked(path: Path, *, resize_with: str = "swscale", square_pixels: bool = True) -> list[int]:
    """Returns the width and height that the rule of resizing is asked about."""
    seen: list[tuple[int, int]] = []

    def resize(width: int, height: int) -> tuple[int, int]:
        seen.append((width, height))
        return 16, 16

    read_timed_clip(
        path,
        by_count(lambda n: np.array([0])),
        resize=resize,
        crop=Crop(16),
        resize_with=resize_with,
        square_pixels=square_pixels,
    )
    return list(seen[0])


@pytest.mark.parametrize("resize_with", ["swscale", "pillow"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"), ("v.mp4", "libvpx-vp9"), ("a.mov", "mpeg4"), ("a.mkv", "libx264"),
        ("a.ts", "libx264"), ("a.avi", "mpeg4"), ("x.avi", "libx264"), ("a.flv", "libx264"),
    ],
)  # fmt: skip
def test_every_container_tells_it(name: str, codec: str, resize_with: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, 10, codec=codec, pixel_aspect=WIDE)
    assert asked(path, resize_with=resize_with) == [128, 48]
    assert asked(path, resize_with=resize_with, square_pixels=False) == [64, 48]
    assert probe_video(path).pixel_aspect == 2.0


@pytest.mark.parametrize("resize_with", ["swscale", "pillow"])
def test_the_shape_is_turned_with_the_picture(resize_with: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 2, pixel_aspect=WIDE)
    set_display_matrix(path, *QUARTER)
    assert asked(path, resize_with=resize_with) == [48, 128]
    info = probe_video(path)
    assert (info.width, info.height, info.pixel_aspect) == (48, 64, 0.5)


def test_high_pixels_make_the_picture_higher(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 2, pixel_aspect=Fraction(1, 2))
    assert asked(path) == [64, 96]


def test_a_shape_that_makes_no_sense_is_left_aside(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", 2, pixel_aspect=Fraction(100))
    assert asked(path) == [64, 48]


def clip_size(path: Path, rule: str) -> tuple[int, ...]:
    """Returns height and width of the frames that a model of this rule is given, by ten crops."""
    sizes = partial(resized_size, short_size=48, rule=rule)
    seen: list[tuple[int, int]] = []

    def spy(width: int, height: int) -> tuple[int, int]:
        seen.append(sizes(width, height))
        return seen[-1]

    rule_of: ResizeRule = spy
    read_timed_clip(
        path,
        by_count(lambda n: np.array([0])),
        resize=rule_of,
        crop=Crop(16),
        square_pixels=rule == "aspect",
    )
    return seen[0]


def test_prepared_clips_keep_the_shape_and_are_framed_as_the_old_ones(tmp_path: Path) -> None:
    for name, matrix in (("plain", None), ("turned", QUARTER)):
        path = write_video(tmp_path / f"{name}.mp4", 4, size=(64, 96), pixel_aspect=WIDE)
        if matrix is not None:
            set_display_matrix(path, *matrix)
        new = tmp_path / f"{name}_new.mp4"
        write_clip(path, new, encoding=Encoding(short_side=32))
        for rule in ("aspect", "4:3"):
            assert clip_size(new, rule) == clip_size(path, rule)
        assert probe_video(new).pixel_aspect == probe_video(path).pixel_aspect


def test_models_see_the_shape_where_they_keep_proportions(tmp_path: Path) -> None:
    """The other rule is the original's, which knows nothing of it."""
    oblong = write_video(tmp_path / "a.mp4", 4, pixel_aspect=WIDE, **x264("crf=1"))
    square = write_video(tmp_path / "b.mp4", 4, **x264("crf=1"))
    clips = {}
    for rule in ("aspect", "4:3"):
        entries = [ClipEntry(path, (0,), path.name) for path in (oblong, square)]
        dataset = ClipDataset(
            entries, num_classes=1, seg_num=2, seglen=1, short_size=24, target_size=24, resize=rule
        )
        clips[rule] = [dataset.read(index).clip for index in range(2)]
    assert np.array_equal(*clips["4:3"])
    assert not np.array_equal(*clips["aspect"])


def test_encoders_that_cut_out_the_middle_see_the_shape() -> None:
    assert Framing(224, 224, short_side=256).square_pixels
    assert not Framing(224, 224).square_pixels  # all of the frame, whatever its shape
    assert not Framing(224, 224, short_side=256, rule="4:3").square_pixels
