from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from videozoo.models import AttentionCluster, AttentionLSTM, Linear, NeXtVLAD

DIMS = (16, 8, 4)
BUILDERS: dict[str, Callable[[int, float], nn.Module]] = {
    "AttentionCluster": lambda m, drop: AttentionCluster(
        feature_dims=DIMS[:m],
        cluster_nums=[4, 3, 2][:m],
        num_classes=5,
        drop_rate=drop,
        hidden_sizes=(12, 10),
    ),
    "AttentionLSTM": lambda m, drop: AttentionLSTM(
        feature_dims=DIMS[:m],
        num_classes=5,
        embedding_size=6,
        lstm_size=7,
        drop_rate=drop,
        hidden_sizes=(12, 10),
    ),
    "LINEAR": lambda m, drop: Linear(feature_dims=DIMS[:m], num_classes=5),
    "NEXTVLAD": lambda m, drop: NeXtVLAD(
        feature_dims=DIMS[:m],
        num_classes=5,
        cluster_size=3,
        hidden_size=16,
        groups=4,
        expansion=2,
        drop_rate=drop,
        gating_reduction=4,
    ),
}
LENGTHS = torch.tensor([3, 9, 1, 6])


def build(name: str, modalities: int = 2, drop: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return BUILDERS[name](modalities, drop)


def batch(modalities: int = 2, filling: float = 0.0, frames: int = 9) -> list[Tensor]:
    """Random real frames (the same for any filling and length), `filling` behind them."""
    generator = torch.Generator().manual_seed(1)
    features = []
    for d in DIMS[:modalities]:
        x = torch.full((len(LENGTHS), frames, d), filling)
        for row, n in zip(x, LENGTHS.tolist(), strict=True):
            row[:n] = torch.randn(n, d, generator=generator)
        features.append(x)
    return features


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_scores_alone_equal_scores_in_a_padded_batch(name: str, modalities: int) -> None:
    model = build(name, modalities, drop=0.5).eval()
    features = batch(modalities)
    with torch.no_grad():
        together = model(features, LENGTHS)
        assert together.shape == (4, 5)
        for b, n in enumerate(LENGTHS.tolist()):
            alone = model([x[b : b + 1, :n] for x in features], LENGTHS[b : b + 1])
            torch.testing.assert_close(alone[0], together[b], rtol=0, atol=1e-5)
    assert (together[0] - together[1]).abs().max() > 1e-4


@pytest.mark.parametrize("name", BUILDERS)
def test_training_does_not_see_padding(name: str) -> None:
    """Loss, gradients and running statistics do not depend on what padding holds or how long."""
    results = []
    for filling, frames in ((0.0, 9), (50.0, 9), (-3.0, 14)):
        model = build(name).train()
        loss = model(batch(filling=filling, frames=frames), LENGTHS).square().sum()
        loss.backward()
        values = {n: p.grad for n, p in model.named_parameters()} | dict(model.named_buffers())
        results.append({"loss": loss.detach(), **values})
    for other in results[1:]:
        for key, value in results[0].items():
            torch.testing.assert_close(other[key], value, rtol=1e-4, atol=1e-5, msg=key)


def test_nextvlads_norm_sees_all_real_frames_and_only_those() -> None:
    model = build("NEXTVLAD", 1).train()
    x = batch(1, filling=9.0)[0]
    model([x], LENGTHS)
    part = model.modalities[0]
    real = torch.cat([row[:n] for row, n in zip(x, LENGTHS.tolist(), strict=True)])
    assigned = part.assignment(part.expansion(real))
    torch.testing.assert_close(part.assignment_norm.running_mean, 0.1 * assigned.mean(dim=0))
    torch.testing.assert_close(
        part.assignment_norm.running_var, 0.9 + 0.1 * assigned.var(dim=0), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("name", BUILDERS)
def test_every_parameter_learns(name: str) -> None:
    model = build(name, 3, drop=0.5).train()
    model(batch(3), LENGTHS).square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", BUILDERS)
def test_a_training_batch_of_one_video_with_one_frame(name: str) -> None:
    model = build(name).train()
    logits = model([torch.randn(1, 1, d) for d in DIMS[:2]], torch.tensor([1]))
    assert logits.isfinite().all()


@pytest.mark.parametrize("name", BUILDERS)
def test_all_zero_features_give_finite_scores_and_gradients(name: str) -> None:
    model = build(name).train()
    logits = model([torch.zeros(2, 3, d) for d in DIMS[:2]], torch.tensor([3, 2]))
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("name", BUILDERS)
def test_a_modality_too_few_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="zip"):
        build(name)(batch(1), LENGTHS)


@pytest.mark.parametrize("name", BUILDERS)
def test_who_sees_the_order_of_frames(name: str) -> None:
    model = build(name).eval()
    features, lengths = [torch.randn(2, 6, d) for d in DIMS[:2]], torch.tensor([6, 6])
    with torch.no_grad():
        change = model(features, lengths) - model([x.flip(1) for x in features], lengths)
    assert (change.abs().max() > 1e-4) == (name in ("AttentionLSTM", "LINEAR"))


def test_attention_clusters_unit_norm() -> None:
    model = build("AttentionCluster", 1)
    unit = model.clusters[0]
    v = unit(torch.randn(2, 6, 16), torch.ones(2, 6, dtype=torch.bool)).view(2, 4, 16)
    torch.testing.assert_close(v.norm(dim=2), torch.full((2, 4), 1 / sqrt(4)))


def test_initial_weights() -> None:
    torch.manual_seed(0)
    cluster = AttentionCluster(feature_dims=[64], cluster_nums=[16], num_classes=9)
    assert cluster.fc2.weight.std().item() == pytest.approx(sqrt(2 / 1024), rel=0.02)
    assert cluster.fc2.bias.std().item() == pytest.approx(sqrt(2 / 4096), rel=0.1)
    lstm = AttentionLSTM(feature_dims=[64], num_classes=9, lstm_size=64, hidden_sizes=(64, 32))
    assert lstm.modalities[0].forward_lstm.weight.abs().max().item() == pytest.approx(
        sqrt(6 / (64 + 256)), rel=0.01
    )
    for name, parameter in lstm.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any(), name


@pytest.mark.parametrize("name", ["AttentionCluster", "AttentionLSTM", "NEXTVLAD"])
def test_frame_weights_are_shares_of_real_frames(name: str) -> None:
    model = build(name).eval()
    with torch.no_grad():
        weights = model.frame_weights(batch(filling=1e3), LENGTHS)  # [B, M, L]
        again = model.frame_weights(batch(), LENGTHS)
    assert weights.shape == (4, 2, 9)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(4, 2))
    torch.testing.assert_close(weights, again)
    for video, length in zip(weights, LENGTHS.tolist(), strict=True):
        assert not video[:, length:].any()
        assert (video[:, :length] > 0).all()


@pytest.mark.parametrize("name", ["AttentionCluster", "AttentionLSTM", "NEXTVLAD"])
def test_frame_weights_are_those_that_forward_takes(name: str) -> None:
    model = build(name, modalities=1).eval()
    part = model.clusters[0] if name == "AttentionCluster" else model.modalities[0]
    seen: list[Tensor] = []
    part.attention.register_forward_hook(lambda _, inputs, output: seen.append(output))
    x, lengths = [batch(1)[0][1:2]], torch.tensor([9])
    with torch.no_grad():
        model(x, lengths)
        weights = model.frame_weights(x, lengths)[0, 0]  # [L]
    attention = seen[0].view(9, -1)  # [L, C], [L, 1] or [L, G]
    if name == "NEXTVLAD":
        total = attention.sigmoid().sum(dim=1)  # [L]
        wanted = total / total.sum()
    else:
        wanted = attention.softmax(dim=0).mean(dim=1)  # [L]
    torch.testing.assert_close(weights, wanted)
