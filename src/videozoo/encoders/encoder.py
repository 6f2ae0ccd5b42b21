"""What an encoder is: a network that was trained elsewhere, frames in, rows of features out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from videozoo.data.framing import resized_size
from videozoo.data.sample import UInt8Array
from videozoo.errors import SampleError, VideozooError
from videozoo.models import onednn
from videozoo.video.geometry import Planes

MOST_PIXELS = 4096  # of a side


@dataclass(frozen=True)
class CentreCut:
    """The middle of a frame, width x height pixels."""

    width: int
    height: int

    def extent(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of what is kept; see video.geometry.Cut.

        Raises:
            SampleError: the frame is smaller.
        """
        if height < self.height or width < self.width:
            raise SampleError(
                f"a frame of {width}x{height} pixels is smaller than {self.width}x{self.height}"
            )
        return self.height, self.width

    def cut(self, frame: Planes, out: UInt8Array) -> None:
        """Copies the middle of a frame to `out`, uint8 [3, height, width]."""
        height, width = frame[0].shape
        self.extent(height, width)
        top, left = round((height - self.height) / 2), round((width - self.width) / 2)
        for colour, plane in zip(out, frame, strict=True):
            colour[:] = plane[top : top + self.height, left : left + self.width]


@dataclass(frozen=True)
class Framing:
    """How an upright frame becomes what an encoder takes.

    Attributes:
        width, height: pixels of what it takes.
        short_side: the frame's short side is resized to so many pixels and the middle is cut out;
            None: the whole frame is resized to width x height, whatever its aspect.
        rule: how the long side follows the short one, see data.framing.resized_size.
        resample: "bilinear" or "bicubic".
        resize_with: "swscale" or "pillow", see video.reader.read_clip.
    """

    width: int
    height: int
    short_side: int | None = None
    rule: str = "aspect"
    resample: str = "bilinear"
    resize_with: str = "swscale"

    def __post_init__(self) -> None:
        for pixels in (self.width, self.height, self.short_side or 1):
            if not 1 <= pixels <= MOST_PIXELS:
                raise VideozooError(
                    f"frames of {pixels} pixels: an encoder takes 1 to {MOST_PIXELS}"
                )

    def resize(self, width: int, height: int) -> tuple[int, int]:
        """Returns the size that a frame of this size is resized to."""
        if self.short_side is None:
            return self.width, self.height
        return resized_size(width, height, short_size=self.short_side, rule=self.rule)

    @property
    def square_pixels(self) -> bool:
        """Whether `resize` is asked about frames as they are shown, see video.reader."""
        return self.short_side is not None and self.rule == "aspect"

    @property
    def cut(self) -> CentreCut:
        """What is cut out of the resized frame."""
        return CentreCut(self.width, self.height)


class Encoder(ABC):
    """A network that describes frames by rows of features.

    Attributes:
        name: what it is called in configs and checkpoints.
        sha256: of its weights.
        dims: the width of a row by modality, in their order.
        framing: how frames are made ready.
        window: frames that a row is made of.
        batch: rows that are always encoded together: the last ones are padded, so that a row does
            not depend on what else there is.
        precision: "bf16" or "32": what it computes in.
    """

    name: str
    sha256: str
    dims: dict[str, int]
    framing: Framing
    window: int = 1
    batch: int = 32
    precision: str = "32"

    @abstractmethod
    def __call__(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Encodes.

        Args:
            frames: uint8 [batch, window, 3, height, width], on any device.

        Returns:
            float32 [batch, D] a modality, on the CPU.
        """

    def network(self) -> nn.Module:
        """Returns what computes the rows, in float32 by plain operators, for an exported graph.

        On the CPU, in test mode: uint8 [n, window, 3, height, width] -> float32 [n, D] a modality.

        Raises:
            VideozooError: the encoder has none.
        """
        raise VideozooError(f"the encoder {self.name} cannot be exported")

    def packed(self) -> dict[str, Any] | None:
        """Returns what a checkpoint must carry to encode without a file of the user's.

        None: the name alone leads to the weights.
        """
        return None


def pooled_quarters(features: Tensor) -> tuple[Tensor, Tensor]:
    """Averages a map over the whole frame, and over each of its quarters.

    Quarters of an odd side share its middle line.

    Args:
        features: float [n, C, H, W].

    Returns:
        float32 [n, C], and [n, 4 * C]: top left, top right, bottom left, bottom right.
    """
    places = features.float().permute(0, 2, 3, 1).flatten(1, 2)  # [n, P, C]
    means = _quarter_weights(*features.shape[2:]).to(features.device) @ places  # [n, 5, C]
    return means[:, 0], means[:, 1:].flatten(1)  # [n, C], [n, 4 * C]


def _quarter_weights(height: int, width: int) -> Tensor:
    """Returns the weights [5, P] of a map's P places in the means: all, then the quarters."""
    high, wide = (height + 1) // 2, (width + 1) // 2
    weights = torch.zeros(5, height, width)
    weights[0] = 1 / (height * width)
    weights[1, :high, :wide] = weights[2, :high, -wide:] = 1 / (high * wide)
    weights[3, -high:, :wide] = weights[4, -high:, -wide:] = 1 / (high * wide)
    return weights.flatten(1)


def own_precision(device: torch.device) -> Literal["32", "bf16"]:
    """Returns "bf16" where a device computes it itself: a GPU, a CPU with AVX-512 BF16 or AMX."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "32"
    return "bf16" if device.type == "cpu" and onednn.bfloat16_is_fast() else "32"
