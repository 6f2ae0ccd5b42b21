from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videozoo.training.sides import choose_valid, equal_ones, join, rarest_labels


def test_what_is_tied_in_a_chain_is_one_unit() -> None:
    assert join(6, [[0, 3], [4, 3], [5]]) == [0, 1, 2, 0, 0, 3]
    assert equal_ones(["x", None, "y", "x", None]) == [[0, 3]]


def test_a_video_of_many_classes_counts_for_its_rarest() -> None:
    assert rarest_labels([(0,), (0, 1), (1, 0, 2), (), (0,)]) == [0, 1, 2, -1, 0]


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=40),
    st.integers(0, 5),
    st.floats(0.05, 0.6),
)
def test_units_stay_whole_and_no_class_gives_all(
    videos: list[tuple[int, int]], seed: int, share: float
) -> None:
    units = join(len(videos), equal_ones(unit for unit, _ in videos))
    classes = [label for _, label in videos]
    chosen = choose_valid(units, classes, seed=seed, share=share)
    valid = {unit for unit, take in zip(units, chosen, strict=True) if take}
    train = {unit for unit, take in zip(units, chosen, strict=True) if not take}
    assert not valid & train
    assert {label for label, take in zip(classes, chosen, strict=True) if not take} == set(classes)


@given(
    st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=8), min_size=1, max_size=5),
    st.integers(0, 5),
)
def test_each_class_of_two_units_gives_one(sizes: list[list[int]], seed: int) -> None:
    """A class is a list of the sizes of its units."""
    units, classes = [], []
    for label, of_class in enumerate(sizes):
        for size in of_class:
            units += [max(units, default=-1) + 1] * size
            classes += [label] * size
    chosen = choose_valid(units, classes, seed=seed, share=0.2)
    valid = Counter(label for label, take in zip(classes, chosen, strict=True) if take)
    for label, of_class in enumerate(sizes):
        assert (valid[label] > 0) == (len(of_class) > 1)


@pytest.mark.parametrize(
    ("sizes", "given"),
    [([1] * 10, 2), ([25] * 4, 25), ([30, 30, 30, 5, 5], 10), ([70, 30], 30), ([90, 1, 9], 10),
     ([2, 1], 1)],
)  # fmt: skip
def test_a_class_gives_about_its_share(sizes: list[int], given: int) -> None:
    units = [unit for unit, size in enumerate(sizes) for _ in range(size)]
    for seed in range(5):
        assert sum(choose_valid(units, [0] * len(units), seed=seed, share=0.2)) == given
