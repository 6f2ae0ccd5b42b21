from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_sequence

from videozoo.models import peephole_steps
from videozoo.models.peephole_lstm import PeepholeLSTM, _run_group, run_lstms
from videozoo.models.peephole_steps import Steps


def random_lstm(inputs: int = 5, hidden: int = 4) -> PeepholeLSTM:
    lstm = PeepholeLSTM(input_size=inputs, hidden_size=hidden)
    with torch.no_grad():
        for p in lstm.parameters():
            p.normal_()
    return lstm


def one_by_one(lstm: PeepholeLSTM, x: Tensor) -> Tensor:
    """The equations for one video [L, E], written as they stand."""
    size = lstm.weight.shape[0]
    bias, w_ic, w_fc, w_oc = lstm.bias.split([4 * size, size, size, size])
    h = torch.zeros(size)
    c = torch.zeros(size)
    states = []
    for frame in x:
        g = lstm.gates(frame) + h @ lstm.weight + bias
        g_c, g_i, g_f, g_o = g.split(size)
        i = torch.sigmoid(g_i + w_ic * c)
        f = torch.sigmoid(g_f + w_fc * c)
        c = f * c + i * torch.tanh(g_c)
        o = torch.sigmoid(g_o + w_oc * c)
        h = o * torch.tanh(c)
        states.append(h)
    return torch.stack(states)


def packed(videos: list[Tensor]) -> tuple[Tensor, list[int]]:
    """Packs videos [L, E], the longest first, as PyTorch does."""
    rows = pack_sequence(videos)
    return rows.data, rows.batch_sizes.tolist()


def random_videos() -> list[Tensor]:
    return [torch.randn(n, 5) for n in (7, 7, 4, 1)]


def test_states_follow_the_equations() -> None:
    torch.manual_seed(0)
    lstms = [random_lstm(), random_lstm(), random_lstm()]
    videos = [random_videos() for _ in lstms]
    sizes = packed(videos[0])[1]
    inputs = [packed(v)[0] for v in videos]
    with torch.no_grad():
        wanted = [
            packed([one_by_one(m, v) for v in vs])[0] for m, vs in zip(lstms, videos, strict=True)
        ]
        # On a GPU all LSTMs go through one loop, on a CPU each through its own.
        for states in (run_lstms(lstms, inputs, sizes), _run_group(lstms, inputs, sizes)):
            for ours, theirs in zip(states, wanted, strict=True):
                torch.testing.assert_close(ours, theirs)


def test_training_and_test_paths_agree() -> None:
    torch.manual_seed(0)
    lstm = random_lstm()
    x = torch.randn(2, 6, 5)
    with torch.no_grad():
        plain = lstm(x)
    torch.testing.assert_close(lstm(x), plain)


@pytest.mark.parametrize("onednn", [True, False])
def test_gradients_are_autograds(onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peephole_steps, "_CHUNK", 3)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", onednn)
    torch.manual_seed(0)
    lstms = [random_lstm(), random_lstm()]
    videos = [[v.requires_grad_() for v in random_videos()] for _ in lstms]
    sizes = packed(videos[0])[1]
    inputs = [packed(v)[0] for v in videos]
    weights = torch.randn(2, len(inputs[0]), 4)
    wanted = [p for m in lstms for p in m.parameters()] + [v for vs in videos for v in vs]
    rows = [packed([one_by_one(m, v) for v in vs])[0] for m, vs in zip(lstms, videos, strict=True)]
    theirs = torch.autograd.grad((torch.stack(rows) * weights).sum(), wanted, retain_graph=True)
    for run in (run_lstms, _run_group):
        states = torch.stack(run(lstms, inputs, sizes))
        ours = torch.autograd.grad((states * weights).sum(), wanted, retain_graph=True)
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 6, 12, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 3, 12, dtype=torch.double, requires_grad=True)
    peepholes = torch.randn(2, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(Steps.apply, (x, weight, peepholes, [3, 2, 1]))


def test_one_frame() -> None:
    torch.manual_seed(0)
    lstm = random_lstm()
    lstm(torch.randn(2, 1, 5)).sum().backward()
    assert torch.equal(lstm.weight.grad, torch.zeros_like(lstm.weight))


def test_bfloat16_stays_near() -> None:
    torch.manual_seed(0)
    lstm = PeepholeLSTM(input_size=8, hidden_size=16)
    x = torch.randn(2, 40, 8)
    exact = lstm(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = lstm(x)
    assert (short.float() - exact).abs().max() < 0.02
    short.float().sum().backward()
    assert lstm.weight.grad.dtype == torch.float32


def test_gradients_twice_from_one_graph() -> None:
    torch.manual_seed(0)
    lstm = random_lstm()
    x = torch.randn(2, 6, 5, requires_grad=True)
    total = lstm(x).square().sum()
    first = torch.autograd.grad(total, [x, *lstm.parameters()], retain_graph=True)
    second = torch.autograd.grad(total, [x, *lstm.parameters()])
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)
