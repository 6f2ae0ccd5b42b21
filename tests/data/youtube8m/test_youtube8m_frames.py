"""AttentionCluster's choice of frames."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from videozoo.data.youtube8m.frames import (
    cluster_frames,
    sample_cluster_frames,
    sample_kept_frames,
)


@pytest.mark.parametrize(
    ("n", "seg_num", "r", "expected"),
    [
        (10, 4, 0.5, [1, 3, 6, 8]),
        (10, 4, 0.0, [0, 2, 5, 7]),
        (10, 4, 0.999, [2, 4, 7, 9]),
        (3, 4, 0.5, [0, 1, 1, 2]),
        (1, 3, 0.5, [0, 0, 0]),
        (4, 4, 0.5, [0, 1, 2, 3]),
        (5, 1, 0.5, [2]),
        (5, 100, 1 - 2**-53, [*np.repeat([0, 1, 2, 3, 4], 20)[1:], 4]),  # 99 + r rounds to 100
        (2, 5, 0.5, [0, 0, 1, 1, 1]),
        (10, 4, [0.0, 0.5, 0.9, 0.1], [0, 3, 7, 7]),
    ],
)
def test_table(n: int, seg_num: int, r: float | list[float], expected: list[int]) -> None:
    assert cluster_frames(n, seg_num, np.array(r)).tolist() == expected


@pytest.mark.parametrize("n", [1, 2, 99, 100, 101, 299, 300])
@pytest.mark.parametrize("r", [0.0, 0.25, 0.5, 0.75])
def test_is_the_originals_formula(n: int, r: float) -> None:
    expected = [min(n - 1, int((i + r) * n / 100)) for i in range(100)]
    found = cluster_frames(n, 100, r)
    assert found.dtype == np.int64
    assert found.tolist() == expected


def test_without_a_generator_the_middles_are_taken() -> None:
    np.testing.assert_array_equal(
        sample_cluster_frames(37, None, seg_num=10), cluster_frames(37, 10, 0.5)
    )


def test_a_generator_draws_once_a_part() -> None:
    found = sample_cluster_frames(3000, np.random.default_rng(5), seg_num=10)
    draws = np.random.default_rng(5).random(10)
    np.testing.assert_array_equal(found, cluster_frames(3000, 10, draws))
    assert (found // 300).tolist() == list(range(10)), "each frame lies in its own part"
    assert len(set((found % 300).tolist())) == 10, "each part has a draw of its own"


def test_frames_are_left_out_at_the_rate_asked_for() -> None:
    kept = [sample_kept_frames(200, np.random.default_rng(n), drop=0.3) for n in range(50)]
    assert sum(map(len, kept)) / (50 * 200) == pytest.approx(0.7, abs=0.02)
    assert all((np.diff(frames) > 0).all() for frames in kept)
    assert len({tuple(frames) for frames in kept}) == 50


@pytest.mark.parametrize("n", [1, 2, 5])
def test_one_frame_is_always_kept(n: int) -> None:
    kept = [sample_kept_frames(n, np.random.default_rng(i), drop=0.99) for i in range(100)]
    assert {len(frames) for frames in kept} <= {1, 2}
    assert set(np.concatenate(kept).tolist()) == set(range(n))


def test_no_frame_is_left_out_of_a_test() -> None:
    assert sample_kept_frames(4, None, drop=0.9).tolist() == [0, 1, 2, 3]


def test_clusters_choose_among_what_is_kept() -> None:
    frames = partial(sample_cluster_frames, seg_num=3)
    chosen = sample_kept_frames(9, None, drop=0.5, frames=frames)
    assert chosen.tolist() == frames(9, None).tolist()
    drawn = sample_kept_frames(9, np.random.default_rng(0), drop=0.5, frames=frames)
    kept = sample_kept_frames(9, np.random.default_rng(0), drop=0.5)
    assert len(drawn) == 3
    assert set(drawn.tolist()) <= set(kept.tolist())
    assert len(kept) < 9
