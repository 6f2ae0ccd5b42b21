"""NeXtVLAD: frame features split into groups of low dimension, aggregated around soft clusters.

R. Lin, J. Xiao, J. Fan: "NeXtVLAD: An Efficient Neural Network to Aggregate Frame-level Features
for Large-scale Video Classification", ECCV 2018 workshops, sections 3.2 and 3.3.

Shapes: B videos, L frames (padded), N real frames of all videos, D features of a modality,
X = expansion x D, G groups, C clusters, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videozoo.models.batch_norm import BatchNorm
from videozoo.models.layers import FluidDropout, frame_mask, full_precision


class Aggregation(nn.Module):
    """NeXtVLAD aggregation of one modality (section 3.2).

    Args:
        feature_dim: D.
        cluster_size: C.
        groups: G.
        expansion: X / D.
    """

    def __init__(self, *, feature_dim: int, cluster_size: int, groups: int, expansion: int) -> None:
        super().__init__()
        width = expansion * feature_dim
        if width % groups:
            raise ValueError(f"{width} expanded features do not split into {groups} groups")
        self.groups = groups
        self.expansion = nn.Linear(feature_dim, width)
        self.attention = nn.Linear(width, groups)
        self.assignment = nn.Linear(width, groups * cluster_size, bias=False)
        self.assignment_norm = BatchNorm(groups * cluster_size)
        self.centres = nn.Parameter(torch.empty(cluster_size, width // groups))
        self.norm = BatchNorm(cluster_size * width // groups)
        for layer in (self.expansion, self.attention, self.assignment):
            _normal(layer)
        nn.init.normal_(self.centres, std=1.0 / sqrt(width))

    def forward(self, x: Tensor, where: Tensor, batch: int) -> Tensor:
        """Aggregates the real frames of each video.

        Args:
            x: float [B, L, D], padded.
            where: int64 [N], the places of real frames among the B * L.
            batch: B.

        Returns:
            float [B, X / G * C].
        """
        places = batch * x.shape[1]
        x, a = self.assign(_real_frames(x, where))  # [N, X], [N, G, C]
        x = _spread(x, where, places)  # [B * L, X]
        return self._sum_up(x, _spread(a.flatten(1), where, places), batch)

    def forward_padded(self, x: Tensor, mask: Tensor) -> Tensor:
        """Does what `forward` does with a mask, bool [B, L], True at real frames."""
        rows, a = self.assign(x.flatten(0, 1))  # [B * L, X], [B * L, G, C]
        return self._sum_up(rows, a.flatten(1) * mask.flatten()[:, None], x.shape[0])

    def _sum_up(self, x: Tensor, a: Tensor, batch: int) -> Tensor:
        """Sums up frames [B * L, X] by weights [B * L, G * C], 0 at padding: [B, X / G * C]."""
        clusters, part = self.centres.shape
        a = a.view(batch, -1, clusters)  # [B, L * G, C]
        x = x.view(batch, -1, part)  # [B, L * G, X / G]
        vlad = full_precision(torch.bmm(x.transpose(1, 2), a.to(x.dtype)))  # [B, X / G, C]
        sums = full_precision(a).sum(dim=1)  # [B, C]
        vlad = vlad - sums[:, None, :] * self.centres.t()  # [B, X / G, C]
        vlad = F.normalize(vlad, dim=1)  # [B, X / G, C]
        out: Tensor = self.norm(vlad.flatten(1))  # [B, X / G * C]
        return out

    def assign(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Expands frames, and says how much of each group goes to each cluster.

        Args:
            x: float [N, D].

        Returns:
            The expanded frames, float [N, X]; attention times assignment, float [N, G, C].
        """
        x = self.expansion(x)  # [N, X]
        attention = torch.sigmoid(self.attention(x))  # [N, G]
        a = self.assignment_norm(self.assignment(x))  # [N, G * C]
        a = a.view(-1, self.groups, self.centres.shape[0]).softmax(dim=2)  # [N, G, C]
        return x, a * attention[:, :, None]  # [N, X], [N, G, C]


class NeXtVLAD(nn.Module):
    """NeXtVLAD aggregation of every modality, context gating, a linear classifier.

    The published model is `nextvlad_youtube8m`; its modalities are rgb, un-whitened, and audio.

    Args:
        feature_dims: D of each modality.
        num_classes: K.
        cluster_size: C.
        hidden_size: width of the layer between aggregation and classifier.
        groups: G.
        expansion: X / D.
        drop_rate: share of the aggregated features that is dropped (Fluid's dropout).
        gating_reduction: the gate's bottleneck is hidden_size / gating_reduction wide.
    """

    def __init__(
        self,
        *,
        feature_dims: Sequence[int],
        num_classes: int,
        cluster_size: int = 128,
        hidden_size: int = 2048,
        groups: int = 8,
        expansion: int = 2,
        drop_rate: float = 0.5,
        gating_reduction: int = 8,
    ) -> None:
        super().__init__()
        self.modalities = nn.ModuleList(
            Aggregation(
                feature_dim=d, cluster_size=cluster_size, groups=groups, expansion=expansion
            )
            for d in feature_dims
        )
        joined = sum(expansion * d // groups * cluster_size for d in feature_dims)
        narrow = hidden_size // gating_reduction
        self.dropout = FluidDropout(p=drop_rate)
        self.hidden = nn.Linear(joined, hidden_size, bias=False)
        self.hidden_norm = BatchNorm(hidden_size)
        self.gate1 = nn.Linear(hidden_size, narrow, bias=False)
        self.gate_norm = BatchNorm(narrow)
        self.gate2 = nn.Linear(narrow, hidden_size, bias=False)
        self.classifier = nn.Linear(hidden_size, num_classes)
        for layer in (self.hidden, self.gate1, self.gate2, self.classifier):
            _normal(layer)

    def forward(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Classifies a padded batch.

        Args:
            features: float [B, L, D] of each modality.
            lengths: int64 [B], the real frames of each video; at least 1.

        Returns:
            Logits, float [B, K]; their sigmoids are the scores.
        """
        batch, frames = features[0].shape[:2]
        where = frame_mask(lengths, frames).flatten().nonzero().squeeze(1)  # [N]
        parts = [m(x, where, batch) for m, x in zip(self.modalities, features, strict=True)]
        return self._classify(parts)

    def forward_padded(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Does what `forward` does without packing, for torch.export: any batch, any length."""
        mask = frame_mask(lengths, features[0].shape[1])  # [B, L]
        parts = []
        for modality, x in zip(self.modalities, features, strict=True):
            assert isinstance(modality, Aggregation)
            parts.append(modality.forward_padded(x, mask))  # [B, X / G * C]
        return self._classify(parts)

    def _classify(self, parts: list[Tensor]) -> Tensor:
        x = torch.cat(parts, dim=1)  # [B, sum of X / G * C]
        x = self.dropout(x)
        x = self.hidden_norm(self.hidden(x))  # [B, hidden_size]
        gate = torch.relu(self.gate_norm(self.gate1(x)))  # [B, hidden_size / gating_reduction]
        gate = torch.sigmoid(self.gate2(gate))  # [B, hidden_size]
        logits: Tensor = self.classifier(x * gate)  # [B, K]
        return logits

    def frame_weights(self, features: Sequence[Tensor], lengths: Tensor) -> Tensor:
        """Weighs frames by attention times assignment, summed over groups and clusters.

        A group's assignments sum to 1 over the clusters, so what remains is the sum of a frame's
        group attentions, as its share of all frames' sums. It takes what `forward` takes.

        Returns:
            float [B, M, L] of M modalities; a video's frames sum to 1, padding has 0.
        """
        batch, frames = features[0].shape[:2]
        where = frame_mask(lengths, frames).flatten().nonzero().squeeze(1)  # [N]
        parts = []
        for m, x in zip(self.modalities, features, strict=True):
            assert isinstance(m, Aggregation)
            total = full_precision(m.assign(_real_frames(x, where))[1]).sum(dim=(1, 2))  # [N]
            parts.append(_spread(total[:, None], where, batch * frames).view(batch, frames))
        weights = torch.stack(parts, dim=1)  # [B, M, L]
        return weights / weights.sum(dim=2, keepdim=True)  # [B, M, L]


def nextvlad_youtube8m() -> NeXtVLAD:
    """Returns the published model of YouTube-8M's frame features, with random weights."""
    return NeXtVLAD(
        feature_dims=[1024, 128],
        num_classes=3862,
        cluster_size=128,
        hidden_size=2048,
        groups=8,
        expansion=2,
        gating_reduction=8,
    )


def _real_frames(x: Tensor, where: Tensor) -> Tensor:
    """[B, L, D] -> [N, D]: the heavy products and the batch norm see real frames only."""
    x = x.flatten(0, 1)  # [B * L, D]
    return x.index_select(0, where) if len(where) < len(x) else x


def _spread(x: Tensor, where: Tensor, places: int) -> Tensor:
    """Puts rows x [N, C] at `where` among `places` rows of zeros: [places, C]."""
    if len(x) == places:
        return x
    return x.new_zeros(places, x.shape[1]).index_copy_(0, where, x)  # [places, C]


def _normal(layer: nn.Linear) -> None:
    """Draws weights from Normal(0, 1 / sqrt(fan-in)); biases start at zero."""
    nn.init.normal_(layer.weight, std=1.0 / sqrt(layer.in_features))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
