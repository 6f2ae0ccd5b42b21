from __future__ import annotations

import pytest
import torch

from videozoo.models.batch_norm import BatchNorm
from videozoo.models.layers import FluidDropout, frame_mask, quick_tanh


def test_dropout_masks_without_rescaling_in_training() -> None:
    torch.manual_seed(0)
    y = FluidDropout(p=0.25)(torch.full((100, 100), 3.0))
    assert set(y.unique().tolist()) == {0.0, 3.0}
    assert (y == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_dropout_scales_in_test() -> None:
    y = FluidDropout(p=0.25).eval()(torch.full((2, 3), 4.0))
    assert y.tolist() == [[3.0] * 3] * 2


@pytest.mark.parametrize("p", [-0.1, 1.0, 5.0])
def test_dropout_refuses_rates_outside(p: float) -> None:
    with pytest.raises(ValueError, match="drop rate"):
        FluidDropout(p=p)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ((1, 3), (2, 3)),
        ((1, 3, 1), (1, 3, 2)),
        ((1, 3, 1, 1), (1, 3, 2, 1)),
        ((1, 3, 1, 1, 1), (1, 3, 2, 1, 1)),
    ],
)
def test_batch_norm_of_one_value_uses_running_statistics(
    one: tuple[int, ...],
    two: tuple[int, ...],
) -> None:
    norm = BatchNorm(3)
    norm(torch.randn(two))
    before = norm.running_mean.clone()
    assert before.abs().sum() > 0
    x = torch.randn(one)
    y = norm(x)
    assert torch.equal(norm.running_mean, before)
    assert torch.equal(y, norm.eval()(x))


def test_frame_mask() -> None:
    assert frame_mask(torch.tensor([1, 3]), 3).tolist() == [[True, False, False], [True] * 3]


def test_the_quick_tanh_is_tanh() -> None:
    x = torch.linspace(-30, 30, 10_001)
    out = torch.empty_like(x)
    assert quick_tanh(x, out=out) is out
    torch.testing.assert_close(out, x.tanh(), rtol=0, atol=2.5e-7)
