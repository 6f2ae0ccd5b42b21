"""The steps of LSTMs with peepholes over packed videos, and their gradient.

The equations and the packing are those of models.peephole_lstm. The backward pass is written out:
autograd would add up a weight gradient at every step, which takes longer than all the rest. Shapes:
R LSTMs, B videos, H states, S_t videos that have a frame t, N = sum of all S_t.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from videozoo.models.layers import quick_tanh
from videozoo.models.onednn import RepeatedProduct

# The backward pass prepares that many steps at once: enough to share the cost of a call, few
# enough to stay in a processor's cache.
_CHUNK = 16


def run_steps(
    x: Tensor,
    product: RepeatedProduct,
    peepholes: Tensor,
    sizes: Sequence[int],
    kept: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Steps through the frames.

    Args:
        x: [R, N, 4H].
        product: with the weight [R, H, 4H].
        peepholes: [R, 3, H]: W_ic, W_fc, W_oc.
        sizes: S_t of every step.
        kept: [R, N, 4, H] and [R, N, H] or None: take tanh(g_c), i, f, o and c' of every step.

    Returns:
        States [R, N, H].
    """
    r, rows, width = x.shape
    h = width // 4
    # Short floats are for the products: a cell adds up over hundreds of steps.
    wide = torch.promote_types(x.dtype, torch.float32)
    inner, outer = peepholes.to(wide)[:, None].split_with_sizes(
        [2, 1], dim=2
    )  # [R, 1, 2, H], [R, 1, 1, H]
    outer = outer.squeeze(2)  # [R, 1, H]
    states = x.new_empty(r, rows, h)  # [R, N, H]
    gates = torch.empty(r, sizes[0], 4, h, dtype=wide, device=x.device)  # [R, B, 4, H]
    cells = gates.new_zeros(r, sizes[0], h)  # [R, B, H]
    squashed = torch.empty_like(cells)  # [R, B, H]
    before = None
    start = 0
    s = 0
    for x_t, state in zip(
        x.split_with_sizes(sizes, dim=1), states.split_with_sizes(sizes, dim=1), strict=True
    ):
        if x_t.shape[1] != s:  # views take longer to make than to use
            s = x_t.shape[1]
            g, cell, tanh = gates[:, :s], cells[:, :s], squashed[:, :s]
            flat, both, above = g.flatten(2), g[:, :, 1:3], cell[:, :, None]
            candidate, i, f, o = g.unbind(2)  # 4 x [R, S, H]
            before = None if before is None else before[:, :s]
        flat.copy_(x_t if before is None else product(before, x_t))  # [R, S, 4H]
        quick_tanh(candidate, out=candidate)
        both.addcmul_(inner, above).sigmoid_()
        cell.mul_(f).addcmul_(i, candidate)
        o.addcmul_(outer, cell).sigmoid_()
        torch.mul(o, quick_tanh(cell, out=tanh), out=state)
        if kept is not None:
            kept[0][:, start : start + s] = g
            kept[1][:, start : start + s] = cell
        before, start = state, start + s
    return states


class Steps(torch.autograd.Function):
    """`run_steps` with its gradient: the recurrent weight's is one product after the loop."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, peepholes: Tensor, sizes: Sequence[int]
    ) -> Tensor:
        """See `run_steps`."""
        r, rows, _ = x.shape
        h = weight.shape[1]
        kept = (x.new_empty(r, rows, 4, h), x.new_empty(r, rows, h))  # [R, N, 4, H], [R, N, H]
        with torch.autocast(x.device.type, enabled=False):
            product = RepeatedProduct(weight, sizes[0])
            states = run_steps(x, product, peepholes, sizes, kept)  # [R, N, H]
        ctx.save_for_backward(weight, peepholes, *kept, states)
        ctx.sizes = sizes
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Returns the gradients of x [R, N, 4H], weight [R, H, 4H] and peepholes [R, 3, H]."""
        weight, peepholes, gates, cells, states = ctx.saved_tensors
        b = ctx.sizes[0]
        wide = torch.promote_types(states.dtype, torch.float32)
        earlier = _earlier_rows(ctx.sizes).to(states.device)  # [N - B]
        before = F.pad(cells.index_select(1, earlier), (0, 0, b, 0))  # [R, N, H]
        grad_x = _run_backward(
            grad_states.contiguous(),
            weight=weight,
            peepholes=peepholes.to(wide),
            gates=gates,
            cells=cells,
            before=before,
            sizes=ctx.sizes,
        )
        states = states.index_select(1, earlier)  # [R, N - B, H]
        grad_weight = torch.bmm(states.transpose(1, 2), grad_x[:, b:])  # [R, H, 4H]
        _, d_i, d_f, d_o = grad_x.view_as(gates).unbind(2)  # 4 x [R, N, H]
        pairs = ((d_i, before), (d_f, before), (d_o, cells))
        sums = [(d * c).sum(dim=1, dtype=wide) for d, c in pairs]  # 3 x [R, H]
        return grad_x, grad_weight, torch.stack(sums, dim=1).to(peepholes.dtype), None


def _earlier_rows(sizes: Sequence[int]) -> Tensor:
    """Returns where the frame before lies, for all packed rows but the first frames': [N - B]."""
    steps = torch.tensor(sizes)  # [L]
    distance = steps[:-1].repeat_interleave(steps[1:])  # [N - B]
    return torch.arange(sizes[0], int(steps.sum())) - distance  # [N - B]


def _run_backward(
    grad_states: Tensor,
    *,
    weight: Tensor,
    peepholes: Tensor,
    gates: Tensor,
    cells: Tensor,
    before: Tensor,
    sizes: Sequence[int],
) -> Tensor:
    """Goes back through the steps.

    Args:
        grad_states: [R, N, H].
        weight: [R, H, 4H].
        peepholes: [R, 3, H].
        gates: [R, N, 4, H], tanh(g_c), i, f, o.
        cells: [R, N, H], c'.
        before: [R, N, H], c.
        sizes: S_t of every step.

    Returns:
        The gradient of x, [R, N, 4H].
    """
    r, rows, h = cells.shape
    product = RepeatedProduct(weight.transpose(1, 2), sizes[0])
    grad_x = cells.new_empty(r, rows, 4, h)  # [R, N, 4, H]
    grad_cell = peepholes.new_zeros(r, sizes[0], h)  # [R, B, H]
    ends = [0, *accumulate(sizes)]
    later = 0  # videos that have a frame after this one
    for stop in range(len(sizes), 0, -_CHUNK):
        first = max(stop - _CHUNK, 0)
        low, high = ends[first], ends[stop]
        part = slice(low, high)
        slopes = _slopes(gates[:, part], cells[:, part], before[:, part], peepholes)
        for t in reversed(range(first, stop)):
            here = slice(ends[t], ends[t + 1])
            to_gates, to_cell, to_before = (
                s[:, here.start - low : here.stop - low] for s in slopes
            )
            grad = grad_states[:, here]  # [R, S, H]
            if later:
                d_later = grad_x[:, here.stop : here.stop + later].flatten(2)  # [R, S', 4H]
                carried = product(d_later, grad[:, :later])  # [R, S', H]
                grad = torch.cat([carried, grad[:, later:]], dim=1)  # [R, S, H]
            grad = grad.to(grad_cell.dtype)  # [R, S, H]
            later = sizes[t]
            d = grad_x[:, here]  # [R, S, 4, H]
            cell = grad_cell[:, :later]  # [R, S, H]
            torch.mul(grad, to_gates[:, :, 3], out=d[:, :, 3])
            cell.addcmul_(grad, to_cell)
            torch.mul(cell[:, :, None], to_gates[:, :, :3], out=d[:, :, :3])
            cell.mul_(to_before)
    return grad_x.flatten(2)  # [R, N, 4H]


def _slopes(
    gates: Tensor, cells: Tensor, before: Tensor, peepholes: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns what gradients are multiplied by on their way back; all but the carried one is known.

    Args:
        gates: [R, S, 4, H], tanh(g_c), i, f, o of some rows.
        cells: [R, S, H], c'.
        before: [R, S, H], c.
        peepholes: [R, 3, H].

    Returns:
        [R, S, 4, H]: from c' to g_c, g_i, g_f and from h' to g_o; [R, S, H]: from h' to c';
        [R, S, H]: from c' to c.
    """
    wide = peepholes.dtype
    candidate, i, f, o = gates.to(wide).unbind(2)  # 4 x [R, S, H]
    w_i, w_f, w_o = peepholes[:, None].unbind(2)  # 3 x [R, 1, H]
    squashed = cells.to(wide).tanh()  # [R, S, H]
    to_gates = torch.empty_like(gates, dtype=wide)  # [R, S, 4, H]
    to_gates[:, :, 0] = i * (1 - candidate * candidate)
    to_gates[:, :, 1] = candidate * i * (1 - i)
    to_gates[:, :, 2] = before * f * (1 - f)
    to_gates[:, :, 3] = squashed * o * (1 - o)
    to_cell = o * (1 - squashed * squashed) + to_gates[:, :, 3] * w_o  # [R, S, H]
    to_before = f + to_gates[:, :, 1] * w_i + to_gates[:, :, 2] * w_f  # [R, S, H]
    return to_gates, to_cell, to_before
