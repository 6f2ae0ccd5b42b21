from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videozoo.data.sampler import (
    BalancedOrder,
    EpochOrder,
    MicroBatch,
    ReadGroups,
    StepSampler,
    split_evenly,
)


def epoch_order(
    length: int, *, seed: int, epoch: int, groups: ReadGroups | None = None
) -> np.ndarray:
    """Returns the order of an epoch whole."""
    return EpochOrder(length, seed=seed, epoch=epoch, groups=groups).take(0, length)


LENGTHS = st.integers(1, 60)
BATCHES = st.integers(1, 20)
MICRO_BATCHES = st.integers(1, 25)
WORLDS = st.integers(1, 5)


def samplers(
    length: int,
    *,
    batch: int,
    micro: int,
    world: int = 1,
    shuffle: bool = True,
    seed: int = 0,
    groups: ReadGroups | None = None,
) -> list[StepSampler]:
    """Returns the sampler of every process."""
    return [
        StepSampler(
            length,
            batch_size=batch,
            micro_batch_size=micro,
            shuffle=shuffle,
            seed=seed,
            rank=rank,
            world=world,
            groups=groups,
        )
        for rank in range(world)
    ]


def parts_by_step(processes: list[list[MicroBatch]]) -> dict[int, list[tuple[int, ...]]]:
    """Returns each step's parts that hold samples, in the order: round, process."""
    steps: dict[int, list[tuple[int, ...]]] = {}
    for chunk_of_each in zip(*processes, strict=True):
        for micro in chunk_of_each:
            if micro.indices:
                steps.setdefault(micro.step, []).append(micro.indices)
    return steps


@given(LENGTHS, BATCHES, MICRO_BATCHES, WORLDS)
def test_an_epoch_has_each_sample_once(length: int, batch: int, micro: int, world: int) -> None:
    processes = [list(s) for s in samplers(length, batch=batch, micro=micro, world=world)]
    indices = [i for parts in processes for micro in parts for i in micro.indices]
    assert sorted(indices) == list(range(length))


@given(LENGTHS, BATCHES, MICRO_BATCHES, WORLDS)
def test_the_length_is_exact(length: int, batch: int, micro: int, world: int) -> None:
    for sampler in samplers(length, batch=batch, micro=micro, world=world):
        assert len(sampler) == len(list(sampler))
        assert sampler.steps == -(-length // batch)


@given(LENGTHS, BATCHES, MICRO_BATCHES, WORLDS)
def test_all_processes_step_together(length: int, batch: int, micro: int, world: int) -> None:
    processes = [list(s) for s in samplers(length, batch=batch, micro=micro, world=world)]
    places = [[(c.epoch, c.step, c.step_size, c.last) for c in parts] for parts in processes]
    assert all(place == places[0] for place in places)
    lasts = [micro.step for micro in processes[0] if micro.last]
    assert lasts == list(range(-(-length // batch)))


@given(LENGTHS, BATCHES, MICRO_BATCHES, WORLDS)
def test_the_number_of_processes_does_not_change_the_micro_batches_of_a_step(
    length: int, batch: int, micro: int, world: int
) -> None:
    alone = [list(s) for s in samplers(length, batch=batch, micro=micro)]
    many = [list(s) for s in samplers(length, batch=batch, micro=micro, world=world)]
    assert parts_by_step(many) == parts_by_step(alone)


@given(LENGTHS, BATCHES, MICRO_BATCHES, WORLDS)
def test_micro_batches_are_as_long_as_allowed_and_even(
    length: int, batch: int, micro: int, world: int
) -> None:
    processes = [list(s) for s in samplers(length, batch=batch, micro=micro, world=world)]
    for step, parts in parts_by_step(processes).items():
        sizes = [len(indices) for indices in parts]
        assert max(sizes) <= min(micro, batch)
        assert max(sizes) - min(sizes) <= 1
        assert len(sizes) == -(-sum(sizes) // min(micro, batch))
        assert {c.step_size for c in processes[0] if c.step == step} == {sum(sizes)}


@given(st.integers(0, 40), st.integers(1, 9))
def test_split_evenly_keeps_the_order(length: int, size: int) -> None:
    parts = split_evenly(np.arange(length), size)
    assert [i for part in parts for i in part] == list(range(length))
    assert all(parts)


def test_the_last_batch_is_kept_and_split_evenly() -> None:
    (sampler,) = samplers(10, batch=7, micro=2, shuffle=False)
    last = [micro.indices for micro in sampler if micro.step == 1]
    assert last == [(7, 8), (9,)]
    (sampler,) = samplers(10, batch=6, micro=3, shuffle=False)
    assert [c.indices for c in sampler] == [(0, 1, 2), (3, 4, 5), (6, 7), (8, 9)]


def test_a_process_without_a_share_gets_an_empty_micro_batch() -> None:
    first, second = (list(s) for s in samplers(5, batch=4, micro=2, world=2, shuffle=False))
    assert [c.indices for c in first] == [(0, 1), (4,)]
    assert [c.indices for c in second] == [(2, 3), ()]
    assert second[-1].last
    assert second[-1].step_size == 1


@given(LENGTHS, st.integers(0, 5), st.integers(0, 5))
def test_seed_and_epoch_alone_decide_the_order(length: int, seed: int, epoch: int) -> None:
    wanted = epoch_order(length, seed=seed, epoch=epoch).tolist()
    (sampler,) = samplers(length, batch=4, micro=2, seed=seed)
    for _ in range(2):  # neither a second pass nor the epochs before change it
        sampler.set_epoch(epoch + 1)
        list(sampler)
        sampler.set_epoch(epoch)
        parts = list(sampler)
        assert [i for micro in parts for i in micro.indices] == wanted
        assert {micro.epoch for micro in parts} == {epoch}


def test_every_epoch_and_every_seed_has_an_order_of_its_own() -> None:
    orders = [epoch_order(50, seed=s, epoch=e).tolist() for s in range(3) for e in range(4)]
    assert len({tuple(order) for order in orders}) == 12


def test_without_shuffling_the_order_is_the_lists() -> None:
    (sampler,) = samplers(7, batch=3, micro=3, shuffle=False)
    sampler.set_epoch(2)
    assert [i for micro in sampler for i in micro.indices] == list(range(7))


@given(LENGTHS, BATCHES, MICRO_BATCHES, WORLDS, st.data())
def test_a_resumed_epoch_goes_on_exactly(
    length: int, batch: int, micro: int, world: int, data: st.DataObject
) -> None:
    step = data.draw(st.integers(0, -(-length // batch)))
    for sampler in samplers(length, batch=batch, micro=micro, world=world):
        sampler.set_epoch(3)
        whole = list(sampler)
        sampler.set_epoch(4)
        after = list(sampler)
        sampler.resume_at(3, step)
        assert list(sampler) == [c for c in whole if c.step >= step]
        sampler.set_epoch(4)
        assert list(sampler) == after


@pytest.mark.parametrize("length", [0, 1])
def test_short_lists(length: int) -> None:
    (sampler,) = samplers(length, batch=8, micro=8)
    assert [c.indices for c in sampler] == [(0,)] * length
    assert len(sampler) == length


SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=9)
AT_ONCE = st.integers(1, 4)


@given(sizes=SIZES, at_once=AT_ONCE, seed=st.integers(0, 99))
def test_groups_are_read_together(sizes: list[int], at_once: int, seed: int) -> None:
    stops = np.cumsum(sizes)
    length = int(stops[-1])
    order = epoch_order(length, seed=seed, epoch=3, groups=ReadGroups(stops, at_once)).tolist()
    assert sorted(order) == list(range(length))
    seen = [int(np.searchsorted(stops, i, side="right")) for i in order]
    # Once a window of at_once groups is done, none of them comes again.
    for place, group in enumerate(seen):
        last = len(seen) - 1 - seen[::-1].index(group)
        assert len(set(seen[place : last + 1])) <= at_once


@given(sizes=SIZES, at_once=AT_ONCE, batch=BATCHES, data=st.data())
def test_windows_are_made_without_those_before(
    sizes: list[int], at_once: int, batch: int, data: st.DataObject
) -> None:
    stops = np.cumsum(sizes)
    groups, length = ReadGroups(stops, at_once), int(stops[-1])
    whole = epoch_order(length, seed=1, epoch=2, groups=groups).tolist()
    start = data.draw(st.integers(0, length))
    stop = data.draw(st.integers(start, length))
    order = EpochOrder(length, seed=1, epoch=2, groups=groups)
    assert order.take(start, stop).tolist() == whole[start:stop]
    assert order.take(0, length).tolist() == whole, "having been elsewhere changes nothing"
    # the sampler takes it step by step, from the middle too
    (sampler,) = samplers(length, batch=batch, micro=batch, seed=1, groups=groups)
    step = data.draw(st.integers(0, sampler.steps))
    sampler.set_epoch(2)
    sampler.resume_at(2, step)
    assert [i for micro in sampler for i in micro.indices] == whole[step * batch :]


def test_only_the_windows_that_are_asked_for_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: list[list[int]] = []
    make = np.random.default_rng

    def noted(key: list[int]) -> np.random.Generator:
        keys.append(key)
        return make(key)

    monkeypatch.setattr(np.random, "default_rng", noted)
    groups = ReadGroups(np.arange(10, 101, 10), 2)  # 5 windows of 20
    (sampler,) = samplers(100, batch=8, micro=8, seed=7, groups=groups)
    sampler.set_epoch(4)
    sampler.resume_at(4, 8)  # the first sample is the 64th: window 3
    list(sampler)
    assert keys == [[7, 4, 0], [7, 4, 0, 4], [7, 4, 0, 5]]


def test_few_groups_are_shuffled_whole_and_many_in_even_windows() -> None:
    few = ReadGroups(np.array([3, 6]), 16)
    orders = [epoch_order(6, seed=s, epoch=0, groups=few).tolist() for s in range(50)]
    assert len({tuple(order) for order in orders}) > 40
    # 17 groups by 16: 9 and 8, not 16 and a lone one
    many = ReadGroups(np.arange(1, 18), 16)
    firsts = epoch_order(17, seed=0, epoch=0, groups=many).tolist()[:9]
    again = [epoch_order(17, seed=0, epoch=e, groups=many).tolist()[:9] for e in range(1, 5)]
    assert all(set(other) != set(firsts) for other in again), "windows differ by epoch"


CLASSES = [(0,)] * 20 + [(1,)] * 4 + [()] + [(2,)] * 2


def balanced(*, seed: int = 0, epoch: int = 0) -> list[int]:
    return BalancedOrder(CLASSES, seed=seed, epoch=epoch).take(0, len(CLASSES)).tolist()


def test_a_balanced_order_has_every_class_equally_often() -> None:
    order = balanced()
    assert len(order) == 27
    drawn = [CLASSES[index][0] for index in order]
    assert [drawn.count(c) for c in range(3)] == [9, 9, 9]
    # all of a class come before one of them comes again
    assert {order.count(25), order.count(26)} == {4, 5}
    assert len({i for i in order if i < 20}) == 9
    assert 24 not in order  # names no class


def test_a_balanced_order_depends_on_seed_and_epoch() -> None:
    assert balanced() == balanced()
    assert balanced() != balanced(epoch=1)
    assert balanced() != balanced(seed=1)


def test_a_sample_of_many_classes_takes_part_for_each() -> None:
    order = BalancedOrder([(0, 1), (0,), (2,)] * 4, seed=0, epoch=0)
    counts = np.bincount(order.take(0, 12), minlength=12)
    assert counts[[2, 5, 8, 11]].tolist() == [1] * 4  # class 2: a third of twelve, four samples
    assert counts[[0, 3, 6, 9]].sum() >= 4  # the four of class 1, and some of class 0


def test_repeats_count_what_came_before() -> None:
    order = BalancedOrder(CLASSES, seed=3, epoch=2)
    seen: dict[int, int] = {}
    for index, again in zip(order.take(0, 27).tolist(), order.repeats().tolist(), strict=True):
        assert again == seen.get(index, 0)
        seen[index] = again + 1


@given(BATCHES, MICRO_BATCHES, WORLDS)
def test_micro_batches_of_a_balanced_epoch_carry_its_order(
    batch: int, micro: int, world: int
) -> None:
    processes = [
        StepSampler(
            len(CLASSES), batch_size=batch, micro_batch_size=micro, shuffle=True,
            rank=rank, world=world, classes=CLASSES,
        )
        for rank in range(world)
    ]  # fmt: skip
    parts = [c for each in zip(*processes, strict=True) for c in each if c.indices]
    assert [i for c in parts for i in c.indices] == balanced()
    repeats = BalancedOrder(CLASSES, seed=0, epoch=0).repeats().tolist()
    assert [n for c in parts for n in c.repeats] == repeats
