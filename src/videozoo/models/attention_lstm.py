"""AttentionLSTM: bidirectional LSTMs over frame features, their states weighed by attention.

X. Long, C. Gan, G. de Melo, X. Liu, Y. Li, F. Li, S. Wen: "Multimodal Keyless Attention Fusion for
Video Classification", AAAI 2018, section 3. The LSTM has peepholes: F. Gers, N. Schraudolph,
J. Schmidhuber: "Learning Precise Timing with LSTM Recurrent Networks", JMLR 3, 2002, section 2.

Shapes: B videos, L frames (padded), D features of a modality, E embedding, H LSTM size, K classes,
R = 2 directions x modalities: that many LSTMs step together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from videozoo.models.layers import FluidDropout, frame_mask
from videozoo.models.peephole_lstm import PeepholeLSTM, step_together


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
        self.ahead = PeepholeLSTM(input_size=embedding_size, hidden_size=lstm_size)
        self.back = PeepholeLSTM(input_size=embedding_size, hidden_size=lstm_size)
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
        scores = self.attention(states).squeeze(2)  # [B, L]
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=1)  # [B, L]
        return torch.bmm(weights[:, None, :].to(states.dtype), states).squeeze(1)  # [B, 2H]


class AttentionLSTM(nn.Module):
    """A bidirectional LSTM with attention for every modality, then two layers and a classifier.

    The published model has feature_dims [1024, 128] (rgb, audio) and 3,862 classes.

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
        frames = features[0].shape[1]
        mask = frame_mask(lengths, frames)  # [B, L]
        turned = _turned_order(lengths, frames)  # [B, L]
        lstms: list[PeepholeLSTM] = []
        inputs: list[Tensor] = []
        for modality, x in zip(self.modalities, features, strict=True):
            assert isinstance(modality, Modality)
            x = torch.tanh(modality.embedding(x))  # [B, L, E]
            inputs += [x, _take_frames(x, turned)]  # 2 x [B, L, E]
            lstms += [modality.ahead, modality.back]
        # Padding follows the real frames in both directions, so it never enters their states.
        states = step_together(lstms, torch.stack(inputs))  # [R, B, L, H]
        parts = []
        for m, modality in enumerate(self.modalities):
            assert isinstance(modality, Modality)
            back = _take_frames(states[2 * m + 1], turned)  # [B, L, H]
            both = torch.cat([states[2 * m], back], dim=2)  # [B, L, 2H]
            parts.append(modality.weigh(self.dropout(both), mask))  # [B, 2H]
        x = torch.cat(parts, dim=1)  # [B, 2H * modalities]
        x = torch.relu(self.fc1(x))  # [B, hidden_sizes[0]]
        x = torch.tanh(self.fc2(x))  # [B, hidden_sizes[1]]
        logits: Tensor = self.classifier(x)  # [B, K]
        return logits


def _turned_order(lengths: Tensor, frames: int) -> Tensor:
    """Returns the frames of each video from its last to its first, padding left behind: [B, L]."""
    t = torch.arange(frames, device=lengths.device)  # [L]
    back = lengths[:, None] - 1 - t  # [B, L]
    return torch.where(back >= 0, back, t)  # [B, L]


def _take_frames(x: Tensor, order: Tensor) -> Tensor:
    """Returns x [B, L, C] with the frames of each video in `order` [B, L]."""
    return x.gather(1, order[:, :, None].expand_as(x))  # [B, L, C]


def _xavier_uniform(layer: nn.Linear) -> None:
    """Draws weights as Fluid does by default; biases start at zero."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
