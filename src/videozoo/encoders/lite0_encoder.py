"""The encoder efficientnet_lite0: whole frames of 224 x 224, their mean and their quarters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from videozoo.encoders.efficientnet_lite0 import (
    HEAD,
    MEAN,
    SPREAD,
    EfficientNetLite0,
    folded,
    load_efficientnet_lite0,
)
from videozoo.encoders.encoder import Encoder, Framing, own_precision, pooled_quarters
from videozoo.encoders.network_rows import FirstFrame
from videozoo.encoders.openvino_engine import OpenVinoEngine, openvino_is_installed
from videozoo.errors import VideozooError
from videozoo.models.side_by_side import side_by_side

Precision = Literal["auto", "32", "bf16"]
Engine = Literal["auto", "torch", "openvino"]

# What passes at once stays in a CPU's cache between the layers.
FRAMES_AT_ONCE_CPU = 4


class FrameRows(nn.Module):
    """Pixels in, rows out.

    Args:
        network: computes the map of features.
        dtype: in which it computes.
    """

    def __init__(self, network: EfficientNetLite0, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self.dtype = network, dtype

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 [n, 3, H, W] -> float32 [n, HEAD], [n, 4 * HEAD]; see pooled_quarters."""
        x = pixels.to(self.dtype)  # [n, 3, H, W]
        x = ((x - MEAN) / SPREAD).contiguous(memory_format=torch.channels_last)
        return pooled_quarters(self.network.embed(x))


class EfficientNetLite0Encoder(Encoder):
    """Describes each frame by the mean of the network's last map, and by those of its quarters.

    A row is the same, bit by bit, wherever it stands in a batch and whatever else is in it.

    Args:
        device: where it computes.
        precision: "32", "bf16", or "auto": bf16 where the processor multiplies it itself.
        engine: "torch", "openvino" (CPU), or "auto": OpenVINO where it is installed.

    Attributes:
        precision: in which it computes: "32" or "bf16".
        engine: what computes: "torch" or "openvino". Rows of the two differ by rounding.

    Raises:
        VideozooError: the weights are not installed, or are not this network's; OpenVINO is asked
            for and not installed, or not for a CPU.
    """

    def __init__(
        self, device: torch.device, precision: Precision = "auto", engine: Engine = "auto"
    ) -> None:
        self.precision = settled_precision(device, precision)
        self.engine = settled_engine(device, engine)
        model, self.sha256 = load_efficientnet_lite0()
        self.name = "efficientnet_lite0"
        self.dims = {"rgb": HEAD, "quarters": 4 * HEAD}
        self.framing = Framing(224, 224)
        short = self.precision == "bf16"
        self._at_once = FRAMES_AT_ONCE_CPU if device.type == "cpu" else self.batch
        self._rows: Callable[[Tensor], tuple[Tensor, ...]]
        if self.engine == "openvino":
            plain = FrameRows(model, torch.float32)
            self._rows = OpenVinoEngine(plain, (224, 224), bfloat16=short)
            self._at_once = self.batch
        else:
            dtype = torch.bfloat16 if short else torch.float32
            self._rows = FrameRows(folded(model.to(device), dtype=dtype), dtype)
        self._device = device

    @torch.inference_mode()
    def __call__(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Encodes uint8 [n, 1, 3, 224, 224]; returns float32 [n, 1280], [n, 5120]."""
        pixels = frames[:, 0].to(self._device)  # [n, 3, 224, 224]
        parts = torch.split(pixels, self._at_once)
        # Threads of one core each wait for each other less often than a layer's threads.
        threads = torch.get_num_threads() if self._device.type == "cpu" else 1
        rows = side_by_side(self._rows, parts, workers=min(threads, len(parts)))
        return tuple(torch.cat(modality) for modality in zip(*rows, strict=True))

    def network(self) -> nn.Module:
        """Returns what computes the rows; see Encoder.network."""
        return FirstFrame(FrameRows(load_efficientnet_lite0()[0], torch.float32))


def settled_precision(device: torch.device, precision: Precision) -> Literal["32", "bf16"]:
    """Returns the precision that "auto" means on a device, or the one that was asked for."""
    if precision != "auto":
        return precision
    return own_precision(device)


def settled_engine(device: torch.device, engine: Engine) -> Literal["torch", "openvino"]:
    """Returns the engine that "auto" means on a device, or the one that was asked for.

    Raises:
        VideozooError: OpenVINO is asked for and not installed, or not for a CPU.
    """
    if engine == "openvino" and device.type != "cpu":
        raise VideozooError(f"OpenVINO computes on the CPU here, not on {device}; leave it out")
    if engine == "openvino" and not openvino_is_installed():
        raise VideozooError("OpenVINO is not installed: pip install 'videozoo[export]' installs it")
    if engine == "torch" or device.type != "cpu" or not openvino_is_installed():
        return "torch"
    return "openvino"
