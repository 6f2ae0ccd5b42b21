"""Decoded frames become upright RGB arrays of the wanted size, in one step."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import Interpolation, VideoReformatter

from videozoo.video.geometry import ResizeRule, UInt8Array

# Without these, chroma is taken from the nearest place and sums are cut off: pictures come out up
# to two grey levels off, and darker.
_ACCURATE = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
_RESAMPLING = {
    "bilinear": Interpolation.BILINEAR | _ACCURATE,
    "bicubic": Interpolation.BICUBIC | _ACCURATE,
}
SQUARE = Fraction(1)  # of pixels as wide as they are high
_RGB_IN_GBRP = (2, 0, 1)  # the planes that hold red, green and blue


class _Scaler(threading.local):
    # One a thread, kept: setting its tables up takes as long as several frames.
    def __init__(self) -> None:
        self.reformatter = VideoReformatter()


_scaler = _Scaler()


def rgb_planes(
    frame: VideoFrame,
    resize: ResizeRule | None = None,
    *,
    resample: str = "bilinear",
    pixel_aspect: Fraction = SQUARE,
) -> list[UInt8Array]:
    """Returns a decoded frame's red, green and blue, upright and resized.

    Colours are converted with the frame's own matrix and range (where it names none: ITU-R BT.601,
    limited) and rounded accurately; the display matrix of the file turns and mirrors the picture.
    Resizing has a wider kernel where it makes the picture smaller, and is part of the same step.

    Args:
        frame: as decoded.
        resize: answers an upright picture's width and height with the wanted ones; None leaves
            the size as it is.
        resample: "bilinear" or "bicubic", the kernel of resizing.
        pixel_aspect: width of a stored pixel over its height; `resize` is asked about the picture
            that has such pixels.

    Returns:
        Three views, uint8 [H, W].

    Raises:
        av.FFmpegError, ValueError: the pixel format cannot be converted.
    """
    width, height = frame.width, frame.height
    if resize is not None:
        width, height = resize(*upright_size(frame, pixel_aspect))
        if is_turned(frame):
            width, height = height, width
    # planes, not interleaved pixels: swscale's fast accurate path, and the order networks want
    picture = _scaler.reformatter.reformat(
        frame,
        width=width,
        height=height,
        format="gbrp",
        interpolation=_RESAMPLING[resample],
        threads=1,
    )
    matrix = display_matrix(picture)
    planes = []
    for shown in (plane_array(picture.planes[i]) for i in _RGB_IN_GBRP):
        planes.append(shown if matrix is None else upright(shown, matrix))
    return planes


def plane_array(plane: VideoPlane) -> UInt8Array:
    """Returns the bytes of a plane as a view, uint8 [H, W]."""
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]  # rows are padded on the right


def display_matrix(frame: VideoFrame) -> bytes | None:
    """Returns the display matrix that rides with a frame: see `upright`.

    A frame that was asked is freed by the garbage collector alone, which does not know how large it
    is: best ask the one that it was made into, where that is smaller.
    """
    for side in cast("Iterable[SideData]", frame.side_data):
        if side.type == Type.DISPLAYMATRIX:
            return bytes(side)
    return None


def is_turned(frame: VideoFrame) -> bool:
    """Whether a frame's width is the height of its upright picture; asking does not hold it."""
    return 45 < frame.rotation % 180 < 135


def upright_size(frame: VideoFrame, pixel_aspect: Fraction = SQUARE) -> tuple[int, int]:
    """Returns width and height of a frame's upright picture.

    Args:
        frame: as decoded.
        pixel_aspect: width of a stored pixel over its height: where they are oblong, the picture
            is as much longer, and none is made smaller.
    """
    width, height = frame.width, frame.height
    if pixel_aspect > 1:
        width = round(width * pixel_aspect)
    elif pixel_aspect < 1:
        height = round(height / pixel_aspect)
    return (height, width) if is_turned(frame) else (width, height)


def upright(plane: UInt8Array, matrix: bytes) -> UInt8Array:
    """Turns and mirrors a picture as a display matrix says, to the nearest right angle.

    Args:
        plane: uint8 [H, W] as stored.
        matrix: nine int32 (ISO/IEC 14496-12, section 8.2.2): a stored pixel (p, q) is shown at
            x = a p + c q + x0, y = b p + d q + y0, with a, b, c, d the entries 0, 1, 3, 4.

    Returns:
        A view, [H, W] or [W, H].
    """
    a, b, c, d = _entries(matrix)
    if _is_quarter_turn(matrix):
        plane = plane.T  # x is q and y is p from here on
        a, d = c, b
    return plane[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]


def _entries(matrix: bytes) -> tuple[int, int, int, int]:
    a, b, _, c, d = np.frombuffer(matrix, dtype="=i4")[:5].tolist()
    return a, b, c, d


def _is_quarter_turn(matrix: bytes) -> bool:
    a, b, _, _ = _entries(matrix)
    return abs(b) > abs(a)
