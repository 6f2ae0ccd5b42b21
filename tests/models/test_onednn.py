from __future__ import annotations

import pytest
import torch

from videozoo.models import onednn
from videozoo.models.onednn import RepeatedProduct


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_with_and_without_onednn(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    weight = torch.randn(1, 24, 96).to(dtype)
    laid_out = RepeatedProduct(weight, 8)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    plain = RepeatedProduct(weight, 8)
    assert not plain.packed
    for rows in (8, 5, 1):
        x, start = torch.randn(1, rows, 24).to(dtype), torch.randn(1, rows, 96).to(dtype)
        exact = start.double() + x.double() @ weight.double()
        for product in (plain, laid_out):
            tolerance = 1e-5 if dtype == torch.float32 else 0.02
            result = product(x, start).double()
            torch.testing.assert_close(result, exact, rtol=tolerance, atol=tolerance)


def test_onednn_is_found() -> None:
    """Where PyTorch is built with oneDNN its operators must be found, or all gets slow unseen."""
    if not torch.backends.mkldnn.is_available():
        pytest.skip("this PyTorch has no oneDNN")
    assert RepeatedProduct(torch.randn(1, 4, 16), 2).packed
    assert not RepeatedProduct(torch.randn(1, 4, 16, dtype=torch.double), 2).packed
    assert not RepeatedProduct(torch.randn(2, 4, 16), 2).packed


@pytest.mark.parametrize("error", [TypeError("another form"), RuntimeError("no such operator")])
def test_operators_of_another_form_are_not_used(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(onednn, "pack_linear", fails)
    monkeypatch.setattr(onednn, "pack_convolution", fails)
    assert not onednn._linears_work.__wrapped__(torch.float32)
    assert not onednn._convolutions_work.__wrapped__(torch.float32)
    monkeypatch.setattr(onednn, "pack_linear", lambda weight, batch=None: weight * 2)
    monkeypatch.setattr(onednn, "packed_linear_onto", lambda x, p, start: start + x @ p.t())
    monkeypatch.setattr(onednn, "packed_linear", lambda x, p, bias: bias + x @ p.t())
    assert not onednn._linears_work.__wrapped__(torch.float32)  # other numbers
