from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_training import CLASSES, Steps, feature_batch

from videozoo.data.batch import Batch, ClipBatch, FeatureBatch
from videozoo.data.collate import collate_clips
from videozoo.data.sample import ClipSample
from videozoo.metrics.losses import clip_loss

SHARES = torch.tensor([0.3, 1.0, 0.6])


def with_shares(batch: Batch, shares: torch.Tensor = SHARES) -> Batch:
    return replace(batch, draws=shares[:, None])


def clip_batch() -> ClipBatch:
    torch.manual_seed(0)
    clips = torch.randint(0, 256, (3, 2, 3, 4, 4), dtype=torch.uint8)
    samples = [ClipSample(f"{i}", clips[i].numpy(), (label,)) for i, label in enumerate((2, 0, 1))]
    return collate_clips(samples)


def test_clips_and_labels_are_mixed_with_the_next_ones() -> None:
    batch = clip_batch()
    out = with_shares(batch).mixed(4)
    assert isinstance(out, ClipBatch)
    clips = batch.clips.float()
    torch.testing.assert_close(out.clips[0], 0.3 * clips[0] + 0.7 * clips[1])
    torch.testing.assert_close(out.clips[1], clips[1])
    torch.testing.assert_close(out.clips[2], 0.6 * clips[2] + 0.4 * clips[0])
    expected = torch.tensor([[0.7, 0, 0.3, 0], [1, 0, 0, 0], [0, 0.6, 0.4, 0]])
    torch.testing.assert_close(out.labels, expected)


def test_the_loss_is_the_mixture_of_both_labels_losses() -> None:
    batch = clip_batch()
    out = with_shares(batch).mixed(4)
    logits = torch.randn(3, 4)
    mine = clip_loss(logits, batch.labels)
    theirs = clip_loss(logits, batch.labels.roll(-1))
    expected = SHARES * mine + (1 - SHARES) * theirs
    torch.testing.assert_close(clip_loss(logits, out.labels), expected)


def features_mixed() -> tuple[FeatureBatch, FeatureBatch]:
    # v0, v1 and v3 have 2, 3 and 5 frames
    batch = feature_batch([0, 1, 3])
    out = with_shares(batch).mixed(CLASSES)
    assert isinstance(out, FeatureBatch)
    return batch, out


def test_features_are_mixed_where_both_have_frames() -> None:
    batch, out = features_mixed()
    assert batch.lengths.tolist() == [2, 3, 5]
    assert out.lengths.tolist() == [3, 5, 5]
    for before, after in zip(batch.features, out.features, strict=True):
        x = before.float()
        torch.testing.assert_close(after[0, :2], 0.3 * x[0, :2] + 0.7 * x[1, :2])
        torch.testing.assert_close(after[0, 2], x[1, 2])  # v0 has ended
        torch.testing.assert_close(after[1, :3], x[1, :3])  # its share is 1
        torch.testing.assert_close(after[1, 3:5], x[2, 3:5])
        torch.testing.assert_close(after[2, :2], 0.6 * x[2, :2] + 0.4 * x[0, :2])
        torch.testing.assert_close(after[2, 2:], x[2, 2:])
    rows = torch.eye(CLASSES)[[0, 1, 3]]
    torch.testing.assert_close(out.labels[0], 0.3 * rows[0] + 0.7 * rows[1])


@pytest.mark.parametrize("model", ["AttentionCluster", "AttentionLSTM", "NEXTVLAD"])
def test_padding_shows_in_no_mixture(model: str) -> None:
    batch, out = features_mixed()
    filled = []
    for feature in batch.features:
        beyond = torch.arange(feature.shape[1]) >= batch.lengths[:, None]
        filled.append(torch.where(beyond[..., None], 255, feature))
    dirty = replace(with_shares(batch), features=tuple(filled))
    again = dirty.mixed(CLASSES)
    classifier = Steps(model).classifier.eval()
    with torch.no_grad():
        torch.testing.assert_close(classifier(again), classifier(out))
