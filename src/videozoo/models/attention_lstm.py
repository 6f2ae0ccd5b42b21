"""AttentionLSTM: bidirectional LSTMs over frame features, their states weighed by attention.

X. Long, C. Gan, G. de Melo, X. Liu, Y. Li, F. Li, S. Wen: "Multimodal Keyless Attention Fusion for
Video Classification", AAAI 2018, section 3. The LSTM has peepholes: F. Gers, N. Schraudolph,
J. Schmidhuber: "Learning Precise Timing with LSTM Recurrent Networks", JMLR 3, 2002, section 2.

Shapes: B videos, L frames (padded), N real frames of all videos, D features of a modality,
E embedding, H LSTM size, K classes, R = 2 directions x modalities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from videozoo.models.layers import FluidDropout, frame_mask
from videozoo.models.peephole_lstm import PeepholeLSTM, run_lstms


class Modality(nn.Module):
    """The layers of one modality: embedding, an LSTM each direction, attention over frames.

    Args:
        feature_dim: D.
        embedding_size: E.
        lstm_size: H.
    """

    def __init__(self, *, feature_dim: int, embedding_size: int, lstm_size: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(feature_dim, embedding_size)
        self.forward_lstm = PeepholeLSTM(input_size=embedding_size, hidden_size=lstm_size)
        self.backward_lstm = PeepholeLSTM(input_size=embedding_size, hidden_size=lstm_size)
        self.attention = nn.Linear(2 * lstm_size, 1)
        _xavier_uniform(self.embedding)
        _xavier_uniform(self.attention)

    def weigh(self, states: Tensor, mask: Tensor) -> Tensor:
        """Sums the states of a video's real frames, weighed by attention.

        Args:
            states: float [B, L, 2H].
            mask: bool [B, L], True at real frames.

        Returns:
            float [B, 2H].
        """
        weights = self.weights(states, mask)  # [B, L]
        return torch.bmm(weights[:, None, :].to(states.dtype), states).squeeze(1)  # [B, 2H]

    def weights(self, states: Tensor, mask: Tensor) -> Tensor:
        """Returns the weights of a video's frames in that sum, float [B, L]; padding has 0."""
        scores = self.attention(states).squeeze(2)  # [B, L]
        weights: Tensor = scores.masked_fill(~mask, -torch.inf).softmax(dim=1)  # [B, L]
        return weights


class AttentionLSTM(nn.Module):
    """A bidirectional LSTM with attention for every modality, then two layers and a classifier.

    The published model is `attention_lstm_youtube8m`; its modalities are rgb and audio.

    Args:
        feature_dims: D of each modality.
        num_classes: K.
        embedding_size: E.
        lstm_size: H.
        drop_rate: share of the LSTM states that is dropped (Fluid's dropout).
        hidden_sizes: widths of the two hidden layers.
    """

    def __init__(
        self,
        *,
        feature_dims: Sequence[int],
        num_classes: int,
        embedding_size: int = 512,
        lstm_size: int = 1024,
        drop_rate: float = 0.5,
        hidden_sizes: tuple[int, int] = (8192, 4096),
    ) -> None:
        super().__init__()
        self.modalities = nn.ModuleList(
            Modality(feature_dim=d, embedding_size=embedding_size, lstm_size=lstm_size)
            for d in feature_dims
        )
        self.dropout = FluidDropout(p=drop_rate)
        self.fc1 = nn.Linear(2 * lstm_size * len(feature_dims), hidden_sizes[0])
        self.fc2 = nn.Linear(hidden_sizes[0], hidden_sizes[1])
        self.classifier = nn.Linear(hidden_sizes[1], num_classes)
        for layer in (self.fc1, self.fc2, self.classifier):
            _xavier_uniform(layer)

    def forward(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Classifies a padded batch.

        Args:
            features: float [B, L, D] of each modality.
            lengths: int64 [B], the real frames of each video; at least 1.

        Returns:
            Logits, float [B, K]; their sigmoids are the scores.
        """
        mask = frame_mask(lengths, features[0].shape[1])  # [B, L]
        states = self._states(features, lengths)
        return self._classify([m.weigh(x, mask) for m, x in states])  # M x [B, 2H]

    def forward_padded(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Does what `forward` does without packing, for torch.export: any batch, any length.

        What an LSTM makes of padding comes behind a video's last frame, where attention looks away.
        """
        t = torch.arange(features[0].shape[1], device=lengths.device)  # [L]
        mask = frame_mask(lengths, features[0].shape[1])  # [B, L]
        backwards = torch.where(mask, lengths[:, None] - 1 - t, t)  # [B, L]
        parts = []
        for modality, x in zip(self.modalities, features, strict=True):
            assert isinstance(modality, Modality)
            x = torch.tanh(modality.embedding(x))  # [B, L, E]
            forward = _scanned(modality.forward_lstm, x)  # [B, L, H]
            backward = _scanned(modality.backward_lstm, _reordered(x, backwards))  # [B, L, H]
            both = torch.cat([forward, _reordered(backward, backwards)], dim=2)  # [B, L, 2H]
            parts.append(modality.weigh(self.dropout(both), mask))  # [B, 2H]
        return self._classify(parts)

    def frame_weights(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Weighs frames by attention: a frame's state has seen its neighbours as well.

        It takes what `forward` takes.

        Returns:
            float [B, M, L] of M modalities; a video's frames sum to 1, padding has 0.
        """
        mask = frame_mask(lengths, features[0].shape[1])  # [B, L]
        parts = [m.weights(states, mask) for m, states in self._states(features, lengths)]
        return torch.stack(parts, dim=1)  # [B, M, L]

    def _states(self, features: Sequence[Tensor], lengths: Tensor) -> list[tuple[Modality, Tensor]]:
        """Returns the states of both directions of each modality, [B, L, 2H]; 0 at padding."""
        b, frames, _ = features[0].shape
        order = _pack(lengths, frames)
        lstms: list[PeepholeLSTM] = []
        inputs: list[Tensor] = []
        for modality, x in zip(self.modalities, features, strict=True):
            assert isinstance(modality, Modality)
            x = x.flatten(0, 1).index_select(0, order.rows)  # [N, D]
            x = torch.tanh(modality.embedding(x))  # [N, E]
            inputs += [x, x.index_select(0, order.reversed)]  # 2 x [N, E]
            lstms += [modality.forward_lstm, modality.backward_lstm]
        states = run_lstms(lstms, inputs, order.sizes)  # R x [N, H]
        found: list[tuple[Modality, Tensor]] = []
        for m, modality in enumerate(self.modalities):
            assert isinstance(modality, Modality)
            backward = states[2 * m + 1].index_select(0, order.reversed)  # [N, H]
            both = self.dropout(torch.cat([states[2 * m], backward], dim=1))  # [N, 2H]
            zeros = both.new_zeros(b * frames, both.shape[1])  # [B * L, 2H]
            padded = zeros.index_copy(0, order.rows, both).view(b, frames, -1)  # [B, L, 2H]
            found.append((modality, padded))
        return found

    def _classify(self, parts: list[Tensor]) -> Tensor:
        x = torch.cat(parts, dim=1)  # [B, 2H * modalities]
        x = torch.relu(self.fc1(x))  # [B, hidden_sizes[0]]
        x = torch.tanh(self.fc2(x))  # [B, hidden_sizes[1]]
        logits: Tensor = self.classifier(x)  # [B, K]
        return logits


def attention_lstm_youtube8m() -> AttentionLSTM:
    """Returns the published model of YouTube-8M's frame features, with random weights."""
    return AttentionLSTM(
        feature_dims=[1024, 128], num_classes=3862, embedding_size=512, lstm_size=1024
    )


@dataclass(frozen=True)
class _Packing:
    """How the real frames of a padded batch lie when packed for `run_lstms`.

    Args:
        sizes: the number of videos that have a frame t, for every t.
        rows: int64 [N], where each packed frame lies in the padded batch, counted in frames.
        reversed: int64 [N], puts packed videos in reverse order, each from its own last frame.
    """

    sizes: list[int]
    rows: Tensor
    reversed: Tensor


def _pack(lengths: Tensor, frames: int) -> _Packing:
    """Packs videos of these lengths [B], padded to so many frames, the longest first."""
    ordered, videos = lengths.sort(descending=True, stable=True)  # 2 x [B]
    t = torch.arange(frames, device=lengths.device)[:, None]  # [L, 1]
    real = t < ordered  # [L, B]
    forward = (videos * frames + t)[real]  # [N]
    backward = (videos * frames + ordered - 1 - t)[real]  # [N]
    place = torch.empty(len(lengths) * frames, dtype=torch.int64, device=t.device)  # [B * L]
    place[forward] = torch.arange(len(forward), device=t.device)
    sizes = [size for size in real.sum(dim=1).tolist() if size]
    return _Packing(sizes=sizes, rows=forward, reversed=place[backward])


def _reordered(x: Tensor, places: Tensor) -> Tensor:
    """Takes the frames of each video from other places [B, L] of it: [B, L, D] -> [B, L, D]."""
    return x.gather(1, places[:, :, None].expand(-1, -1, x.shape[2]))


def _scanned(lstm: PeepholeLSTM, x: Tensor) -> Tensor:
    """Runs an LSTM over [B, L, E] by an operator that an exported graph has too: [B, L, H].

    Its formulas stand in models.peephole_lstm.
    """
    from torch._higher_order_ops.scan import scan  # brings in PyTorch's compiler

    h = lstm.weight.shape[0]

    def step(before: tuple[Tensor, Tensor], g: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        state, cell = before  # 2 x [B, H]
        # Of the outer graph a step sees parameters alone: OpenVINO takes nothing else.
        peepholes = lstm.bias[4 * h :].view(3, h)
        candidate, i, f, o = (g + state @ lstm.weight).chunk(4, dim=1)  # 4 x [B, H]
        i = torch.sigmoid(i + peepholes[0] * cell)
        f = torch.sigmoid(f + peepholes[1] * cell)
        cell = f * cell + i * torch.tanh(candidate)
        o = torch.sigmoid(o + peepholes[2] * cell)
        state = o * torch.tanh(cell)
        return (state, cell), state.clone()  # scan takes no output that is an input too

    zeros = x.new_zeros(x.shape[0], h)  # [B, H]
    _, states = scan(step, (zeros, zeros.clone()), lstm.project(x).transpose(0, 1))  # [L, B, H]
    out: Tensor = states.transpose(0, 1)  # [B, L, H]
    return out


def _xavier_uniform(layer: nn.Linear) -> None:
    """Draws weights as Fluid does by default; biases start at zero."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
