from __future__ import annotations

import numpy as np
import pytest

from videozoo.data.augment import OPERATIONS, DevicePolicy, ResizedCrop, draw_crop
from videozoo.data.framing import Crop


def rng(number: int) -> np.random.Generator:
    return np.random.default_rng(number)


def ramp(height: int, width: int) -> np.ndarray:
    """A picture whose first plane tells the column, the second the row."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, x + y]).astype(np.uint8)


def cut(crop: ResizedCrop, frame: np.ndarray) -> np.ndarray:
    out = np.zeros((3, *crop.extent(*frame.shape[1:])), dtype=np.uint8)
    crop.cut(frame, out)
    return out


def test_without_either_key_the_crop_is_what_it_was() -> None:
    for number in range(5):
        assert draw_crop(rng(number), size=8) == Crop.random(8, rng(number))
        plain = draw_crop(rng(number), size=8, flip=False)
        assert plain == Crop.random(8, rng(number), flip=False)


def test_random_resized_crops_have_the_area_and_aspect_asked_for() -> None:
    shares, aspects, places = [], [], []
    for number in range(300):
        crop = draw_crop(rng(number), size=16, areas=(0.1, 0.6))
        assert isinstance(crop, ResizedCrop)
        top, left, tall, wide = crop.box(120, 200)
        assert 0 <= top <= 120 - tall
        assert 0 <= left <= 200 - wide
        shares.append(tall * wide / (120 * 200))
        aspects.append(wide / tall)
        places.append((top, left))
    assert 0.09 < min(shares) < 0.15
    assert 0.5 < max(shares) < 0.63
    assert 0.72 < min(aspects) < 0.8
    assert 1.25 < max(aspects) < 1.37
    assert len(set(places)) > 250


def test_where_no_drawn_box_fits_it_is_the_largest_square() -> None:
    crop = draw_crop(rng(0), size=16, areas=(1.0, 1.0))
    assert isinstance(crop, ResizedCrop)
    assert crop.box(20, 200)[2:] == (20, 20)


def test_scale_jitter_takes_neighbouring_scales_at_corners_and_middle() -> None:
    found = set()
    for number in range(400):
        crop = draw_crop(rng(number), size=16, scales=(1.0, 0.875, 0.75, 0.66))
        assert isinstance(crop, ResizedCrop)
        found.add(crop.box(256, 340))
    sides = {box[2:] for box in found}
    lengths = [256, 224, 192, 169]
    assert sides == {
        (a, b) for i, a in enumerate(lengths) for j, b in enumerate(lengths) if abs(i - j) <= 1
    }
    for tall, wide in sides:
        places = {box[:2] for box in found if box[2:] == (tall, wide)}
        bottom, right = 256 - tall, 340 - wide
        middle = (round(bottom / 2), round(right / 2))
        assert places <= {(0, 0), (0, right), (bottom, 0), (bottom, right), middle}


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_box_is_resized_to_the_square(mirrored: bool) -> None:
    crop = ResizedCrop(8, ((0.5, 1.0),), True, (1.0, 0.0), mirrored)
    frame = ramp(32, 40)
    assert crop.box(32, 40) == (0, 24, 32, 16)
    columns, rows, _ = cut(crop, frame)
    expected = np.arange(24, 40).reshape(8, 2).mean(axis=1)
    expected = expected[::-1] if mirrored else expected
    # the kernel of a bilinear resize is wider than two pixels, so the edges are a little off
    assert np.abs(columns[0].astype(float) - expected).max() < 1.1
    assert np.abs(rows[:, 0].astype(float) - (np.arange(8) * 4 + 1.5)).max() < 2.1


def test_half_of_the_crops_are_mirrored_unless_flip_is_off() -> None:
    crops = [draw_crop(rng(n), size=8, areas=(0.5, 1.0)) for n in range(400)]
    assert 160 < sum(crop.mirrored for crop in crops if isinstance(crop, ResizedCrop)) < 240
    plain = [draw_crop(rng(n), size=8, flip=False, scales=(1.0,)) for n in range(50)]
    assert not any(crop.mirrored for crop in plain if isinstance(crop, ResizedCrop))


def test_what_a_policy_draws() -> None:
    policy = DevicePolicy(mixup_alpha=0.4, color_jitter=(0.4, 0.2, 0.1, 0.05), rand_augment=(2, 5))
    rows = np.stack([policy.draw(rng(n)) for n in range(500)])
    assert rows.shape == (500, 5 + 4)
    assert rows.dtype == np.float32
    assert rows[:, 0].min() >= 0
    assert rows[:, 0].max() <= 1
    assert rows[:, 0].mean() == pytest.approx(0.5, abs=0.06)
    most = np.array([0.4, 0.2, 0.1, 0.05])
    changes = rows[:, 1:5] - [1, 1, 1, 0]
    assert (np.abs(changes) <= most + 1e-6).all()
    assert (np.abs(changes).max(axis=0) > most * 0.95).all()
    assert set(rows[:, [5, 7]].ravel()) == set(range(len(OPERATIONS)))
    assert set(rows[:, [6, 8]].ravel()) == {-0.5, 0.5}


def test_a_policy_of_mixup_alone_changes_no_pixels() -> None:
    policy = DevicePolicy(mixup_alpha=1.0)
    assert policy.active
    assert not policy.changes_pixels
    assert not DevicePolicy().active
    assert policy.draw(rng(3))[1:].tolist() == [1, 1, 1, 0]
