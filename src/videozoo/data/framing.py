"""Which part of a frame a model sees: how large the frame is made, and what is cut out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videozoo.errors import SampleError
from videozoo.video.geometry import Planes, UInt8Array

RESIZE_RULES = ("4:3", "aspect")
TEST_CROPS = ("centre", "three", "ten")

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
        self.extent(height, width)
        if self.place is None:
            top, left = _middle(height, size), _middle(width, size)
        else:
            left = int(self.place[0] * (width - size + 1))
            top = int(self.place[1] * (height - size + 1))
        for colour, plane in zip(out, frame, strict=True):
            piece = plane[top : top + size, left : left + size]
            colour[:] = piece[:, ::-1] if self.mirrored else piece

    def extent(self, height: int, width: int) -> tuple[int, int]:
        """Returns the size of the crop, whatever the frame's.

        Raises:
            SampleError: the frame is smaller.
        """
        _check_larger(height, width, self.size)
        return self.size, self.size


@dataclass(frozen=True)
class Box:
    """Where a square lies in a frame: pixels above it and left of it; mirrored or not."""

    top: int
    left: int
    mirrored: bool


@dataclass(frozen=True)
class Views:
    """The squares of a video's frames that a test scores one by one.

    Attributes:
        size: pixels of their sides.
        crops: "centre": the middle. "three": both ends and the middle of the longer side. "ten":
            the four corners and the middle, and their mirror images, as in K. Simonyan,
            A. Zisserman: "Two-Stream Convolutional Networks", 2014, section 5, and in TSN.
        flip: mirror images of "centre" and "three" too.
    """

    size: int
    crops: str
    flip: bool = False

    def __post_init__(self) -> None:
        if self.crops not in TEST_CROPS:
            raise ValueError(f"no crops '{self.crops}', only {TEST_CROPS}")

    def __len__(self) -> int:
        plain = {"centre": 1, "three": 3, "ten": 5}[self.crops]
        return 2 * plain if self.mirrors else plain

    @property
    def mirrors(self) -> bool:
        """Whether mirror images are among them."""
        return self.flip or self.crops == "ten"

    def boxes(self, height: int, width: int) -> list[Box]:
        """Returns where the squares lie in frames of this size, the mirror images last."""
        bottom, right = height - self.size, width - self.size
        middle = (_middle(height, self.size), _middle(width, self.size))
        if self.crops == "centre":
            places = [middle]
        elif self.crops == "ten":
            places = [(0, 0), (0, right), (bottom, 0), (bottom, right), middle]
        elif width >= height:
            places = [(middle[0], left) for left in (0, middle[1], right)]
        else:
            places = [(top, middle[1]) for top in (0, middle[0], bottom)]
        mirrored = (False, True) if self.mirrors else (False,)
        return [Box(top, left, mirror) for mirror in mirrored for top, left in places]

    def extent(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of what the squares need of a frame, see `cut`.

        Raises:
            SampleError: the frame is smaller than a square.
        """
        _check_larger(height, width, self.size)
        most = self.size if self.crops == "centre" else 3 * self.size
        return min(height, most), min(width, most)

    def cut(self, frame: Planes, out: UInt8Array) -> None:
        """Copies of a frame what its squares show: of a long one, nothing between them.

        What is kept holds the same squares: `boxes` of its size tells where.

        Args:
            frame: red, green and blue, uint8 [H, W] each.
            out: uint8 [3, *extent(H, W)], filled.

        Raises:
            SampleError: the frame is smaller than a square, or `out` is for another size.
        """
        height, width = frame[0].shape
        if out.shape[1:] != self.extent(height, width):
            raise SampleError(
                f"has frames of different sizes, such as {width}x{height} pixels: test_crop ="
                f" '{self.crops}' needs one size; test_crop = 'centre' reads it"
            )
        for to_rows, from_rows in self._kept(height):
            for to_columns, from_columns in self._kept(width):
                for colour, plane in zip(out, frame, strict=True):
                    colour[to_rows, to_columns] = plane[from_rows, from_columns]

    def _kept(self, side: int) -> list[tuple[slice, slice]]:
        """Returns which pixels along a side go where."""
        size, middle = self.size, _middle(side, self.size)
        if self.crops == "centre":
            return [(slice(None), slice(middle, middle + size))]
        if side <= 3 * size:
            return [(slice(None), slice(None))]
        return [
            (slice(i * size, (i + 1) * size), slice(start, start + size))
            for i, start in enumerate((0, middle, side - size))
        ]


def _middle(side: int, size: int) -> int:
    return round((side - size) / 2)


def _check_larger(height: int, width: int, size: int) -> None:
    if min(height, width) < size:
        raise SampleError(
            f"frames of {width}x{height} pixels are smaller than the crop of "
            f"{size}x{size}: short_size must be at least target_size"
        )
