"""What computes an encoder's rows by plain operators, in float32: exported graphs are made of it.

Shapes: n rows, H x W pixels, D values of a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from videozoo.data.transforms import normalise_clips
from videozoo.encoders.encoder import pooled_quarters
from videozoo.models.cpu import for_inference


class FirstFrame(nn.Module):
    """Gives the frames of windows of one frame, uint8 [n, 1, 3, H, W], to what takes frames.

    Args:
        network: takes uint8 [n, 3, H, W].
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor) -> Any:
        """Returns what the network returns."""
        return self.network(frames[:, 0])


class ResNetRows(nn.Module):
    """The mean of a ResNet's last map over the frame, and over its quarters.

    Args:
        trunk: the ResNet.
        mean: of red, green and blue.
        std: of red, green and blue.
    """

    def __init__(self, trunk: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.trunk, self.mean, self.std = trunk, tuple(mean), tuple(std)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [n, 1, 3, H, W] -> float32 [n, C], [n, 4 * C]."""
        return pooled_quarters(self.trunk(normalise_clips(frames[:, 0], self.mean, self.std)))


class ClipRows(nn.Module):
    """What a TSN sees in a frame, or a StNet in all segments of a row.

    Args:
        model: the TSN or StNet.
        segments: of StNet, and their frames; None: it is a TSN.
        mean: of red, green and blue.
        std: of red, green and blue.
    """

    def __init__(
        self,
        model: nn.Module,
        segments: tuple[int, int] | None,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        super().__init__()
        self.model, self.segments = model, segments
        self.mean, self.std = tuple(mean), tuple(std)

    def forward(self, frames: Tensor) -> tuple[Tensor]:
        """uint8 [n, window, 3, H, W] -> float [n, D]."""
        model = cast(Any, self.model)
        if self.segments is None:
            return (model.embed(self._normalised(frames[:, 0])),)  # [n, D]
        number, seglen = self.segments
        clips = frames.reshape(-1, number, 3 * seglen, *frames.shape[3:])
        return (model.describe(self._normalised(clips)),)  # [n, D]

    def _normalised(self, pixels: Tensor) -> Tensor:
        values = normalise_clips(pixels, self.mean, self.std)
        double = cast(Any, self.model).fc.weight.dtype == torch.float64
        return values.double() if double else values


def fastest(model: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """Returns a copy for scoring, after moving the model to the device."""
    model = model.to(device)
    if precision == "64":
        return model.double().eval()
    return for_inference(model, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
