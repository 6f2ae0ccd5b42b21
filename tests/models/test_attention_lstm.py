from __future__ import annotations

import pytest
import torch

from videozoo.models import AttentionLSTM
from videozoo.models.attention_lstm import _pack


def tiny() -> AttentionLSTM:
    return AttentionLSTM(
        feature_dims=[6, 3],
        num_classes=5,
        embedding_size=4,
        lstm_size=4,
        drop_rate=0.0,
        hidden_sizes=(8, 6),
    )


def test_packing_reverses_each_video_from_its_own_end() -> None:
    lengths = torch.tensor([2, 4, 1])
    order = _pack(lengths, 5)
    # Frame t of video v lies at 5 v + t; the longest video goes first.
    assert order.rows.tolist() == [5, 0, 10, 6, 1, 7, 8]
    assert order.rows[order.reversed].tolist() == [8, 1, 10, 7, 0, 6, 5]
    assert order.rows[order.reversed][order.reversed].equal(order.rows)
    assert order.sizes == [3, 2, 1, 1]


@pytest.mark.parametrize("train", [True, False])
def test_a_video_scores_the_same_in_any_batch(train: bool) -> None:
    torch.manual_seed(0)
    model = tiny().train(train)
    lengths = torch.tensor([3, 7, 1, 7, 5])
    features = [torch.randn(5, 9, d) for d in (6, 3)]
    together = model(features, lengths)
    for v, n in enumerate(lengths.tolist()):
        alone = model([x[v : v + 1, :n] for x in features], lengths[v : v + 1])
        torch.testing.assert_close(together[v : v + 1], alone, rtol=1e-5, atol=1e-6)


def test_padding_may_hold_anything() -> None:
    torch.manual_seed(0)
    model = tiny()
    lengths = torch.tensor([2, 4])
    features = [torch.randn(2, 6, d) for d in (6, 3)]
    clean = model(features, lengths)
    for x in features:
        x[0, 2:] = torch.nan
        x[1, 4:] = torch.inf
    dirty = model(features, lengths)
    assert torch.equal(clean, dirty)
    dirty.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_bfloat16_scores_stay_near() -> None:
    torch.manual_seed(0)
    model = tiny()
    features, lengths = [torch.randn(3, 30, d) for d in (6, 3)], torch.tensor([30, 12, 25])
    with torch.inference_mode():
        exact = model(features, lengths).sigmoid()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            short = model(features, lengths).float().sigmoid()
    assert (short - exact).abs().max() < 1e-2
