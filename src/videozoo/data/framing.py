"""Which part of a frame a model sees: how large the frame is made, and what is cut out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from videozoo.errors import SampleError

UInt8Array = npt.NDArray[np.uint8]
Planes = Sequence[UInt8Array] | UInt8Array  # red, green and blue, [H, W] each

RESIZE_RULES = ("4:3", "aspect")

# A frame of more than this many times its short side is no picture: resizing it would take
# gigabytes.
_LONGEST = 64


def resized_size(width: int, height: int, *, short_size: int, rule: str) -> tuple[int, int]:
    """Returns the size to which a frame is resized, so that its short side has `short_size` pixels.

    Args:
        width: pixels.
        height: pixels.
        short_size: pixels of the short side of the result.
        rule: "4:3" makes the other side int(short_size * 4 / 3) whatever the frame's own aspect (a
            square one becomes wide), as the original library did and its weights expect. "aspect"
            keeps the frame's own.

    Returns:
        Width and height; the frame's own where its short side already is `short_size`.

    Raises:
        SampleError: the frame is so long and thin that it cannot be resized.
        ValueError: no such rule.
    """
    if min(width, height) == short_size:
        return width, height
    if rule == "4:3":
        other = int(short_size * 4 / 3)
    elif rule == "aspect":
        aspect = max(width, height) / min(width, height)
        if aspect > _LONGEST:
            raise SampleError(f"frames of {width}x{height} pixels are too thin to be resized")
        other = max(short_size, round(short_size * aspect))
    else:
        raise ValueError(f"no resize rule '{rule}', only {RESIZE_RULES}")
    return (short_size, other) if width < height else (other, short_size)


@dataclass(frozen=True)
class Crop:
    """A square that is cut out of every frame of a clip, in the same place.

    Attributes:
        size: pixels of its sides.
        place: how far it lies across and down the room that there is, each in 0..1; None: in the
            middle, from round((side - size) / 2) on.
        mirrored: left and right change places.
    """

    size: int
    place: tuple[float, float] | None = None
    mirrored: bool = False

    @classmethod
    def random(cls, size: int, rng: np.random.Generator, *, flip: bool = True) -> Crop:
        """Draws a place, and with probability 1/2 to mirror the clip unless `flip` is False.

        One draw for a whole clip: drawn for each frame, they would look like motion.
        """
        across, down, mirror = rng.random(3).tolist()
        return cls(size, (across, down), flip and mirror < 0.5)

    def cut(self, frame: Planes, out: UInt8Array) -> None:
        """Cuts one frame.

        Args:
            frame: red, green and blue, uint8 [H, W] each.
            out: uint8 [3, size, size], filled.

        Raises:
            SampleError: the frame is smaller than the crop.
        """
        size = self.size
        height, width = frame[0].shape
        if min(height, width) < size:
            raise SampleError(
                f"frames of {width}x{height} pixels are smaller than the crop of "
                f"{size}x{size}: short_size must be at least target_size"
            )
        if self.place is None:
            left, top = round((width - size) / 2), round((height - size) / 2)
        else:
            left = int(self.place[0] * (width - size + 1))
            top = int(self.place[1] * (height - size + 1))
        for colour, plane in zip(out, frame, strict=True):
            piece = plane[top : top + size, left : left + size]
            colour[:] = piece[:, ::-1] if self.mirrored else piece
