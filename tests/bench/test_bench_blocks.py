from __future__ import annotations

from pathlib import Path

import pytest

from videozoo.bench.blocks import Span, cut, spread_groups, spread_runs


@pytest.mark.parametrize(
    ("listed", "wanted", "run", "chosen"),
    [
        (12, 4, 2, [0, 1, 6, 7]),
        (12, 5, 2, [0, 1, 6, 7]),  # whole runs, never more than wanted
        (10, 3, 1, [0, 3, 6]),
        (4, 9, 2, [0, 1, 2, 3]),
        (4, 4, 8, [0, 1, 2, 3]),
        (100, 3, 8, [0, 1, 2]),  # a run is no longer than what is wanted
    ],
)
def test_runs_lie_evenly(listed: int, wanted: int, run: int, chosen: list[int]) -> None:
    assert spread_runs(listed, wanted, run) == chosen


@pytest.mark.parametrize("listed", [7, 64, 1000])
@pytest.mark.parametrize("wanted", [1, 5, 63])
@pytest.mark.parametrize("run", [1, 4, 32])
def test_runs_never_overlap_and_stay_in_the_list(listed: int, wanted: int, run: int) -> None:
    chosen = spread_runs(listed, wanted, run)
    assert 0 < len(chosen) <= min(listed, wanted)
    assert chosen == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < listed


def test_groups_are_taken_whole() -> None:
    groups = [(0, 3), (3, 6), (6, 6), (6, 9), (9, 12)]
    assert spread_groups(groups, 6) == [0, 1, 2, 6, 7, 8]
    assert spread_groups(groups, 1) == [0, 1, 2]
    assert spread_groups(groups, 99) == list(range(12))


def test_blocks_know_their_bytes() -> None:
    blocks = cut([3, 5, 9], 2, lambda part: [Span(Path("a"), i, 2 * i) for i in part])
    assert [block.indices for block in blocks] == [(3, 5), (9,)]
    assert [block.size for block in blocks] == [8, 9]
    assert blocks[1].spans == (Span(Path("a"), 9, 18),)
