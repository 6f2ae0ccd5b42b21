import numpy as np
import pytest

from videozoo.data.sampling import segment_frames


@pytest.mark.parametrize(
    ("n", "seg_num", "seglen", "expected"),
    [
        (12, 3, 2, [[1, 2], [5, 6], [9, 10]]),
        (12, 3, 1, [[1], [5], [9]]),
        (13, 3, 1, [[1], [5], [9]]),  # the remainder at the end is never read
        (15, 3, 5, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]),
        (300, 7, 5, [[i * 42 + 18 + j for j in range(5)] for i in range(7)]),
        (4, 3, 3, [[0, 1, 2], [1, 2, 3], [2, 3, 0]]),  # parts shorter than seglen
        (8, 4, 3, [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6, 7, 0]]),
        (2, 3, 1, [[0], [1], [0]]),  # fewer frames than parts
        (2, 4, 3, [[0, 1, 0], [1, 0, 1], [0, 1, 0], [1, 0, 1]]),
        (1, 3, 2, [[0, 0], [0, 0], [0, 0]]),
        (1, 1, 1, [[0]]),
    ],
)
def test_middle_of_each_part(n, seg_num, seglen, expected):
    frames = segment_frames(n, seg_num=seg_num, seglen=seglen, rng=None)
    assert frames.dtype == np.int64
    assert frames.tolist() == expected


def test_random_places_stay_in_their_part_and_reach_all_of_it():
    rng = np.random.default_rng(0)
    draws = np.stack([segment_frames(21, seg_num=3, seglen=3, rng=rng) for _ in range(400)])
    assert (np.diff(draws, axis=2) == 1).all()
    offsets = draws[:, :, 0] - np.arange(3) * 7
    for part in range(3):
        assert set(offsets[:, part].tolist()) == {0, 1, 2, 3, 4}
    # each part draws for itself
    assert (offsets[:, 0] != offsets[:, 1]).any()


@pytest.mark.parametrize(("n", "seg_num", "seglen"), [(4, 3, 3), (2, 3, 1), (6, 3, 2)])
def test_nothing_is_random_where_there_is_no_room(n, seg_num, seglen):
    middle = segment_frames(n, seg_num=seg_num, seglen=seglen, rng=None)
    drawn = segment_frames(n, seg_num=seg_num, seglen=seglen, rng=np.random.default_rng(1))
    assert np.array_equal(middle, drawn)


@pytest.mark.parametrize(
    ("n", "seg_num", "seglen", "interval", "expected"),
    [
        (18, 3, 2, 3, [[1, 4], [7, 10], [13, 16]]),  # 4 of 6 frames are spanned, 1 is spare before
        (12, 2, 3, 2, [[0, 2, 4], [6, 8, 10]]),
        (12, 3, 3, 2, [[0, 2, 4], [4, 6, 8], [8, 10, 0]]),  # parts too short for the span
        (12, 3, 1, 5, [[1], [5], [9]]),  # nothing to be apart from
    ],
)
def test_frames_of_a_part_can_lie_apart(n, seg_num, seglen, interval, expected):
    numbers = {"seg_num": seg_num, "seglen": seglen, "frame_interval": interval}
    assert segment_frames(n, **numbers, rng=None).tolist() == expected


def test_random_places_leave_room_for_frames_that_lie_apart():
    rng = np.random.default_rng(0)
    numbers = {"seg_num": 2, "seglen": 2, "frame_interval": 4}
    draws = np.stack([segment_frames(14, **numbers, rng=rng) for _ in range(200)])
    assert (np.diff(draws, axis=2) == 4).all()
    assert set(draws[:, 0, 0].tolist()) == {0, 1, 2}
    assert set(draws[:, 1, 0].tolist()) == {7, 8, 9}


def test_the_same_generator_gives_the_same_frames():
    first, second = (
        segment_frames(100, seg_num=5, seglen=2, rng=np.random.default_rng([3, 1, 4]))
        for _ in range(2)
    )
    assert np.array_equal(first, second)


@pytest.mark.parametrize("numbers", [(0, 3, 1, 1), (5, 0, 1, 1), (5, 3, 0, 1), (5, 3, 1, 0)])
def test_numbers_below_one_are_refused(numbers):
    n, seg_num, seglen, interval = numbers
    with pytest.raises(ValueError, match="at least 1"):
        segment_frames(n, seg_num=seg_num, seglen=seglen, frame_interval=interval, rng=None)
