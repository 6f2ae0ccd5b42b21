"""Two models that videozoo does not know: all that a new one needs, in a file.

In the package a model is its file in models/, its record in specs/ and its config; here the record
is put among the others by hand.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videozoo.config.clip_keys import ClipSettings
from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import Fraction, PositiveInt, key
from videozoo.models.batch_norm import BatchNorm
from videozoo.models.layers import frame_mask
from videozoo.specs.spec import ModelSpec


class ToyClipNet(nn.Module):
    """Two convolutions on every frame, the mean over frames and places, a linear classifier."""

    def __init__(self, *, num_classes: int, width: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 4, stride=4, bias=False)
        self.stem_norm = BatchNorm(width)
        self.body = nn.Conv2d(width, width, 3, bias=False)
        self.body_norm = BatchNorm(width)
        self.fc = nn.Linear(width, num_classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Float clips [B, T, 3, H, W] -> logits [B, K]."""
        x = self.stem_norm(self.stem(clips.flatten(0, 1))).relu()  # [B * T, C, H / 4, W / 4]
        x = self.body_norm(self.body(x)).relu().mean(dim=(2, 3))  # [B * T, C]
        logits: Tensor = self.fc(x.view(clips.shape[0], clips.shape[1], -1).mean(dim=1))  # [B, K]
        return logits

    def stages(self) -> list[list[nn.Module]]:
        """Returns the modules of each stage."""
        return [[self.stem, self.stem_norm], [self.body, self.body_norm]]


class PlainClipNet(ToyClipNet):
    """The same, but it knows no stages."""

    stages = None  # type: ignore[assignment]


class ToyFeatureNet(nn.Module):
    """The mean of the frames, a batch norm, a linear classifier."""

    def __init__(self, *, feature_dims: list[int], num_classes: int, drop_rate: float) -> None:
        super().__init__()
        self.norm = BatchNorm(sum(feature_dims))
        self.dropout = nn.Dropout(drop_rate)
        self.classifier = nn.Linear(sum(feature_dims), num_classes)

    def forward(self, features: list[Tensor], lengths: Tensor) -> Tensor:
        """Float features [B, L, D_m] by modality, lengths [B] -> logits [B, K]."""
        mask = frame_mask(lengths, features[0].shape[1])[..., None]  # [B, L, 1]
        means = [(x * mask).sum(dim=1) / lengths[:, None] for x in features]  # [B, D_m]
        logits: Tensor = self.classifier(self.dropout(self.norm(torch.cat(means, dim=1))))  # [B, K]
        return logits


class ToyClipKeys(ClipSettings):
    """The keys of the toy clip model."""

    NAME = "ToyClips"
    CONFIG_FILE = "toy_clips.txt"
    MODEL_KEYS = ("num_classes", "width")

    width: PositiveInt = key(4, description="the toy's channels")


class PlainClipKeys(ToyClipKeys):
    """The keys of the toy without stages."""

    NAME = "PlainClips"
    CONFIG_FILE = "plain_clips.txt"


class ToyFeatureKeys(FeatureSettings):
    """The keys of the toy feature model."""

    NAME = "ToyFeatures"
    CONFIG_FILE = "toy_features.txt"
    MODEL_KEYS = ("feature_dims", "num_classes", "drop_rate")

    drop_rate: Fraction = key(0.5, description="the toy's dropout")


TOYS = {
    spec.name: spec
    for spec in (
        ModelSpec(keys=ToyClipKeys, construct=ToyClipNet, optimizer="adamw"),
        ModelSpec(keys=PlainClipKeys, construct=PlainClipNet),
        ModelSpec(keys=ToyFeatureKeys, construct=ToyFeatureNet),
    )
}
