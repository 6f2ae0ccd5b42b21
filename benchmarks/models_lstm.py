"""AttentionLSTM and its LSTMs against torch.nn.LSTM of the same sizes, which has no peepholes.

Our peepholes are zero here, so both must give the same. They cost what they always cost.

Shapes: B videos, L frames (padded), N real frames of all videos, E inputs, H states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from models_peers import (
    ModelPasses,
    Passes,
    Work,
    as_array,
    autocast,
    first_of,
    made_model,
    scoring,
    two_torch_threads,
)

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.nn.utils.rnn import PackedSequence


def no_peepholes(work: Work) -> nn.Module:
    """Makes the AttentionLSTM whose LSTMs are plain ones, gate biases drawn."""
    import torch

    model = made_model("AttentionLSTM", training=work.training)
    with torch.no_grad():
        for modality in model.modalities:
            for lstm in (modality.forward_lstm, modality.backward_lstm):
                torch.nn.init.uniform_(lstm.gates.bias, -0.1, 0.1)
                lstm.bias.zero_()
    return model


def torch_lstm(modality: Any) -> nn.LSTM:
    """Returns the nn.LSTM with the weights of a modality's two."""
    import torch
    from torch import nn

    e, h = modality.forward_lstm.gates.in_features, modality.forward_lstm.weight.shape[0]
    lstm = nn.LSTM(e, h, bidirectional=True)
    with torch.no_grad():
        for ours, end in ((modality.forward_lstm, ""), (modality.backward_lstm, "_reverse")):
            getattr(lstm, f"weight_ih_l0{end}").copy_(in_torch_order(ours.gates.weight))
            getattr(lstm, f"weight_hh_l0{end}").copy_(in_torch_order(ours.weight.t()))
            getattr(lstm, f"bias_ih_l0{end}").copy_(in_torch_order(ours.gates.bias))
            getattr(lstm, f"bias_hh_l0{end}").zero_()
    return lstm


def in_torch_order(weight: Tensor) -> Tensor:
    """Reorders gates [4H, ...]: candidate, input, forget, output -> input, forget, candidate, o."""
    import torch

    candidate, i, f, o = weight.chunk(4)
    return torch.cat([i, f, candidate, o])


def packed_indices(lengths: Sequence[int]) -> tuple[PackedSequence, Tensor]:
    """Returns where packed frames lie in a padded batch, and what turns them round by video.

    The videos must be ordered, the longest first.
    """
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence

    n, frames = torch.tensor(lengths), max(lengths)
    first = torch.arange(len(lengths))[:, None] * frames  # [B, 1]
    t = torch.arange(frames)  # [L]
    ahead = pack_padded_sequence(first + t, n, batch_first=True)
    back = pack_padded_sequence((first + n[:, None] - 1 - t).clamp(min=0), n, batch_first=True)
    place = torch.empty(len(lengths) * frames, dtype=torch.int64)
    place[ahead.data] = torch.arange(len(ahead.data))
    return ahead, place[back.data]


class Lstms(Passes):
    """The bidirectional LSTMs of both modalities, packed inputs [N, E] to packed states [N, 2H]."""

    def __init__(self, work: Work) -> None:
        two_torch_threads()
        import torch

        self.work = work
        self.ahead, self.turned = packed_indices(sorted(work.lengths, reverse=True))
        self.modalities = list(no_peepholes(work).modalities)
        torch.manual_seed(1)
        shape = (len(self.turned), self.modalities[0].embedding.out_features)
        self.inputs = [torch.randn(shape).tanh() for _ in self.modalities]
        width = 2 * self.modalities[0].forward_lstm.weight.shape[0]
        self.gradients = [torch.randn(shape[0], width) / width for _ in self.modalities]
        for x in self.inputs:
            x.requires_grad_(work.training)  # the layer before needs its gradient
        self.weights: list[Tensor] = []

    def states(self) -> list[Tensor]:
        """Returns the states of each modality, [N, 2H], in the order of the frames."""
        raise NotImplementedError

    def once(self) -> None:
        import torch

        with torch.set_grad_enabled(self.work.training), autocast(self.work.precision):
            self.last = self.states()
        if self.work.training:
            for tensor in (*self.inputs, *self.weights):
                tensor.grad = None
            torch.autograd.backward(
                self.last, [g.to(s.dtype) for g, s in zip(self.gradients, self.last, strict=True)]
            )

    def recurrent_gradient(self) -> Tensor:
        """Returns that of the first modality's LSTM ahead, [4H, H], as nn.LSTM lays it out."""
        raise NotImplementedError

    def answers(self) -> list[np.ndarray]:
        tensors = list(self.last)
        if self.work.training:
            tensors += [x.grad for x in self.inputs] + [self.recurrent_gradient()]
        return [as_array(tensor) for tensor in tensors]


class OurLstms(Lstms):
    """Ours, the way AttentionLSTM runs them."""

    def __init__(self, work: Work) -> None:
        super().__init__(work)
        if not work.training:
            self.modalities = list(scoring(no_peepholes(work), work.precision).modalities)
        self.lstms = [lstm for m in self.modalities for lstm in (m.forward_lstm, m.backward_lstm)]
        self.weights = [p for lstm in self.lstms for p in lstm.parameters()]
        self.sizes = self.ahead.batch_sizes.tolist()

    def states(self) -> list[Tensor]:
        import torch

        from videozoo.models.peephole_lstm import run_lstms

        inputs = [y for x in self.inputs for y in (x, x.index_select(0, self.turned))]
        states = run_lstms(self.lstms, inputs, self.sizes)  # 4 x [N, H]
        return [
            torch.cat([ahead, back.index_select(0, self.turned)], dim=1)
            for ahead, back in zip(states[::2], states[1::2], strict=True)
        ]

    def recurrent_gradient(self) -> Tensor:
        return in_torch_order(self.lstms[0].weight.grad.t())


class TorchLstms(Lstms):
    """One nn.LSTM a modality.

    Args:
        work: the LSTMs' work.
        short: weights, inputs and states are bfloat16 themselves; else autocast decides.
        packed: as videos of many lengths need it; else whole, for videos of one length.
    """

    def __init__(self, work: Work, short: bool = False, packed: bool = True) -> None:
        super().__init__(work)
        import torch

        self.packed = packed
        self.ours = [torch_lstm(modality) for modality in self.modalities]
        if short:
            self.ours = [lstm.to(torch.bfloat16) for lstm in self.ours]
            self.inputs = [x.detach().bfloat16().requires_grad_(work.training) for x in self.inputs]
            self.work = Work(work.model, "32", work.training, work.lengths, work.passes)
        self.weights = [p for lstm in self.ours for p in lstm.parameters()]

    def states(self) -> list[Tensor]:
        from torch.nn.utils.rnn import PackedSequence

        if self.packed:
            sizes = self.ahead.batch_sizes
            pairs = zip(self.ours, self.inputs, strict=True)
            return [lstm(PackedSequence(x, sizes))[0].data for lstm, x in pairs]
        b, frames = len(self.work.lengths), self.work.lengths[0]
        return [
            lstm(x.view(frames, b, -1))[0].flatten(0, 1)
            for lstm, x in zip(self.ours, self.inputs, strict=True)
        ]

    def recurrent_gradient(self) -> Tensor:
        gradient: Tensor = self.ours[0].weight_hh_l0.grad
        return gradient


class OurModel(ModelPasses):
    """AttentionLSTM as train, or test and infer, run it."""

    def __init__(self, work: Work) -> None:
        two_torch_threads()
        model = no_peepholes(work)
        run = model if work.training else scoring(model, work.precision)
        super().__init__(work, run, first_of(work, model))
        self.parameters = list(model.parameters())


class TorchModel(ModelPasses):
    """AttentionLSTM with nn.LSTM; all other layers are the same.

    Args:
        work: the model's work.
        short: the weights of the LSTMs are bfloat16 themselves; else autocast decides.
    """

    def __init__(self, work: Work, short: bool = False) -> None:
        two_torch_threads()
        import torch

        model = no_peepholes(work)
        super().__init__(work, self.forward, first_of(work, model))
        self.whole, self.short = model, short
        self.lstms = [torch_lstm(modality) for modality in model.modalities]
        if short:
            self.lstms = [lstm.to(torch.bfloat16) for lstm in self.lstms]
        own = [p for name, p in model.named_parameters() if not lstm_name(name)]
        self.parameters = own + [p for lstm in self.lstms for p in lstm.parameters()]

    def forward(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        import torch
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        from videozoo.models.layers import frame_mask

        model: Any = self.whole
        mask = frame_mask(lengths, features[0].shape[1])  # [B, L]
        parts = []
        for modality, lstm, x in zip(model.modalities, self.lstms, features, strict=True):
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            x = torch.tanh(modality.embedding(packed.data))  # [N, E]
            packed = packed._replace(data=x.bfloat16() if self.short else x)
            with torch.autocast("cpu", enabled=not self.short and self.work.precision == "bf16"):
                states, _ = lstm(packed)
            padded, _ = pad_packed_sequence(states, batch_first=True)  # [B, L, 2H]
            parts.append(modality.weigh(model.dropout(padded), mask))  # [B, 2H]
        x = torch.relu(model.fc1(torch.cat(parts, dim=1)))  # [B, 8192]
        logits: Tensor = model.classifier(torch.tanh(model.fc2(x)))  # [B, K]
        return logits


def lstm_name(name: str) -> bool:
    return "_lstm." in name
