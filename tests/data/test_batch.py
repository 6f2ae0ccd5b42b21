from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from videozoo.data.batch import NO_LABEL
from videozoo.data.collate import collate_clips, collate_features
from videozoo.data.framing import Views
from videozoo.data.sample import ClipSample, FeatureSample, Unreadable
from videozoo.data.sampler import MicroBatch


def feature_sample(video: str, frames: int, labels: list[int] | None) -> FeatureSample:
    """A video whose values are its number of frames: no real value is zero."""
    return FeatureSample(
        video,
        (np.full((frames, 3), frames, np.uint8), np.full((frames, 2), frames, np.uint8)),
        None if labels is None else np.array(labels, dtype=np.int64),
    )


def test_features_are_padded_with_zeros_behind_the_last_frame() -> None:
    batch = collate_features(
        [feature_sample("a", 2, [1]), feature_sample("b", 4, [0, 2])], num_classes=3
    )
    assert [tuple(f.shape) for f in batch.features] == [(2, 4, 3), (2, 4, 2)]
    assert all(f.dtype == torch.uint8 for f in batch.features)
    assert batch.features[0][:, :, 0].tolist() == [[2, 2, 0, 0], [4, 4, 4, 4]]
    assert batch.lengths.tolist() == [2, 4]
    assert batch.labels.tolist() == [[False, True, False], [True, False, True]]
    assert batch.videos == ["a", "b"]
    assert batch.weights.tolist() == [1, 1]


def test_no_label_and_an_empty_label_differ() -> None:
    batch = collate_features(
        [feature_sample("a", 1, None), feature_sample("b", 1, [])], num_classes=2
    )
    assert batch.labelled.tolist() == [False, True]
    assert not batch.labels.any()


def test_clips_of_several_sizes_are_padded_where_views_are_cut_out_of_them() -> None:
    sides = [(4, 6), (6, 4), (4, 4)]
    samples = [ClipSample("", np.full((2, 3, *side), 7, np.uint8), None) for side in sides]
    batch = collate_clips(samples, views=Views(4, "ten"))
    assert tuple(batch.clips.shape) == (3, 2, 3, 6, 6)
    assert batch.sizes is not None
    assert batch.sizes.tolist() == [list(side) for side in sides]
    for clip, (height, width) in zip(batch.clips, sides, strict=True):
        assert (clip[..., :height, :width] == 7).all()
        assert clip.sum() == 7 * 6 * height * width
    assert batch.part(1, 3).sizes.tolist() == [[6, 4], [4, 4]]
    assert collate_clips(samples[:1] * 2, views=Views(4, "ten")).sizes is None
    with pytest.raises(ValueError, match="same shape"):
        collate_clips(samples)


def test_one_clip_is_not_copied() -> None:
    clip = np.zeros((2, 3, 4, 4), np.uint8)
    batch = collate_clips([ClipSample("a", clip, (1,))])
    assert batch.clips.numpy().base is not None
    assert np.shares_memory(batch.clips.numpy(), clip)


def test_clips_are_stacked() -> None:
    clips = [np.full((2, 3, 4, 4), i, np.uint8) for i in range(3)]
    batch = collate_clips(
        [
            ClipSample("a", clips[0], (1,)),
            ClipSample("b", clips[1], None),
            ClipSample("c", clips[2], (0,)),
        ]
    )
    assert tuple(batch.clips.shape) == (3, 2, 3, 4, 4)
    assert batch.clips.dtype == torch.uint8
    assert batch.clips[:, 0, 0, 0, 0].tolist() == [0, 1, 2]
    assert batch.labels.tolist() == [1, NO_LABEL, 0]
    assert batch.labelled.tolist() == [True, False, True]


def test_a_part_takes_every_field() -> None:
    micro_batch = MicroBatch(epoch=0, step=0, indices=(5, 6, 7), step_size=3, last=True)
    lost = [Unreadable(7, "d", "torn")]
    samples = [feature_sample(v, n, [n % 3]) for v, n in (("a", 1), ("b", 2), ("c", 3))]
    batch = collate_features(samples, num_classes=3)
    batch = replace(batch, unreadable=lost, micro_batch=micro_batch)
    part = batch.part(1, 5)
    assert part.videos == ["b", "c"]
    assert len(part) == 2
    assert torch.equal(part.features[0], batch.features[0][1:])
    assert torch.equal(part.features[1], batch.features[1][1:])
    for name in ("weights", "lengths", "labels", "labelled"):
        assert torch.equal(getattr(part, name), getattr(batch, name)[1:])
    assert (part.micro_batch, part.unreadable) == (micro_batch, lost)


def test_to_moves_every_tensor() -> None:
    batch = collate_features([feature_sample("a", 2, [1])], num_classes=2).to("meta")
    tensors = [*batch.features, batch.weights, batch.lengths, batch.labels, batch.labelled]
    assert {t.device.type for t in tensors} == {"meta"}
    assert batch.videos == ["a"]


@pytest.mark.parametrize("longest", [0, 2, 4, 9])
def test_samples_may_come_one_by_one(longest: int) -> None:
    samples = [feature_sample(f"{n}", n, [n % 3]) for n in (2, 1, 4, 3)]
    wanted = collate_features(samples, num_classes=3)
    found = collate_features(iter(samples), num_classes=3, count=6, longest=longest)
    assert found.videos == wanted.videos
    for name in ("weights", "lengths", "labels", "labelled"):
        assert torch.equal(getattr(found, name), getattr(wanted, name))
    for mine, theirs in zip(found.features, wanted.features, strict=True):
        assert torch.equal(mine, theirs)
        assert mine.is_contiguous()
