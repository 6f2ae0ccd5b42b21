import numpy as np
import pytest

from videozoo.data.framing import Crop, resized_size
from videozoo.errors import SampleError


def ramp(width, height):
    """A frame whose red is x and whose green is y."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return np.stack([x, y, x * 0]).astype(np.uint8)  # [3, H, W]


def cut(crop, frame):
    out = np.empty((3, crop.size, crop.size), dtype=np.uint8)
    crop.cut(frame, out)
    return out


@pytest.mark.parametrize(
    ("size", "rule", "expected"),
    [
        ((64, 48), "4:3", (53, 40)),
        ((48, 64), "4:3", (40, 53)),
        ((50, 50), "4:3", (53, 40)),  # a square becomes wide
        ((40, 200), "4:3", (40, 200)),  # the short side is right already
        ((200, 40), "4:3", (200, 40)),
        ((200, 1), "4:3", (53, 40)),
        ((10, 10), "4:3", (53, 40)),
        ((64, 48), "aspect", (53, 40)),
        ((160, 80), "aspect", (80, 40)),
        ((80, 160), "aspect", (40, 80)),
        ((50, 50), "aspect", (40, 40)),
        ((101, 100), "aspect", (40, 40)),
    ],
)
def test_resized_sizes(size, rule, expected):
    assert resized_size(*size, short_size=40, rule=rule) == expected


def test_a_line_cannot_be_resized_with_its_aspect():
    with pytest.raises(SampleError, match="200x1 pixels are too thin"):
        resized_size(200, 1, short_size=40, rule="aspect")


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="no resize rule 'square'"):
        resized_size(4, 4, short_size=2, rule="square")


@pytest.mark.parametrize(
    ("size", "crop", "corner"),
    [
        ((53, 40), 32, (10, 4)),  # 10.5 is rounded to the even 10
        ((55, 40), 32, (12, 4)),  # 11.5 to 12
        ((40, 40), 40, (0, 0)),
    ],
)
def test_the_middle(size, crop, corner):
    cropped = cut(Crop(crop), ramp(*size))
    assert cropped[:2, 0, 0].tolist() == list(corner)
    assert np.array_equal(cropped, ramp(*size)[:, corner[1] :, corner[0] :][:, :crop, :crop])


def test_a_crop_larger_than_the_frame_is_refused():
    with pytest.raises(SampleError, match="53x40 pixels are smaller than the crop of 48x48"):
        cut(Crop(48), ramp(53, 40))
    with pytest.raises(SampleError, match="short_size must be at least target_size"):
        cut(Crop.random(48, np.random.default_rng(0)), ramp(53, 40))


def test_random_crops_reach_every_place_and_both_directions():
    rng = np.random.default_rng(0)
    corners, flips = set(), set()
    for _ in range(300):
        cropped = cut(Crop.random(4, rng), ramp(6, 5))
        left = int(cropped[0].min())
        corners.add((left, int(cropped[1, 0, 0])))
        flips.add(bool(cropped[0, 0, 0] > cropped[0, 0, 1]))
        assert sorted(cropped[0, 0]) == [left, left + 1, left + 2, left + 3]
    assert corners == {(x, y) for x in range(3) for y in range(2)}
    assert flips == {False, True}


def test_without_flip_no_clip_is_mirrored():
    rng = np.random.default_rng(0)
    assert not any(Crop.random(4, rng, flip=False).mirrored for _ in range(50))


def test_the_draw_of_a_place_does_not_hang_on_flip():
    first, second = (Crop.random(4, np.random.default_rng(3), flip=flip) for flip in (True, False))
    assert first.place == second.place
