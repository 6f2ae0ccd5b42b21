"""AttentionCluster: clusters of attention units over frame features.

X. Long, C. Gan, G. de Melo, J. Wu, X. Liu, S. Wen: "Attention Clusters: Purely Attention Based
Local Feature Integration for Video Classification", CVPR 2018, sections 3.2 and 3.3.

Each modality has C attention units. A unit weighs the frames, sums them, and is set apart from the
other units by the shifting operation (a learned scale and offset, then the L2 norm).

Shapes: B videos, L frames (padded), D features of a modality, C clusters, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn

from videozoo.models.layers import FluidDropout, frame_mask, full_precision


class ShiftingAttention(nn.Module):
    """C attention units with the shifting operation over one modality (section 3.2).

    Args:
        feature_dim: D.
        cluster_num: C.
    """

    def __init__(self, *, feature_dim: int, cluster_num: int) -> None:
        super().__init__()
        self.attention = nn.Linear(feature_dim, cluster_num)
        self.shift_w = nn.Parameter(torch.empty(cluster_num))
        self.shift_b = nn.Parameter(torch.empty(cluster_num))
        _he_normal(self.attention)
        std = sqrt(1.0 / sqrt(cluster_num))
        nn.init.normal_(self.shift_w, std=std)
        nn.init.normal_(self.shift_b, std=std)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Sums up the frames of each video once a cluster.

        Args:
            x: float [B, L, D].
            mask: bool [B, L], True at real frames.

        Returns:
            float [B, C * D].
        """
        weights = self.weights(x, mask)  # [B, L, C]
        v = torch.bmm(weights.transpose(1, 2).to(x.dtype), x)  # [B, C, D]
        v = full_precision(v) * self.shift_w[:, None] + self.shift_b[:, None]  # [B, C, D]
        # The square root holds the eps too: a cluster of zeros has a finite gradient.
        v = v * torch.rsqrt(v.square().sum(dim=2, keepdim=True) + 1e-12)  # [B, C, D]
        return v.flatten(1) / sqrt(self.shift_w.numel())  # [B, C * D]

    def weights(self, x: Tensor, mask: Tensor) -> Tensor:
        """Returns the weights of the frames in each cluster's sum; takes what `forward` takes.

        Returns:
            float [B, L, C]; those of a video's frames sum to 1, padding has 0.
        """
        scores = self.attention(x)  # [B, L, C]
        scores = scores.masked_fill(~mask[:, :, None], -torch.inf)  # [B, L, C]
        weights: Tensor = scores.softmax(dim=1)  # [B, L, C]
        return weights


class AttentionCluster(nn.Module):
    """Attention clusters of every modality, then two tanh layers and a linear classifier.

    The published model is `attention_cluster_youtube8m`; its modalities are rgb and audio.

    Args:
        feature_dims: D of each modality.
        cluster_nums: C of each modality.
        num_classes: K.
        drop_rate: share of the joined features that is dropped (Fluid's dropout).
        hidden_sizes: widths of the two hidden layers.
    """

    def __init__(
        self,
        *,
        feature_dims: Sequence[int],
        cluster_nums: Sequence[int],
        num_classes: int,
        drop_rate: float = 0.5,
        hidden_sizes: tuple[int, int] = (1024, 4096),
    ) -> None:
        super().__init__()
        if len(feature_dims) != len(cluster_nums):
            raise ValueError("feature_dims and cluster_nums need one number a modality")
        self.clusters = nn.ModuleList(
            ShiftingAttention(feature_dim=d, cluster_num=c)
            for d, c in zip(feature_dims, cluster_nums, strict=True)
        )
        joined = sum(d * c for d, c in zip(feature_dims, cluster_nums, strict=True))
        self.dropout = FluidDropout(p=drop_rate)
        self.fc1 = nn.Linear(joined, hidden_sizes[0])
        self.fc2 = nn.Linear(hidden_sizes[0], hidden_sizes[1])
        self.classifier = nn.Linear(hidden_sizes[1], num_classes)
        for layer in (self.fc1, self.fc2, self.classifier):
            _he_normal(layer)

    def forward(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Classifies a padded batch.

        Args:
            features: float [B, L, D] of each modality.
            lengths: int64 [B], the real frames of each video; at least 1.

        Returns:
            Logits, float [B, K]; their sigmoids are the scores.
        """
        mask = frame_mask(lengths, features[0].shape[1])  # [B, L]
        parts = [m(x, mask) for m, x in zip(self.clusters, features, strict=True)]
        x = torch.cat(parts, dim=1)  # [B, sum of C * D]
        x = self.dropout(x)
        x = torch.tanh(self.fc1(x))  # [B, hidden_sizes[0]]
        x = torch.tanh(self.fc2(x))  # [B, hidden_sizes[1]]
        logits: Tensor = self.classifier(x)  # [B, K]
        return logits

    def frame_weights(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Weighs frames by attention, averaged over a modality's clusters.

        It takes what `forward` takes.

        Returns:
            float [B, M, L] of M modalities; a video's frames sum to 1, padding has 0.
        """
        mask = frame_mask(lengths, features[0].shape[1])  # [B, L]
        parts = []
        for m, x in zip(self.clusters, features, strict=True):
            assert isinstance(m, ShiftingAttention)
            parts.append(m.weights(x, mask).mean(dim=2))  # [B, L]
        return torch.stack(parts, dim=1)  # [B, M, L]


def attention_cluster_youtube8m() -> AttentionCluster:
    """Returns the published model of YouTube-8M's frame features, with random weights."""
    return AttentionCluster(feature_dims=[1024, 128], cluster_nums=[32, 32], num_classes=3862)


def _he_normal(layer: nn.Linear) -> None:
    """Draws weights and biases from Normal(0, sqrt(2 / fan-in)), as the original does.

    For a bias vector Fluid's fan-in is its length.
    """
    nn.init.normal_(layer.weight, std=sqrt(2.0 / layer.in_features))
    nn.init.normal_(layer.bias, std=sqrt(2.0 / layer.out_features))
