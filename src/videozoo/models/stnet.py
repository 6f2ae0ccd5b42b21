"""StNet: super-images, temporal convolutions inside a ResNet, a temporal Xception block.

D. He, Z. Zhou, C. Gan, F. Li, X. Liu, Y. Li, L. Wang, S. Wen: "StNet: Local and Global
Spatial-Temporal Modeling for Action Recognition", AAAI 2019, section 3. As in the published
weights, the temporal blocks have a shortcut and their order is convolution, ReLU, batch norm.

Shapes: B videos, T segments of seglen frames each, H x W pixels, C channels of a trunk stage,
K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videozoo.models.batch_norm import BatchNorm
from videozoo.models.resnet import ResNet


class TemporalBlock(nn.Module):
    """A convolution over three segments, ReLU, batch norm, plus the input (section 3.3).

    Args:
        channels: C.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))
        self.norm = BatchNorm(channels)
        _xavier_uniform(self.conv)

    def forward(self, x: Tensor, batch: int) -> Tensor:
        """Mixes neighbouring segments of B videos: [B * T, C, H, W] -> the same shape.

        With the channels of a pixel side by side, all of it works on the memory as it lies.
        """
        segments = x.view(batch, -1, *x.shape[1:]).transpose(1, 2)  # [B, C, T, H, W]
        if self.training and segments.shape[2] == 2:
            # For two segments oneDNN's gradient of a weight in bfloat16 is what lay in memory
            # before (PyTorch 2.13); zeros, which are around them anyway, make three.
            y = self.conv(F.pad(segments, (0, 0, 0, 0, 0, 1)))[:, :, :2]  # [B, C, T, H, W]
        else:
            y = self.conv(segments)  # [B, C, T, H, W]
        out: Tensor = self.norm(torch.relu(y)) + segments  # [B, C, T, H, W]
        return out.transpose(1, 2).flatten(0, 1)  # [B * T, C, H, W]


class TemporalXception(nn.Module):
    """Separable convolutions over the segments with a shortcut (section 3.4).

    Args:
        channels: C; the output has half as many.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.norm = BatchNorm(channels)
        self.depthwise1 = nn.Conv1d(channels, channels, 3, padding=1, groups=channels)
        self.pointwise1 = nn.Conv1d(channels, half, 1)
        self.norm1 = BatchNorm(half)
        self.depthwise2 = nn.Conv1d(half, half, 3, padding=1, groups=half)
        self.pointwise2 = nn.Conv1d(half, half, 1)
        self.shortcut = nn.Conv1d(channels, half, 1)
        self.norm2 = BatchNorm(half)
        for module in self.children():
            if isinstance(module, nn.Conv1d):
                _xavier_uniform(module)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> [B, C / 2, T]."""
        x = self.norm(x)  # [B, C, T]
        y = self.pointwise1(self.depthwise1(x))  # [B, C / 2, T]
        y = torch.relu(self.norm1(y))  # [B, C / 2, T]
        y = self.pointwise2(self.depthwise2(y))  # [B, C / 2, T]
        return torch.relu(self.norm2(y + self.shortcut(x)))  # [B, C / 2, T]


class StNet(nn.Module):
    """A ResNet on super-images with two temporal blocks, a temporal Xception, a classifier.

    The published model is `stnet_resnet50_kinetics400`. With 18 or 34 layers all temporal widths
    follow the trunk's narrower stages.

    Args:
        num_classes: K.
        num_layers: of the ResNet: 18, 34, 50, 101 or 152.
        seglen: frames of a segment; the first convolution takes 3 * seglen channels.
    """

    def __init__(self, *, num_classes: int, num_layers: int = 50, seglen: int = 5) -> None:
        super().__init__()
        self.backbone = ResNet(num_layers=num_layers, in_channels=3 * seglen)
        channels = self.backbone.stage_channels
        self.temporal1 = TemporalBlock(channels=channels[1])
        self.temporal2 = TemporalBlock(channels=channels[2])
        self.xception = TemporalXception(channels=channels[3])
        self.fc = nn.Linear(channels[3] // 2, num_classes)
        bound = 1.0 / sqrt(2048)
        nn.init.uniform_(self.fc.weight, -bound, bound)
        nn.init.zeros_(self.fc.bias)

    def embed(self, clips: Tensor) -> Tensor:
        """Describes every segment, its neighbours included: [B, T, 3*seglen, H, W] -> [B, T, C].

        In test mode a few videos go through the trunk at a time; all segments of a video at once,
        since they mix.
        """
        images = self.images_at_once(clips.device)
        parts: Sequence[Tensor] = [clips]  # a graph takes any number
        if images:
            parts = torch.split(clips, max(1, images // clips.shape[1]))
        return torch.cat([self._embed(part) for part in parts])  # [B, T, C]

    def _embed(self, clips: Tensor) -> Tensor:
        return self.last_maps(clips).mean(dim=(3, 4))  # [B, T, C]

    def last_maps(self, clips: Tensor) -> Tensor:
        """Returns what the last block gives: [B, T, 3*seglen, H, W] -> [B, T, C, H/32, W/32]."""
        batch = clips.shape[0]
        x = self.backbone.stem(clips.flatten(0, 1))  # [B * T, 64, H/4, W/4]
        x = self.backbone.layer1(x)  # [B * T, C1, H/4, W/4]
        x = self.backbone.layer2(x)  # [B * T, C2, H/8, W/8]
        x = self.temporal1(x, batch)  # [B * T, C2, H/8, W/8]
        x = self.backbone.layer3(x)  # [B * T, C3, H/16, W/16]
        x = self.temporal2(x, batch)  # [B * T, C3, H/16, W/16]
        x = self.backbone.layer4(x)  # [B * T, C, H/32, W/32]
        out: Tensor = x.view(*clips.shape[:2], *x.shape[1:])  # [B, T, C, H/32, W/32]
        return out

    def classify_maps(self, maps: Tensor) -> Tensor:
        """Returns the logits [B, K] of what `last_maps` gave."""
        logits: Tensor = self.fc(self._mixed(maps.mean(dim=(3, 4))))  # [B, K]
        return logits

    def describe(self, clips: Tensor) -> Tensor:
        """Describes clips by what the classifier sees: [B, T, 3 * seglen, H, W] -> [B, C / 2]."""
        return self._mixed(self.embed(clips))  # [B, C / 2]

    def _mixed(self, x: Tensor) -> Tensor:
        """Mixes the segments' descriptions: [B, T, C] -> [B, C / 2]."""
        x = self.xception(x.transpose(1, 2))  # [B, C / 2, T]
        out: Tensor = x.amax(dim=2)  # [B, C / 2]
        return out

    def forward(self, clips: Tensor) -> Tensor:
        """Classifies clips.

        Args:
            clips: float [B, T, 3 * seglen, H, W], normalised.

        Returns:
            Logits, float [B, K]; their softmax gives the scores.
        """
        logits: Tensor = self.fc(self.describe(clips))  # [B, K]
        return logits

    def stages(self) -> list[list[nn.Module]]:
        """Returns the modules of each stage of the ResNet: freezing and layer-wise rates ask."""
        return self.backbone.stages()

    def images_at_once(self, device: torch.device) -> int | None:
        """Returns how many images a long batch is best cut into; None: all pass at once."""
        return self.backbone.images_at_once(device)


def stnet_resnet50_kinetics400() -> StNet:
    """Returns the published model of Kinetics-400, with random weights."""
    return StNet(num_classes=400, num_layers=50, seglen=5)


def _xavier_uniform(conv: nn.Conv1d | nn.Conv3d) -> None:
    """Draws weights as Fluid does by default; biases start at zero."""
    nn.init.xavier_uniform_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
