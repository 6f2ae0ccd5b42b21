"""How things move: the direction, the speed and the place of what is known to move."""

from __future__ import annotations

import numpy as np
import pytest

from videozoo.encoders.motion import DIRECTIONS, GAP, GRID, MOTION, motion_rows, pairs
from videozoo.video.frame_times import FrameTimes

SIZE = 96  # twice as long as the small picture


def picture(shift: tuple[float, float], *, place: tuple[int, int] = (48, 48)) -> np.ndarray:
    """Returns a soft bright disc of 10 pixels that has moved right and down: uint8 [3, 96, 96]."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(float)
    off = (x - place[0] - shift[0]) ** 2 + (y - place[1] - shift[1]) ** 2
    grey = 40 + 180 / (1 + np.exp(np.sqrt(off) - 10))
    return np.broadcast_to(grey.round().astype(np.uint8), (3, SIZE, SIZE))


def row_of(
    shift: tuple[float, float], seconds: float = GAP, **where: tuple[int, int]
) -> np.ndarray:
    """Returns the motion of the disc as [GRID, GRID, DIRECTIONS + 1]."""
    frames = np.stack([picture((0, 0), **where), picture(shift, **where)])[None]
    row = motion_rows(frames, np.array([seconds]))
    assert (row.shape, row.dtype) == ((1, MOTION), np.float32)
    return row.reshape(GRID, GRID, DIRECTIONS + 1)


@pytest.mark.parametrize("number", range(DIRECTIONS))
def test_a_disc_moves_in_its_direction(number: int) -> None:
    turn = 2 * np.pi * number / DIRECTIONS
    found = row_of((2 * np.cos(turn), 2 * np.sin(turn)))[..., :DIRECTIONS].sum(axis=(0, 1))
    assert found.argmax() == number
    assert found[number] > 3 * found[(number + DIRECTIONS // 2) % DIRECTIONS]


def test_faster_is_more_and_later_is_slower() -> None:
    slow, fast = row_of((1, 0))[..., 0].sum(), row_of((2, 0))[..., 0].sum()
    assert fast == pytest.approx(2 * slow, rel=0.25)
    assert row_of((2, 0), seconds=2 * GAP)[..., 0].sum() == pytest.approx(fast / 2, rel=1e-5)


def test_motion_is_told_where_it_is() -> None:
    found = row_of((2, 0), place=(84, 12))[..., 0]  # top right
    assert np.unravel_index(found.argmax(), found.shape) == (0, GRID - 1)
    assert found[2:, :2].max() < 0.01 * found.max()


def test_nothing_moves() -> None:
    assert np.abs(row_of((0, 0))).max() == 0
    one = np.broadcast_to(picture((0, 0)), (1, 2, 3, SIZE, SIZE))
    assert np.abs(motion_rows(one, np.array([0.0]))).max() == 0


def test_what_grows_brighter_shows() -> None:
    dark, light = np.full((2, 3, 48, 48), (50, 60)[0], np.uint8), 60
    dark[1] = light
    row = motion_rows(dark[None], np.array([GAP])).reshape(GRID, GRID, -1)
    np.testing.assert_allclose(row[..., DIRECTIONS], 1.0, rtol=1e-5)  # ten levels
    assert np.abs(row[..., :DIRECTIONS]).max() < 1e-6


@pytest.mark.parametrize("shape", [(16, 12), (224, 224), (90, 160), (3, 500), (2, 2), (1, 1)])
def test_pictures_of_any_shape(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 2, 3, *shape), dtype=np.uint8)
    rows = motion_rows(frames, np.full(3, GAP))
    assert rows.shape == (3, MOTION)
    assert np.isfinite(rows).all()


@pytest.mark.parametrize(
    ("starts", "moments", "wanted"),
    [
        ([0.00, 0.04, 0.08, 0.12, 0.16], [0.0, 0.05], [(0, 2), (1, 3)]),
        ([0.00, 0.04, 0.08, 0.12, 0.16], [0.17], [(3, 4)]),  # at the end, the last two
        ([0.0, 0.5, 1.0], [0.0, 0.6, 1.2], [(0, 1), (1, 2), (1, 2)]),  # frames that stay long
        ([0.0], [0.0, 0.3], [(0, 0), (0, 0)]),
    ],
)
def test_which_frames_are_compared(
    starts: list[float], moments: list[float], wanted: list[tuple[int, int]]
) -> None:
    times = FrameTimes(np.array(starts), starts[-1] + 0.04)
    assert list(map(tuple, pairs(times, np.array(moments)).tolist())) == wanted
