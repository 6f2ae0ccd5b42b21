from __future__ import annotations

import numpy as np
import pytest

from demo_scenes import (
    CLASSES,
    FRAME_RATE,
    HEIGHT,
    SOUND_RATE,
    TWINS,
    WIDTH,
    draw_scene,
)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_scene_has_the_promised_shapes(name: str) -> None:
    scene = draw_scene(name, seed=(3,), frames=20)
    assert scene.frames.shape == (20, HEIGHT, WIDTH, 3)
    assert scene.frames.dtype == np.uint8
    assert scene.sound.shape == (20 * SOUND_RATE // FRAME_RATE,)
    assert scene.sound.dtype == np.float32
    assert np.abs(scene.sound).max() <= 1
    assert scene.sound.std() > 0.005


@pytest.mark.parametrize(("one", "other"), TWINS)
def test_twins_are_each_others_reversal(one: str, other: str) -> None:
    a, b = draw_scene(one, seed=(7, 1)), draw_scene(other, seed=(7, 1))
    np.testing.assert_array_equal(a.frames, b.frames[::-1])
    np.testing.assert_array_equal(a.sound, b.sound[::-1])
    assert not np.array_equal(a.frames, b.frames)


def test_every_class_but_two_has_a_twin() -> None:
    assert set(CLASSES) - {name for pair in TWINS for name in pair} == {"blink", "spin"}


def test_draws_depend_on_the_seed_and_on_nothing_else() -> None:
    first = draw_scene("spin", seed=(0, 0, 1))
    np.testing.assert_array_equal(first.frames, draw_scene("spin", seed=(0, 0, 1)).frames)
    for seed in ((0, 0, 2), (0, 1, 1), (1, 0, 1)):
        assert not np.array_equal(first.frames, draw_scene("spin", seed=seed).frames)


def _bright(name: str, seed: int) -> np.ndarray:
    """Where the shape is: 1 far above the clip's still ground, [n, HEIGHT, WIDTH]."""
    frames = draw_scene(name, seed=(seed,)).frames.astype(int).max(axis=3)
    return frames - np.median(frames, axis=0) > 60


@pytest.mark.parametrize(("name", "sign"), [("move right", 1), ("move left", -1)])
def test_the_disc_moves_the_way_its_name_says(name: str, sign: int) -> None:
    steps = []
    for seed in range(8):
        places = [np.nonzero(frame)[1] for frame in _bright(name, seed)]
        # the middle of the shape, where it is wholly in the picture
        middle = [
            p.mean() if len(p) and p.min() > 2 and p.max() < WIDTH - 3 else np.nan for p in places
        ]
        steps += list(np.diff(middle))
    seen = np.array(steps)[~np.isnan(steps)]
    assert len(seen) > 40
    assert (np.sign(seen) == sign).mean() > 0.95


@pytest.mark.parametrize(("name", "sign"), [("grow", 1), ("shrink", -1)])
def test_the_square_changes_its_size_the_way_its_name_says(name: str, sign: int) -> None:
    steps = []
    for seed in range(8):
        spans = []
        for frame in _bright(name, seed):
            down = np.nonzero(frame)[0]
            inside = len(down) > 30 and down.min() > 1 and down.max() < HEIGHT - 2
            spans.append(np.ptp(down) if inside else np.nan)
        steps += list(np.diff(spans))
    seen = np.array(steps)[~np.isnan(steps)]
    assert len(seen) > 20
    assert (np.sign(seen) == sign).mean() > 0.9


def test_an_unordered_set_of_frames_says_nothing_about_the_direction() -> None:
    # where a shape is, in the frames that a model looks at (not evenly placed about the middle)
    looks = [4, 14, 24]
    means = {}
    for name in ("move left", "move right"):
        seen = [_bright(name, seed)[looks] for seed in range(120)]
        columns = np.array([frame.sum(axis=0) for clip in seen for frame in clip])
        means[name] = columns.mean(axis=0)  # [WIDTH], average height of the shape by place
    spread = np.abs(means["move left"] - means["move right"]).max()
    assert spread < 1.5
    assert means["move right"].min() > 0.5
