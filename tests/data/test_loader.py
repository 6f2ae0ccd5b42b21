from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from videozoo.data.augment import DevicePolicy
from videozoo.data.batch import Batch, ClipBatch
from videozoo.data.collate import collate_clips
from videozoo.data.dataset import VideoDataset
from videozoo.data.loader import FatalDataError, MicroBatchReader, make_loader, raise_if_fatal
from videozoo.data.sample import ClipSample, Unreadable
from videozoo.data.sampler import EpochOrder, MicroBatch, StepSampler
from videozoo.errors import SampleError, VideozooError


class Numbers(VideoDataset):
    """Clips that show their number; where `rng` draws, they show what it drew too."""

    def __init__(
        self,
        length: int,
        *,
        unreadable: Sequence[int] = (),
        wrong: Sequence[int] = (),
        unlabelled: Sequence[int] = (),
    ) -> None:
        self.length = length
        self.unreadable, self.wrong, self.unlabelled = unreadable, wrong, unlabelled

    def __len__(self) -> int:
        return self.length

    def name(self, index: int) -> str:
        return f"clip {index}"

    def read(self, index: int, rng: np.random.Generator | None = None) -> ClipSample:
        if index in self.unreadable:
            raise SampleError(f"{index} is torn")
        if index in self.wrong:
            raise VideozooError(f"label of {index} is out of range")
        drawn = 0 if rng is None else int(rng.integers(1, 256))
        clip = np.array([index, drawn], dtype=np.uint8).reshape(1, 2, 1, 1)
        return ClipSample(f"clip {index}", clip, None if index in self.unlabelled else (index,))

    def placeholder(self) -> ClipSample:
        return ClipSample("", np.zeros((1, 2, 1, 1), dtype=np.uint8), None)

    def collate(self, samples: Iterable[Any], **_: Any) -> Batch:
        return collate_clips(samples)


def read_epochs(
    dataset: Numbers,
    *,
    workers: int | None,
    training: bool = True,
    epochs: int = 1,
    **more: int,
) -> list[ClipBatch]:
    sampler = StepSampler(
        len(dataset), batch_size=4, micro_batch_size=2, shuffle=training, seed=more.get("seed", 0)
    )
    loader = make_loader(dataset, sampler, training=training, num_workers=workers, **more)
    batches: list[ClipBatch] = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for batch in loader:
            whole = raise_if_fatal(batch)
            assert isinstance(whole, ClipBatch)
            batches.append(whole)
    return batches


def clips_of(batches: Sequence[ClipBatch]) -> list[list[list[int]]]:
    return [batch.clips.flatten(1).tolist() for batch in batches]


def test_batches_come_in_the_samplers_order() -> None:
    batches = read_epochs(Numbers(10), workers=0, training=False)
    assert [b.videos for b in batches] == [[f"clip {i}", f"clip {i + 1}"] for i in range(0, 10, 2)]
    assert [b.micro_batch.step for b in batches if b.micro_batch] == [0, 0, 1, 1, 2]
    shuffled = read_epochs(Numbers(10), workers=0, seed=3)
    order = EpochOrder(10, seed=3, epoch=0).take(0, 10).tolist()
    assert [int(i) for b in shuffled for i in b.labels] == order


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int) -> None:
    dataset = Numbers(11, unreadable=[4, 7])
    alone = read_epochs(dataset, workers=0, epochs=2)
    helped = read_epochs(dataset, workers=workers, epochs=2)
    assert clips_of(helped) == clips_of(alone)
    for one, other in zip(alone, helped, strict=True):
        assert (one.micro_batch, one.unreadable, one.videos) == (
            other.micro_batch,
            other.unreadable,
            other.videos,
        )
        assert torch.equal(one.weights, other.weights)
        assert torch.equal(one.labels, other.labels)


def test_what_is_drawn_depends_on_seed_epoch_and_index() -> None:
    def drawn(*, epochs: int, seed: int) -> list[dict[int, int]]:
        batches = read_epochs(Numbers(8), workers=0, epochs=epochs, seed=seed)
        pairs = [pair for clip in clips_of(batches) for pair in clip]
        return [dict(pairs[e * 8 : e * 8 + 8]) for e in range(epochs)]

    first, second = drawn(epochs=2, seed=0)
    assert first != second
    assert first != drawn(epochs=1, seed=1)[0]
    assert first == drawn(epochs=1, seed=0)[0]
    assert len(set(first.values())) > 1
    for index, value in first.items():
        reader = MicroBatchReader(Numbers(8), training=True, seed=0)
        batch = raise_if_fatal(
            reader[MicroBatch(epoch=0, step=5, indices=(index,), step_size=1, last=True)]
        )
        assert isinstance(batch, ClipBatch)
        assert batch.clips.flatten().tolist() == [index, value]


def test_nothing_is_drawn_in_test() -> None:
    batches = read_epochs(Numbers(4), workers=0, training=False)
    assert [pair[1] for clip in clips_of(batches) for pair in clip] == [0, 0, 0, 0]


def test_unreadable_samples_are_left_out_and_named() -> None:
    batches = read_epochs(Numbers(4, unreadable=[1]), workers=0, training=False)
    assert batches[0].videos == ["clip 0"]
    assert batches[0].unreadable == [Unreadable(1, "clip 1", "1 is torn")]
    assert batches[0].weights.tolist() == [1.0]
    assert batches[1].unreadable == []


def test_a_micro_batch_without_a_readable_sample_becomes_a_placeholder() -> None:
    batches = read_epochs(Numbers(4, unreadable=[0, 1]), workers=0, training=False)
    assert batches[0].videos == [""]
    assert batches[0].weights.tolist() == [0.0]
    assert [u.index for u in batches[0].unreadable] == [0, 1]
    assert batches[1].weights.tolist() == [1.0, 1.0]


def test_an_empty_micro_batch_becomes_a_placeholder() -> None:
    reader = MicroBatchReader(Numbers(3), training=True)
    batch = raise_if_fatal(reader[MicroBatch(epoch=0, step=0, indices=(), step_size=1, last=True)])
    assert batch.weights.tolist() == [0.0]
    assert batch.unreadable == []


def test_training_leaves_out_what_has_no_label() -> None:
    dataset = Numbers(4, unlabelled=[2])
    training = read_epochs(dataset, workers=0)
    assert sorted(v for b in training for v in b.videos) == ["clip 0", "clip 1", "clip 3"]
    (lost,) = [u for b in training for u in b.unreadable]
    assert lost.video == "clip 2"
    assert "class" in lost.reason
    testing = read_epochs(dataset, workers=0, training=False)
    assert [v for b in testing for v in b.videos] == [f"clip {i}" for i in range(4)]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_fault_of_the_config_stops(workers: int) -> None:
    with pytest.raises(VideozooError, match=r"^label of 2 is out of range$"):
        read_epochs(Numbers(4, wrong=[2]), workers=workers)


def test_raise_if_fatal_passes_batches_and_raises_errors() -> None:
    batch = read_epochs(Numbers(1), workers=0)[0]
    assert raise_if_fatal(batch) is batch
    with pytest.raises(VideozooError, match="no such class"):
        raise_if_fatal(FatalDataError("no such class", batch))


def test_short_lists_need_no_workers() -> None:
    sampler = StepSampler(3, batch_size=4, micro_batch_size=4, shuffle=False)
    assert make_loader(Numbers(3), sampler, training=False, num_workers=None).num_workers == 0


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away here")
def test_there_are_no_more_workers_than_cores_this_process_may_use() -> None:
    sampler = StepSampler(64, batch_size=4, micro_batch_size=4, shuffle=False)
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(all_cores)})
    try:
        loader = make_loader(Numbers(64), sampler, training=False, num_workers=None)
    finally:
        os.sched_setaffinity(0, all_cores)
    assert loader.num_workers == 1


def balanced_batches(*, workers: int) -> list[ClipBatch]:
    """Two samples of class 0 and six of class 1, drawn equally often and jittered."""
    sampler = StepSampler(
        8, batch_size=4, micro_batch_size=4, shuffle=True, seed=1, classes=[(0,)] * 2 + [(1,)] * 6
    )
    loader = make_loader(
        Numbers(8),
        sampler,
        training=True,
        num_workers=workers,
        seed=1,
        policy=DevicePolicy(mixup_alpha=0.5),
    )
    batches = [raise_if_fatal(batch) for batch in loader]
    assert all(isinstance(batch, ClipBatch) for batch in batches)
    return batches  # type: ignore[return-value]


def test_what_comes_again_in_an_epoch_is_drawn_anew() -> None:
    pairs = [tuple(clip) for clips in clips_of(balanced_batches(workers=0)) for clip in clips]
    assert len([index for index, _ in pairs if index < 2]) == 4
    assert len(set(pairs)) == 8
    assert len({index for index, _ in pairs}) == 6


def test_workers_change_nothing_of_a_balanced_and_jittered_epoch() -> None:
    for one, other in zip(balanced_batches(workers=0), balanced_batches(workers=2), strict=True):
        assert one.videos == other.videos
        assert torch.equal(one.clips, other.clips)
        assert one.draws is not None
        assert other.draws is not None
        assert one.draws.shape == (4, 5)
        assert torch.equal(one.draws, other.draws)


def test_a_policy_changes_nothing_of_what_a_data_set_draws() -> None:
    micro_batch = MicroBatch(epoch=0, step=0, indices=(3, 5), step_size=2, last=True)
    dataset = Numbers(8, unreadable=[5])
    plain = raise_if_fatal(MicroBatchReader(dataset, training=True)[micro_batch])
    jittered = raise_if_fatal(
        MicroBatchReader(dataset, training=True, policy=DevicePolicy(0.5))[micro_batch]
    )
    assert isinstance(plain, ClipBatch)
    assert isinstance(jittered, ClipBatch)
    assert plain.draws is None
    assert jittered.draws is not None
    assert len(jittered.draws) == 1  # none for what could not be read
    assert torch.equal(plain.clips, jittered.clips)
