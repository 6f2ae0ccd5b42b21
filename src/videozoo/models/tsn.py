"""TSN: an image network on a few frames spread over the video, its features averaged.

L. Wang, Y. Xiong, Z. Wang, Y. Qiao, D. Lin, X. Tang, L. Van Gool: "Temporal Segment Networks:
Towards Good Practices for Deep Action Recognition", ECCV 2016, section 3.1. As in the published
weights, the segments' features are averaged before the classifier and there is no dropout.

Shapes: B videos, T segments of one frame, H x W pixels, C trunk channels, K classes.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn

from videozoo.models.resnet import ResNet


class TSN(nn.Module):
    """A ResNet on every frame, the mean over segments, a linear classifier.

    The published model is `tsn_resnet50_kinetics400`.

    Args:
        num_classes: K.
        num_layers: of the ResNet: 18, 34, 50, 101 or 152.
    """

    def __init__(self, *, num_classes: int, num_layers: int = 50) -> None:
        super().__init__()
        self.backbone = ResNet(num_layers=num_layers)
        self.fc = nn.Linear(self.backbone.stage_channels[3], num_classes)
        bound = 1.0 / sqrt(2048)
        nn.init.uniform_(self.fc.weight, -bound, bound)
        nn.init.zeros_(self.fc.bias)

    def embed(self, frames: Tensor) -> Tensor:
        """Describes frames by their pooled trunk features: float [N, 3, H, W] -> [N, C].

        In test mode a few frames go through the trunk at a time, so that the memory for a long
        protocol (25 segments of 10 crops) does not grow with it.
        """
        images = self.images_at_once(frames.device)
        parts = torch.split(frames, images) if images else [frames]  # a graph takes any number
        return torch.cat([self.backbone(part).mean(dim=(2, 3)) for part in parts])  # [N, C]

    def forward(self, clips: Tensor) -> Tensor:
        """Classifies clips.

        Args:
            clips: float [B, T, 3, H, W], normalised.

        Returns:
            Logits, float [B, K]; their softmax gives the scores.
        """
        x = self.embed(clips.flatten(0, 1))  # [B * T, C]
        x = x.view(clips.shape[0], clips.shape[1], -1).mean(dim=1)  # [B, C]
        logits: Tensor = self.fc(x)  # [B, K]
        return logits

    def last_maps(self, clips: Tensor) -> Tensor:
        """Returns what the last block gives: [B, T, 3, H, W] -> [B, T, C, H/32, W/32]."""
        maps: Tensor = self.backbone(clips.flatten(0, 1))  # [B * T, C, H/32, W/32]
        return maps.view(*clips.shape[:2], *maps.shape[1:])  # [B, T, C, H/32, W/32]

    def classify_maps(self, maps: Tensor) -> Tensor:
        """Returns the logits [B, K] of what `last_maps` gave."""
        logits: Tensor = self.fc(maps.mean(dim=(3, 4)).mean(dim=1))  # [B, K]
        return logits

    def stages(self) -> list[list[nn.Module]]:
        """Returns the modules of each stage of the ResNet: freezing and layer-wise rates ask."""
        return self.backbone.stages()

    def images_at_once(self, device: torch.device) -> int | None:
        """Returns how many images a long batch is best cut into; None: all pass at once."""
        return self.backbone.images_at_once(device)


def tsn_resnet50_kinetics400() -> TSN:
    """Returns the published model of Kinetics-400, with random weights."""
    return TSN(num_classes=400, num_layers=50)
