"""Batches of shards: what the loaders give against the samples that read gives one by one."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from youtube8m_records import features, source_of

from videozoo.data.batch import FeatureBatch
from videozoo.data.collate import empty_array
from videozoo.data.loader import MicroBatchReader, make_loader, raise_if_fatal
from videozoo.data.sample import FeatureSample, Unreadable
from videozoo.data.sampler import MicroBatch, StepSampler
from videozoo.data.youtube8m.dataset import YouTube8MDataset
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.frames import sample_cluster_frames
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.errors import SampleError

FRAMES = [5, 300, 1, 120, 7, 299, 64, 2]


def video(number: int, **changed: Any) -> bytes:
    made = {
        "video": f"v{number}",
        "labels": [number % 10, 9],
        "features": features(number, FRAMES[number % len(FRAMES)]),
    }
    return encode_example(**{**made, **changed})


def in_pieces(number: int) -> bytes:
    """A video of two frames, an unknown field in the second one: no matrix of even rows."""
    first, second = features(number, 2)["rgb"]
    audio = features(number, 2)["audio"]
    frames = [b"\x0a\x0a\x0a\x08" + first.tobytes()]
    frames = [b"\x0a\x0c" + frames[0], b"\x0a\x0e\x48\x01\x0a\x0a\x0a\x08" + second.tobytes()]
    rgb = b"\x0a\x03rgb\x12" + bytes([len(b"".join(frames))]) + b"".join(frames)
    plain = encode_example(video="odd", labels=None, features={"audio": audio})
    entry = b"\x0a" + bytes([len(rgb)]) + rgb
    return plain + b"\x12" + bytes([len(entry)]) + entry


@pytest.fixture
def mixed(tmp_path: Path) -> list[Path]:
    """Videos of all lengths; odd records; a pickle; a damaged record; a shard cut off."""
    paths = [tmp_path / name for name in ("a.tfrecord", "b.tfrecord", "c.pkl", "d.tfrecord")]
    write_tfrecord(paths[0], [video(i) for i in range(8)])
    other = {**features(8, 5), "flow": features(9, 40)["rgb"]}
    odd = [video(8, labels=None), in_pieces(9), video(10, features=other), video(11, labels=[])]
    write_tfrecord(paths[1], odd)
    stored = features(12, 70)
    record = {"video": "v12", "feature": stored["rgb"], "audio": stored["audio"], "label": [3]}
    paths[2].write_bytes(pickle.dumps([record], 2))
    write_tfrecord(paths[3], [video(13), video(14), video(15)])
    content = bytearray(paths[3].read_bytes()[:-1])
    content[content.index(features(14, 64)["rgb"].tobytes()[:8])] ^= 1
    paths[3].write_bytes(content)
    return paths


def micro_batch_of(*indices: int) -> MicroBatch:
    return MicroBatch(epoch=2, step=0, indices=indices, step_size=len(indices), last=True)


def same(found: FeatureBatch, wanted: FeatureBatch) -> None:
    assert (found.videos, found.unreadable, found.micro_batch) == (
        wanted.videos,
        wanted.unreadable,
        wanted.micro_batch,
    )
    for name in ("weights", "lengths", "labels", "labelled"):
        assert torch.equal(getattr(found, name), getattr(wanted, name)), name
        assert getattr(found, name).dtype == getattr(wanted, name).dtype, name
    assert len(found.features) == len(wanted.features)
    for mine, theirs in zip(found.features, wanted.features, strict=True):
        assert torch.equal(mine, theirs)
        assert mine.is_contiguous()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"frames": partial(sample_cluster_frames, seg_num=6)},
        {"feature_names": ["audio"], "feature_dims": [4]},
        {"labelled": False},
    ],
    ids=["all", "chosen", "audio", "unlabelled"],
)
def test_a_batch_is_what_read_and_collate_give(
    mixed: list[Path], changed: dict[str, Any], training: bool
) -> None:
    dataset = source_of(*mixed, **changed)
    reader = MicroBatchReader(dataset, training=training, seed=5)
    every = list(range(len(dataset)))
    assert len(every) == 16
    for indices in ([2, 0, 3], [0, 1], [4, 5, 6], every, [14, 15], [12], every[::-1], [], [9]):
        for _ in range(2):  # memory that is used again must not matter
            found = raise_if_fatal(reader[micro_batch_of(*indices)])
            assert isinstance(found, FeatureBatch)
            same(found, one_by_one(dataset, indices, training=training))


def one_by_one(dataset: YouTube8MDataset, indices: list[int], *, training: bool) -> FeatureBatch:
    samples, unreadable = [], []
    for index in indices:
        try:
            drawn = training and dataset.frames is not None
            rng = np.random.default_rng([5, 2, 1 + index]) if drawn else None
            sample = dataset.read(index, rng)
            if training and sample.labels is None:
                raise SampleError("names no class, so nothing can be learnt from it")
            samples.append(sample)
        except SampleError as error:
            unreadable.append(Unreadable(index, dataset.name(index), str(error)))
    batch = dataset.collate(samples or [dataset.placeholder()])
    weights = batch.weights if samples else torch.zeros(1)
    part = micro_batch_of(*indices)
    return replace(batch, weights=weights, unreadable=unreadable, micro_batch=part)


def test_odd_records_are_in_the_batch(mixed: list[Path]) -> None:
    batch = raise_if_fatal(
        MicroBatchReader(source_of(*mixed), training=False)[micro_batch_of(9, 8, 12)]
    )
    assert batch.videos == ["odd", "v8", "v12"]
    assert isinstance(batch, FeatureBatch)
    np.testing.assert_array_equal(batch.features[0][0, :2], features(9, 2)["rgb"])
    assert batch.labelled.tolist() == [False, False, True]


def test_a_batch_names_what_cannot_be_read(mixed: list[Path]) -> None:
    batch = raise_if_fatal(
        MicroBatchReader(source_of(*mixed), training=False)[micro_batch_of(13, 14, 15)]
    )
    assert batch.videos == ["v13"]
    assert [(u.index, u.video) for u in batch.unreadable] == [
        (14, f"{mixed[3]}#1"),
        (15, f"{mixed[3]}#2"),
    ]
    assert "record 1: checksum does not match" in batch.unreadable[0].reason
    assert "record 2 is cut off" in batch.unreadable[1].reason


def test_what_read_gave_never_changes(mixed: list[Path]) -> None:
    source = source_of(*mixed)
    samples = [source.read(i) for i in range(8)]
    reader = MicroBatchReader(source, training=True)
    batches = [raise_if_fatal(reader[micro_batch_of(*range(k, k + 4))]) for k in (0, 4, 0, 4, 8)]
    for i, sample in enumerate(samples):
        for found, expected in zip(sample.features, features(i, FRAMES[i]).values(), strict=True):
            np.testing.assert_array_equal(found, expected)
    for batch, first in zip(batches, (0, 4, 0, 4), strict=False):
        assert isinstance(batch, FeatureBatch)
        for row in range(4):
            expected = features(first + row, FRAMES[first + row])["rgb"]
            found = batch.features[0][row]
            np.testing.assert_array_equal(found[: len(expected)], expected)
            assert not found[len(expected) :].any()


def test_videos_go_straight_to_their_rows(shards: list[Path]) -> None:
    made: list[tuple[int, ...]] = []

    def empty(shape: tuple[int, ...]) -> np.ndarray:
        made.append(shape)
        return empty_array(shape)

    reader = MicroBatchReader(source_of(*shards), training=False)
    reader.read(micro_batch_of(2, 4), empty)
    made.clear()
    reader.read(
        micro_batch_of(3, 4), empty
    )  # 5 and 6 frames: their number is known from the records
    assert made == [(2, 6, 8), (2, 6, 4)]


def test_a_record_large_by_other_features_takes_no_room(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    large = {**features(4, 3), "flow": np.zeros((5000, 8), dtype=np.uint8)}
    write_tfrecord(path, [video(0), video(2), video(4, features=large)])
    made: list[int] = []

    def empty(shape: tuple[int, ...]) -> np.ndarray:
        made.append(shape[1])
        return empty_array(shape)

    reader = MicroBatchReader(source_of(path), training=False)
    for indices, longest in (((0, 1), 5), ((2, 1), 3), ((2, 0), 5)):
        batch = reader.read(micro_batch_of(*indices), empty)
        assert isinstance(batch, FeatureBatch)
        assert batch.features[0].shape[1] == longest
    assert max(made) == 5


def test_nothing_is_drawn_for_a_data_set_that_does_not(
    shards: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[object] = []
    read = YouTube8MDataset.read

    def noted(self: YouTube8MDataset, index: int, rng: np.random.Generator | None) -> FeatureSample:
        given.append(rng)
        return read(self, index, rng)

    monkeypatch.setattr(YouTube8MDataset, "read", noted)
    chosen = partial(sample_cluster_frames, seg_num=6)
    for frames, training in ((None, True), (chosen, False), (chosen, True)):
        MicroBatchReader(source_of(*shards, frames=frames), training=training)[micro_batch_of(0, 1)]
    assert given[:4] == [None] * 4
    assert all(isinstance(rng, np.random.Generator) for rng in given[4:])


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_send_the_same_batches(mixed: list[Path], start: str) -> None:
    source = source_of(*mixed)

    def batches(workers: int) -> list[FeatureBatch]:
        sampler = StepSampler(
            len(source), batch_size=3, micro_batch_size=3, shuffle=True, groups=source.read_groups
        )
        loader = make_loader(source, sampler, training=True, num_workers=workers)
        if workers:
            loader.multiprocessing_context = start
        found = []
        for epoch in range(2):
            sampler.set_epoch(epoch)
            for batch in loader:
                whole = raise_if_fatal(batch)
                assert isinstance(whole, FeatureBatch)
                found.append(whole)
        return found

    for found, wanted in zip(batches(1), batches(0), strict=True):
        same(found, wanted)
