from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest
import torch
from torch import nn

from videozoo.models.cpu import for_inference
from videozoo.models.peephole_lstm import PeepholeLSTM, run_lstms
from videozoo.models.side_by_side import side_by_side


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def threads_of_a_new_thread() -> int:
    found: list[int] = []
    thread = Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_each_has_its_share_of_the_threads_and_all_are_back_afterwards() -> None:
    shares = side_by_side(lambda _: torch.get_num_threads(), [0, 1, 2], workers=2)
    assert shares == [2, 2, 2]
    assert torch.get_num_threads() == threads_of_a_new_thread() == 4


def test_all_threads_are_back_after_a_fault() -> None:
    def fails(_: int) -> None:
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        side_by_side(fails, [1], workers=4)
    assert threads_of_a_new_thread() == 4


@pytest.mark.parametrize("workers", [1, 3])
def test_modes_are_those_of_the_caller(workers: int) -> None:
    weight = torch.ones(2, 2, requires_grad=True)

    def product(x: torch.Tensor) -> torch.Tensor:
        return x @ weight

    items = [torch.full((2, 2), float(i)) for i in range(5)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = side_by_side(product, items, workers=workers)
    with torch.inference_mode():
        inferred = side_by_side(product, items, workers=workers)
    assert [y[0, 0].item() for y in short] == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert {y.dtype for y in short} == {torch.bfloat16}
    assert not any(y.requires_grad or y.is_inference() for y in short)
    assert all(y.is_inference() and y.dtype == torch.float32 for y in inferred)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lstms_give_the_same_at_once_and_one_after_the_other(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    lstms = [PeepholeLSTM(input_size=3, hidden_size=8) for _ in range(4)]
    packed = list(for_inference(nn.ModuleList(lstms), dtype=dtype))
    for sizes in ([3, 3, 2], [5, 1]):  # laid out anew for another batch
        inputs = [torch.randn(sum(sizes), 3) for _ in lstms]
        exact = [run_lstms([m], [x], sizes)[0] for m, x in zip(lstms, inputs, strict=True)]
        with torch.inference_mode(), torch.autocast("cpu", enabled=dtype == torch.bfloat16):
            found = run_lstms(packed, inputs, sizes)
        tolerance = 1e-6 if dtype == torch.float32 else 0.02
        for states, expected in zip(found, exact, strict=True):
            torch.testing.assert_close(states.float(), expected, rtol=0, atol=tolerance)
