"""What is done to a sample in training: drawn here, one draw a sample, from its own generator.

Frames and crops are drawn and applied where a sample is read. What the device applies to a whole
batch (see videozoo.data.jitter) is drawn here too, as a row of numbers that rides with the sample:
then (seed, epoch, index) alone decide it, whichever process reads the sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np
import numpy.typing as npt
from PIL import Image

from videozoo.data.framing import Crop
from videozoo.video.geometry import Cut, Planes, UInt8Array

Float32Array = npt.NDArray[np.float32]

ASPECTS = (3 / 4, 4 / 3)  # of a random resized crop: width / height
_TRIES = 10
_CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5))  # across, down

OPERATIONS = (
    "identity", "auto_contrast", "brightness", "contrast", "color", "sharpness", "posterize",
    "solarize", "rotate", "shear_x", "shear_y", "translate_x", "translate_y",
)  # fmt: skip
"""What RandAugment draws from: the paper's, but for equalize."""


@dataclass(frozen=True)
class ResizedCrop:
    """A box that is cut out of every frame of a clip, in the same place, and made a square.

    Attributes:
        size: pixels of the square's sides.
        shapes: width and height of the box as shares; the first one that fits into the frame
            counts, so that one draw does for any frame, and where none does its largest square.
        of_short_side: shares of the frame's short side; else of the root of its area.
        place: how far the box lies across and down the room that there is, each in 0..1.
        mirrored: left and right change places.
    """

    size: int
    shapes: tuple[tuple[float, float], ...]
    of_short_side: bool
    place: tuple[float, float]
    mirrored: bool

    def extent(self, height: int, width: int) -> tuple[int, int]:
        """Returns the size of the square, whatever the frame's."""
        return self.size, self.size

    def box(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Returns top, left, height and width of the box in a frame of that size."""
        tall, wide = self._shape(height, width)
        left = round(self.place[0] * (width - wide))
        top = round(self.place[1] * (height - tall))
        return top, left, tall, wide

    def _shape(self, height: int, width: int) -> tuple[int, int]:
        short = min(height, width)
        for across, down in self.shapes:
            unit = short if self.of_short_side else sqrt(height * width)
            wide, tall = round(across * unit), round(down * unit)
            if 0 < wide <= width and 0 < tall <= height:
                return tall, wide
        return short, short

    def cut(self, frame: Planes, out: UInt8Array) -> None:
        """Cuts the box out of one frame and resizes it, bilinear as pickles are.

        Args:
            frame: red, green and blue, uint8 [H, W] each.
            out: uint8 [3, size, size], filled.
        """
        top, left, tall, wide = self.box(*frame[0].shape)
        for colour, plane in zip(out, frame, strict=True):
            piece = plane[top : top + tall, left : left + wide]
            if piece.shape != colour.shape:
                image = Image.fromarray(np.ascontiguousarray(piece))
                piece = np.asarray(image.resize((self.size,) * 2, Image.Resampling.BILINEAR))
            colour[:] = piece[:, ::-1] if self.mirrored else piece


def draw_crop(
    rng: np.random.Generator,
    *,
    size: int,
    flip: bool = True,
    areas: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
) -> Cut:
    """Draws what is cut out of all frames of a clip.

    Args:
        rng: of the sample.
        size: pixels of the square.
        flip: mirror half of the clips.
        areas: [least, most] share of the frame's area, with an aspect of 3:4 to 4:3: the random
            resized crop of C. Szegedy et al., "Going Deeper with Convolutions", 2015, section 6.
        scales: sides as shares of the short side; two neighbours of the list, or one twice, are
            width and height, and the box lies in a corner or in the middle: the scale jittering of
            L. Wang et al., "Temporal Segment Networks", ECCV 2016, section 3.2.

    Returns:
        Without `areas` and `scales` a square of `size` pixels at a random place.
    """
    if areas is None and scales is None:
        return Crop.random(size, rng, flip=flip)
    mirrored = flip and bool(rng.random() < 0.5)
    if areas is not None:
        shapes = []
        for area, turn in rng.random((_TRIES, 2)).tolist():
            share = areas[0] + area * (areas[1] - areas[0])
            aspect = exp(log(ASPECTS[0]) + turn * log(ASPECTS[1] / ASPECTS[0]))
            shapes.append((sqrt(share * aspect), sqrt(share / aspect)))
        across, down = rng.random(2).tolist()
        return ResizedCrop(size, tuple(shapes), False, (across, down), mirrored)
    ordered = sorted(scales or (), reverse=True)
    count = len(ordered)
    pairs = [(i, j) for i in range(count) for j in range(count) if abs(i - j) <= 1]
    i, j = pairs[rng.integers(len(pairs))]
    place = _CORNERS[rng.integers(len(_CORNERS))]
    return ResizedCrop(size, ((ordered[i], ordered[j]),), True, place, mirrored)


@dataclass(frozen=True)
class DevicePolicy:
    """What the device does to a training batch; `draw` decides it for one sample.

    Attributes:
        mixup_alpha: of mixup's Beta(alpha, alpha); 0: videos are not mixed.
        color_jitter: the largest change of brightness, contrast, saturation and hue; None: none.
        rand_augment: operations a clip and their magnitude, 0 to 10; None: none.
    """

    mixup_alpha: float = 0.0
    color_jitter: tuple[float, float, float, float] | None = None
    rand_augment: tuple[int, int] | None = None

    @property
    def active(self) -> bool:
        """Whether anything is done at all."""
        return bool(self.mixup_alpha) or self.changes_pixels

    @property
    def changes_pixels(self) -> bool:
        """Whether clips are changed before they are mixed."""
        return self.color_jitter is not None or self.rand_augment is not None

    @property
    def operations(self) -> int:
        """How many of OPERATIONS are applied to a clip."""
        return 0 if self.rand_augment is None else self.rand_augment[0]

    def draw(self, rng: np.random.Generator) -> Float32Array:
        """Draws the numbers that decide what is done to one sample.

        Returns:
            float32 [5 + 2 * operations]: the sample's share in its mixture; the factors of
            brightness, contrast and saturation and the turn of the hue; of each operation its
            number and its level, -1 to 1.
        """
        share = rng.beta(self.mixup_alpha, self.mixup_alpha) if self.mixup_alpha else 1.0
        most = self.color_jitter or (0.0, 0.0, 0.0, 0.0)
        change = rng.uniform(-1.0, 1.0, 4) * most
        factors = [max(0.0, 1.0 + c) for c in change[:3].tolist()]
        row = [share, *factors, float(change[3])]
        for _ in range(self.operations):
            assert self.rand_augment is not None
            level = self.rand_augment[1] / 10 * (1 if rng.random() < 0.5 else -1)
            row += [float(rng.integers(len(OPERATIONS))), level]
        return np.array(row, dtype=np.float32)
