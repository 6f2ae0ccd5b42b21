from __future__ import annotations

import pytest

from videozoo.bench.timing import (
    Spread,
    calibrate,
    go_round,
    make_plan,
    stage_shares,
    worker_counts,
)


class FakeClock:
    """Tells the seconds that were let pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


def test_spread() -> None:
    assert Spread.of([3.0, 1.0, 9.0]) == Spread(3.0, 1.0, 9.0)


@pytest.mark.parametrize(
    ("most", "counts"),
    [(0, []), (1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8]), (12, [1, 2, 4, 8, 12])],
)
def test_worker_counts(most: int, counts: list[int]) -> None:
    assert worker_counts(most) == counts


def test_a_round_goes_over_all_blocks_with_all_passes() -> None:
    clock = FakeClock()
    seen: list[str] = []

    def passing(name: str, seconds: float):  # type: ignore[no-untyped-def]
        def run(block: int) -> None:
            seen.append(f"{name}{block}")
            clock.pass_by(seconds)

        return run

    seconds = go_round(
        [passing("a", 1.0), passing("b", 0.25)],
        range(4),
        before=lambda block: clock.pass_by(50.0),  # no part of what is measured
        clock=clock,
    )
    assert seconds == [[1.0] * 4, [0.25] * 4]
    assert seen == ["a0", "b2", "a1", "b3", "a2", "b0", "a3", "b1"]
    seen.clear()
    passes = [passing(name, 1.0) for name in "abc"]
    go_round(passes, range(5), before=lambda block: None, clock=clock)
    assert sorted(seen) == sorted(f"{name}{block}" for name in "abc" for block in range(5))


def test_shares_of_stages() -> None:
    # Two rounds of two blocks: the passes take 2 + 2, 4 + 4 and 8 + 12.
    rounds = [[[1.0, 2.0], [4.0, 4.0], [8.0, 12.0]], [[3.0, 2.0], [4.0, 4.0], [8.0, 12.0]]]
    assert stage_shares(rounds) == pytest.approx([0.2, 0.2, 0.6])


@pytest.mark.parametrize(
    ("passes", "shares"),
    [
        ([3.0, 2.0, 10.0], [0.3, 0.0, 0.7]),  # noise: a pass took less than the one before it
        ([1.0, 12.0, 10.0], [0.1, 0.9, 0.0]),  # noise: a pass took longer than the whole
        ([5.0], [1.0]),
    ],
)
def test_shares_are_never_negative_and_sum_to_one(passes: list[float], shares: list[float]) -> None:
    found = stage_shares([[[seconds] for seconds in passes]])
    assert found == pytest.approx(shares)
    assert sum(found) == pytest.approx(1.0)


def test_short_disturbances_change_no_share() -> None:
    still = [[1.0, 1.0], [5.0, 5.0], [10.0, 10.0]]
    disturbed = [[1.0, 90.0], [5.0, 5.0], [10.0, 10.0]]
    also_disturbed = [[70.0, 1.0], [5.0, 5.0], [10.0, 50.0]]
    found = stage_shares([still, disturbed, also_disturbed])
    assert found == pytest.approx([0.1, 0.4, 0.5])


def test_calibration_leaves_the_first_out_and_stops_in_time() -> None:
    clock = FakeClock()
    costs = [60.0, 2.0, 4.0, 3.0, 99.0]
    found = calibrate(lambda i: clock.pass_by(costs[i]), range(5), limit=9.0, clock=clock)
    assert found == pytest.approx(3.0)
    assert calibrate(lambda i: clock.pass_by(5.0), [0], limit=9.0, clock=clock) == 5.0
    assert calibrate(lambda i: None, [0, 1], limit=9.0, clock=clock) > 0


def plan(**changes: float):  # type: ignore[no-untyped-def]
    values = {"listed": 5000, "most": 1000, "batch_size": 32, "seconds": 40, "per_sample": 1e-4}
    return make_plan(**(values | changes), worker_counts=[1, 2])  # type: ignore[arg-type]


def test_fast_samples_are_all_read_several_times() -> None:
    found = plan()
    assert (found.samples, found.batch_size, found.turns) == (1000, 32, 5)
    assert found.passes > 1
    assert plan(listed=10).samples == 10
    assert plan(listed=10).batch_size == 10


def test_slow_samples_are_fewer_in_smaller_batches() -> None:
    found = plan(per_sample=0.1, most=200)
    assert found.turns == 3
    assert found.passes == 1
    assert 8 <= found.samples < 200
    assert 1 <= found.batch_size <= found.samples / 8
    slowest = plan(per_sample=100.0, most=200)
    assert (slowest.samples, slowest.batch_size, slowest.passes) == (8, 1, 1)


@pytest.mark.parametrize("per_sample", [1e-5, 1e-3, 0.02, 0.2])
def test_plans_keep_to_the_time(per_sample: float) -> None:
    found = plan(per_sample=per_sample)
    alone = found.samples * found.passes * per_sample * found.turns
    assert alone * 4 <= 40  # the stages take more readings, and workers read too
