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


def test_the_same_generator_gives_the_same_frames():
    first, second = (
        segment_frames(100, seg_num=5, seglen=2, rng=np.random.default_rng([3, 1, 4]))
        for _ in range(2)
    )
    assert np.array_equal(first, second)


@pytest.mark.parametrize("numbers", [(0, 3, 1), (5, 0, 1), (5, 3, 0)])
def test_numbers_below_one_are_refused(numbers):
    n, seg_num, seglen = numbers
    with pytest.raises(ValueError, match="at least 1"):
        segment_frames(n, seg_num=seg_num, seglen=seglen, rng=None)
