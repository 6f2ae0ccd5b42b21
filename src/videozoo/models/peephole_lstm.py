"""The LSTM with peepholes that AttentionLSTM is made of, over packed videos.

F. Gers, N. Schraudolph, J. Schmidhuber: "Learning Precise Timing with LSTM Recurrent Networks",
JMLR 3, 2002, section 2. Gates lie in the order candidate, input, forget, output:

    g  = x_t + h W                    x_t holds the input's product and the gates' biases
    i  = sigmoid(g_i + W_ic c)        f = sigmoid(g_f + W_fc c)
    c' = f c + i tanh(g_c)
    o  = sigmoid(g_o + W_oc c')       h' = o tanh(c')

nn.LSTM has no peepholes, hence the loop, which is models.peephole_steps.

Videos are packed as nn.utils.rnn packs them: the longest first, the first frames of all, then the
second frames of those that have one, and so on. A video that ended costs nothing. Shapes:
R LSTMs, B videos, E inputs, H states, S_t videos that have a frame t, N = sum of all S_t.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videozoo.models.onednn import RepeatedProduct
from videozoo.models.peephole_steps import Steps, run_steps
from videozoo.models.side_by_side import side_by_side


class PeepholeLSTM(nn.Module):
    """The parameters of one LSTM in one direction; `run_lstms` runs several.

    Args:
        input_size: E.
        hidden_size: H.
    """

    def __init__(self, *, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.gates = nn.Linear(input_size, 4 * hidden_size)
        self.weight = nn.Parameter(torch.empty(hidden_size, 4 * hidden_size))
        # 4H gate biases, then W_ic, W_fc, W_oc: one parameter, since training decays it as one.
        self.bias = nn.Parameter(torch.zeros(7 * hidden_size))
        nn.init.xavier_uniform_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)
        nn.init.xavier_uniform_(self.weight)

    def project(self, x: Tensor) -> Tensor:
        """Returns the inputs' product and the gates' biases: [N, E] -> [N, 4H]."""
        return F.linear(
            x, self.gates.weight, self.gates.bias + self.bias[: self.gates.out_features]
        )

    def product(self, dtype: torch.dtype, batch: int) -> RepeatedProduct:
        """Returns the product of steps with the recurrent weight, for at most `batch` videos."""
        return RepeatedProduct(self.weight.to(dtype)[None], batch)

    def forward(self, x: Tensor) -> Tensor:
        """Runs this LSTM alone over videos of L frames: inputs [B, L, E] -> states [B, L, H]."""
        b, frames, e = x.shape
        rows = x.transpose(0, 1).reshape(frames * b, e)  # [L * B, E]
        states = run_lstms([self], [rows], [b] * frames)[0]  # [L * B, H]
        return states.view(frames, b, -1).transpose(0, 1)  # [B, L, H]


def run_lstms(
    lstms: Sequence[PeepholeLSTM], inputs: Sequence[Tensor], sizes: Sequence[int]
) -> list[Tensor]:
    """Runs LSTMs of one size, each over its own packed videos.

    Args:
        lstms: R of them.
        inputs: float [N, E] for each LSTM, packed.
        sizes: S_t of every step, none larger than the one before; the same for all LSTMs.

    Returns:
        The states after each frame, float [N, H] for each LSTM, packed.
    """
    if inputs[0].device.type != "cpu":
        return _run_group(lstms, inputs, sizes)

    def alone(pair: tuple[PeepholeLSTM, Tensor]) -> Tensor:
        return _run_group([pair[0]], [pair[1]], sizes)[0]

    # A core that steps through several LSTMs would fetch the weights of all at every step.
    pairs = list(zip(lstms, inputs, strict=True))
    if torch.is_grad_enabled():
        return [alone(pair) for pair in pairs]
    workers = gcd(len(pairs), torch.get_num_threads())  # no core is left over in the last turn
    return side_by_side(alone, pairs, workers=workers)


def _run_group(
    lstms: Sequence[PeepholeLSTM], inputs: Sequence[Tensor], sizes: Sequence[int]
) -> list[Tensor]:
    """Does what `run_lstms` does, all LSTMs in one loop."""
    h = lstms[0].weight.shape[0]
    x = _stack([m.project(x) for m, x in zip(lstms, inputs, strict=True)])  # [R, N, 4H]
    peepholes = _stack([m.bias[4 * h :].view(3, h) for m in lstms])  # [R, 3, H]
    weight = _stack([m.weight for m in lstms])  # [R, H, 4H]
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        # Under autocast x is short, and the weight must be as x.
        states: Tensor = Steps.apply(x, weight.to(x.dtype), peepholes, sizes)  # type: ignore[no-untyped-call]
    else:
        batch = sizes[0]
        with torch.autocast(x.device.type, enabled=False):
            if len(lstms) == 1:  # which may have kept its own
                product = lstms[0].product(x.dtype, batch)
            else:
                product = RepeatedProduct(weight.to(x.dtype), batch)
            states = run_steps(x, product, peepholes, sizes)  # [R, N, H]
    return [states.squeeze(0)] if len(lstms) == 1 else list(states.unbind(0))  # R x [N, H]


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """Stacks tensors; a lone one is not copied."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(list(tensors))
