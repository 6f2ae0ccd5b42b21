"""The words in which a reader is told how large a frame becomes and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Planes = Sequence[UInt8Array] | UInt8Array  # red, green and blue, [H, W] each
ResizeRule = Callable[[int, int], tuple[int, int]]  # width and height to those wanted


class Cut(Protocol):
    """What is kept of each frame."""

    def extent(self, height: int, width: int) -> tuple[int, int]:
        """Returns height and width of what is kept of a frame of this size.

        Raises:
            SampleError: the frame is too small.
        """
        ...

    def cut(self, frame: Planes, out: UInt8Array) -> None:
        """Copies what is kept of a frame to `out`, uint8 [3, *extent].

        Raises:
            SampleError: the frame is too small, or of another size than the one `out` is for.
        """
        ...
