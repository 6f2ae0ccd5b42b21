"""The LSTM with peepholes that AttentionLSTM is made of, several of them stepped together.

F. Gers, N. Schraudolph, J. Schmidhuber: "Learning Precise Timing with LSTM Recurrent Networks",
JMLR 3, 2002, section 2. Gates lie in the order candidate, input, forget, output:

    g  = x_t + h W                    x_t holds the input's product and the gates' biases
    i  = sigmoid(g_i + W_ic c)        f = sigmoid(g_f + W_fc c)
    c' = f c + i tanh(g_c)
    o  = sigmoid(g_o + W_oc c')       h' = o tanh(c')

PyTorch's nn.LSTM has no peepholes, hence the loop. Its backward pass is written out: autograd would
add up a weight gradient at every step, which takes longer than all the rest.

Shapes: R LSTMs, B videos, L frames, E inputs, H states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class PeepholeLSTM(nn.Module):
    """The parameters of one LSTM in one direction; `step_together` runs them.

    Args:
        input_size: E.
        hidden_size: H.
    """

    def __init__(self, *, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.gates = nn.Linear(input_size, 4 * hidden_size)
        self.weight = nn.Parameter(torch.empty(hidden_size, 4 * hidden_size))
        # 4H gate biases, then W_ic, W_fc, W_oc: one parameter, because the training recipe decays
        # it as one.
        self.bias = nn.Parameter(torch.zeros(7 * hidden_size))
        nn.init.xavier_uniform_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Runs this LSTM alone: inputs [B, L, E] -> states [B, L, H]."""
        return step_together([self], x[None])[0]  # [B, L, H]


def step_together(lstms: Sequence[PeepholeLSTM], inputs: Tensor) -> Tensor:
    """Runs R LSTMs of one size over their own inputs, all of them in one loop over the frames.

    Args:
        lstms: R of them.
        inputs: float [R, B, L, E].

    Returns:
        The states after each frame, float [R, B, L, H].
    """
    r, b, n, e = inputs.shape
    h = lstms[0].weight.shape[0]
    gate_weight = torch.stack([m.gates.weight for m in lstms]).transpose(1, 2)  # [R, E, 4H]
    bias = torch.stack([m.bias for m in lstms])  # [R, 7H]
    gate_bias = torch.stack([m.gates.bias for m in lstms]) + bias[:, : 4 * h]  # [R, 4H]
    peepholes = bias[:, 4 * h :].reshape(r, 3, 1, h).transpose(0, 1)  # [3, R, 1, H]
    weight = torch.stack([m.weight for m in lstms])  # [R, H, 4H]
    x = inputs.transpose(1, 2).reshape(r, n * b, e)  # [R, L * B, E]
    x = torch.baddbmm(gate_bias[:, None], x, gate_weight).view(r, n, b, 4 * h)  # [R, L, B, 4H]
    weight, peepholes = weight.to(x.dtype), peepholes.to(x.dtype)  # under autocast x is short
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        states: Tensor = _Steps.apply(x, weight, peepholes)  # type: ignore[no-untyped-call]
    else:
        with torch.autocast(x.device.type, enabled=False):
            states = _run(x, weight, peepholes)  # [R, L, B, H]
    return states.transpose(1, 2)  # [R, B, L, H]


def _run(x: Tensor, weight: Tensor, peepholes: Tensor, kept: Tensor | None = None) -> Tensor:
    """Steps through the frames.

    Args:
        x: [R, L, B, 4H].
        weight: [R, H, 4H].
        peepholes: [3, R, 1, H]: W_ic, W_fc, W_oc.
        kept: [5, R, L, B, H] or None: takes tanh(g_c), i, f, o and c' of every step.

    Returns:
        States [R, L, B, H].
    """
    r, n, b, _ = x.shape
    # Short floats are for the products: a cell adds up over hundreds of steps.
    wide = torch.promote_types(x.dtype, torch.float32)
    peepholes = peepholes.to(wide)  # [3, R, 1, H]
    states = x.new_empty(r, n, b, weight.shape[1])  # [R, L, B, H]
    cell = x.new_zeros(r, b, weight.shape[1], dtype=wide)  # [R, B, H]
    for t in range(n):
        gates = torch.baddbmm(x[:, t], states[:, t - 1], weight) if t else x[:, t]  # [R, B, 4H]
        candidate, i, f, o = gates.to(wide).chunk(4, dim=2)  # 4 x [R, B, H]
        candidate = candidate.tanh()
        i = torch.addcmul(i, peepholes[0], cell).sigmoid_()
        f = torch.addcmul(f, peepholes[1], cell).sigmoid_()
        cell = torch.addcmul(f * cell, i, candidate)
        o = torch.addcmul(o, peepholes[2], cell).sigmoid_()
        states[:, t] = o * cell.tanh()
        if kept is not None:
            for place, value in zip(kept, (candidate, i, f, o, cell), strict=True):
                place[:, t] = value
    return states


class _Steps(torch.autograd.Function):
    """`_run` with its gradient: the recurrent weight's is one product after the loop."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, peepholes: Tensor) -> Tensor:
        """See `_run`."""
        kept = x.new_empty(5, *x.shape[:3], weight.shape[1])  # [5, R, L, B, H]
        with torch.autocast(x.device.type, enabled=False):
            states = _run(x, weight, peepholes, kept)  # [R, L, B, H]
        ctx.save_for_backward(weight, peepholes, kept, states)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns the gradients of x [R, L, B, 4H], weight [R, H, 4H], peepholes [3, R, 1, H]."""
        weight, peepholes, kept, states = ctx.saved_tensors
        r, n, b, h = states.shape
        wide = torch.promote_types(states.dtype, torch.float32)
        grad_x = states.new_empty(r, n, b, 4 * h)  # [R, L, B, 4H]
        grad_peepholes = states.new_zeros(3, r, b, h, dtype=wide)  # [3, R, B, H]
        grad_state = states.new_zeros(r, b, h)  # [R, B, H]
        grad_cell = states.new_zeros(r, b, h, dtype=wide)  # [R, B, H]
        weight_t = weight.transpose(1, 2)  # [R, 4H, H]
        for t in reversed(range(n)):
            before = kept[4, :, t - 1] if t else torch.zeros_like(grad_state)  # [R, B, H]
            grad_cell = _step_back(
                (grad_state + grad_states[:, t]).to(wide),
                grad_cell,
                before=before,
                kept=kept[:, :, t],
                peepholes=peepholes,
                grad_gates=grad_x[:, t],
            )
            _, d_i, d_f, d_o = grad_x[:, t].chunk(4, dim=2)  # 4 x [R, B, H]
            grad_peepholes[0] += d_i * before
            grad_peepholes[1] += d_f * before
            grad_peepholes[2] += d_o * kept[4, :, t]
            if t:
                grad_state = torch.bmm(grad_x[:, t], weight_t)  # [R, B, H]
        earlier = states[:, :-1].reshape(r, (n - 1) * b, h).transpose(1, 2)  # [R, H, (L-1) * B]
        grad_weight = torch.bmm(earlier, grad_x[:, 1:].reshape(r, (n - 1) * b, 4 * h))  # [R, H, 4H]
        summed = grad_peepholes.sum(dim=2, keepdim=True).to(peepholes.dtype)  # [3, R, 1, H]
        return grad_x, grad_weight, summed


def _step_back(
    grad_state: Tensor,
    grad_cell: Tensor,
    *,
    before: Tensor,
    kept: Tensor,
    peepholes: Tensor,
    grad_gates: Tensor,
) -> Tensor:
    """Goes back through one step.

    Args:
        grad_state: [R, B, H], gradient of h'.
        grad_cell: [R, B, H], gradient of c' that came from the next step.
        before: [R, B, H], c.
        kept: [5, R, B, H], tanh(g_c), i, f, o and c'.
        peepholes: [3, R, 1, H].
        grad_gates: [R, B, 4H], is filled with the gradient of g.

    Returns:
        The gradient of c, [R, B, H].
    """
    candidate, i, f, o, cell = kept.to(grad_cell.dtype)
    squashed = cell.tanh()  # [R, B, H]
    d_c, d_i, d_f, d_o = grad_gates.chunk(4, dim=2)  # 4 x [R, B, H]
    d_o.copy_(grad_state * squashed * o * (1 - o))
    grad_cell = grad_cell + grad_state * o * (1 - squashed * squashed) + d_o * peepholes[2]
    d_c.copy_(grad_cell * i * (1 - candidate * candidate))
    d_i.copy_(grad_cell * candidate * i * (1 - i))
    d_f.copy_(grad_cell * before * f * (1 - f))
    grad_before: Tensor = grad_cell * f + d_i * peepholes[0] + d_f * peepholes[1]  # [R, B, H]
    return grad_before
