from __future__ import annotations

import torch
from torch import Tensor

from videozoo.models.peephole_lstm import PeepholeLSTM, _Steps, step_together


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


def test_states_follow_the_equations() -> None:
    torch.manual_seed(0)
    lstms = [random_lstm(), random_lstm(), random_lstm()]
    x = torch.randn(3, 2, 7, 5)
    with torch.no_grad():
        states = step_together(lstms, x)
        for r, lstm in enumerate(lstms):
            for b in range(2):
                torch.testing.assert_close(states[r, b], one_by_one(lstm, x[r, b]))


def test_training_and_test_paths_agree() -> None:
    torch.manual_seed(0)
    lstm = random_lstm()
    x = torch.randn(2, 6, 5)
    with torch.no_grad():
        plain = lstm(x)
    torch.testing.assert_close(lstm(x), plain)


def test_gradients_are_autograds() -> None:
    torch.manual_seed(0)
    lstm = random_lstm()
    x = torch.randn(2, 6, 5, requires_grad=True)
    weights = torch.randn(2, 6, 4)
    wanted = [x, *lstm.parameters()]
    ours = torch.autograd.grad((lstm(x) * weights).sum(), wanted)
    states = torch.stack([one_by_one(lstm, video) for video in x])
    theirs = torch.autograd.grad((states * weights).sum(), wanted)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_gradcheck() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 2, 12, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 3, 12, dtype=torch.double, requires_grad=True)
    peepholes = torch.randn(3, 2, 1, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(_Steps.apply, (x, weight, peepholes))


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
