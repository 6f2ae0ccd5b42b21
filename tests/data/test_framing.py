import numpy as np
import pytest

from videozoo.data.framing import Box, Crop, Views, resized_size
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


def pieces(views, frame):
    """The squares that views see of a frame, straight from it."""
    found = []
    for box in views.boxes(*frame.shape[1:]):
        piece = frame[:, box.top : box.top + views.size, box.left : box.left + views.size]
        found.append(piece[:, :, ::-1] if box.mirrored else piece)
    return found


def test_where_ten_squares_lie():
    views = Views(32, "ten")
    places = [(0, 0), (0, 21), (8, 0), (8, 21), (4, 10)]  # the middle as Crop's
    boxes = views.boxes(40, 53)
    assert boxes == [Box(*place, False) for place in places] + [Box(*p, True) for p in places]
    assert boxes == Views(32, "ten", flip=True).boxes(40, 53)
    assert len(views) == 10


@pytest.mark.parametrize(
    ("size", "places"),
    [
        ((40, 53), [(0, 0), (0, 6), (0, 13)]),
        ((53, 40), [(0, 0), (6, 0), (13, 0)]),
        ((40, 40), [(0, 0)] * 3),
    ],
)
def test_where_three_squares_lie(size, places):
    assert Views(40, "three").boxes(*size) == [Box(*place, False) for place in places]
    both = Views(40, "three", flip=True)
    assert [box.mirrored for box in both.boxes(*size)] == [False] * 3 + [True] * 3
    assert (len(Views(40, "three")), len(both)) == (3, 6)


@pytest.mark.parametrize("crops", ["centre", "three", "ten"])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("size", [(53, 40), (40, 53), (97, 33), (96, 32), (98, 32), (32, 201)])
def test_what_is_kept_of_a_frame_shows_the_same_squares(crops, flip, size):
    views, frame = Views(32, crops, flip), ramp(*size)
    kept = np.empty((3, *views.extent(*frame.shape[1:])), dtype=np.uint8)
    views.cut(frame, kept)
    assert max(kept.shape) <= 3 * 32
    squares = pieces(views, frame)
    assert len(squares) == len(views)
    assert all(np.array_equal(a, b) for a, b in zip(pieces(views, kept), squares, strict=True))


def test_views_of_frames_that_do_not_fit_are_refused():
    with pytest.raises(SampleError, match="53x40 pixels are smaller than the crop of 48x48"):
        Views(48, "ten").extent(40, 53)
    with pytest.raises(SampleError, match="frames of different sizes, such as 40x53 pixels"):
        Views(32, "ten").cut(ramp(40, 53), np.empty((3, 40, 53), dtype=np.uint8))


def test_unknown_crops_are_refused():
    with pytest.raises(ValueError, match="no crops 'five'"):
        Views(32, "five")
