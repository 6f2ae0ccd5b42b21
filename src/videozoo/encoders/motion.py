"""How things move at each moment of a video: directions and speeds, by place, in a short row.

An image network sees what is there. What tells "comes" from "goes" lies between two frames. The
flow between them is found where the picture has edges (B. Lucas, T. Kanade: "An Iterative Image
Registration Technique with an Application to Stereo Vision", IJCAI 1981; one step, on a small
picture), and summed up by direction in each cell of a grid (N. Dalal, B. Triggs, C. Schmid: "Human
Detection Using Oriented Histograms of Flow and Appearance", ECCV 2006).

Shapes: n moments, H x W pixels of a small picture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from videozoo.video.frame_times import Float64Array, FrameTimes, Int64Array
from videozoo.video.geometry import UInt8Array

Float = npt.NDArray[np.float32]

GAP = 0.1  # seconds between the two frames of a moment, or one frame where that is longer
SIDE = 48  # pixels of the longer side of the small picture, about
GRID, DIRECTIONS = 4, 8
MOTION = GRID * GRID * (DIRECTIONS + 1)  # values of a row
_AROUND = 5  # pixels of the square over which flow is taken to be the same
_FLAT = 20.0  # squared difference of neighbours below which there is no edge to follow
_CHANGE = 0.1  # of the last value of a cell: a grey level's worth


def pairs(times: FrameTimes, moments: Float64Array) -> Int64Array:
    """Chooses two frames a moment: the one on screen then, and one GAP later.

    At the end of a video they are its last two.

    Args:
        times: of the frames.
        moments: float64 [n], seconds of the file's clock.

    Returns:
        int64 [n, 2]; twice the same frame where there is only one.
    """
    last = len(times) - 1
    before = np.minimum(times.on_screen(moments), max(last - 1, 0))  # [n]
    later = times.on_screen(times.starts[before] + GAP)  # [n]
    return np.stack([before, np.minimum(np.maximum(later, before + 1), last)], axis=1)


def motion_rows(frames: UInt8Array, seconds: Float64Array) -> Float:
    """Describes the motion between pairs of frames.

    Args:
        frames: uint8 [n, 2, 3, H, W].
        seconds: float64 [n], between the two; 0: they are one frame.

    Returns:
        float32 [n, MOTION]: for each cell, row by row, the mean speed by direction (from rightwards
        on, clockwise; in small pixels a GAP) and the mean change of brightness.
    """
    small = small_pictures(frames)  # [n, 2, H', W']
    before, after = small[:, 0], small[:, 1]
    with np.errstate(divide="ignore"):
        speed = np.where(seconds > 0, GAP / seconds, 0.0).astype(np.float32)  # [n]
    flow = flow_between(before, after) * speed[:, None, None, None]  # [n, 2, H', W']
    directions = by_direction(flow)  # [n, DIRECTIONS, H', W']
    change = np.abs(after - before)[:, None] * _CHANGE  # [n, 1, H', W']
    cells = _cells(np.concatenate([directions, change], axis=1))  # [n, 9, GRID, GRID]
    rows: Float = np.ascontiguousarray(cells.transpose(0, 2, 3, 1)).reshape(len(frames), -1)
    return rows


def small_pictures(frames: UInt8Array) -> Float:
    """Returns frames [..., 3, H, W] in grey, about SIDE pixels long: float32 [..., H', W'].

    H' and W' are multiples of GRID; what is over at the edges is left out.
    """
    height, width = frames.shape[-2:]
    factor = max(1, round(max(height, width) / SIDE))
    rows, columns = (max(GRID, side // factor // GRID * GRID) for side in (height, width))
    if min(height, width) < GRID * factor:  # too thin for whole cells
        factor, rows, columns = 1, height, width
    cut = frames[..., : rows * factor, : columns * factor]
    lead = frames.shape[:-3]
    sums = cut.sum(axis=-3, dtype=np.uint16)  # of the colours, then of rows, then of columns
    sums = sums.reshape(*lead, rows, factor, columns * factor).sum(axis=-2, dtype=np.int32)
    sums = sums.reshape(*lead, rows, columns, factor).sum(axis=-1, dtype=np.int32)
    grey = (sums / (3 * factor**2)).astype(np.float32)
    return _blurred(grey, 3)


def flow_between(before: Float, after: Float) -> Float:
    """Finds by how many pixels the picture around each pixel has moved.

    Args:
        before: float32 [n, H, W], 0 to 255.
        after: likewise.

    Returns:
        float32 [n, 2, H, W]: rightwards and downwards; near 0 where there is nothing to follow.
    """
    middle = (before + after) / 2
    across, down = (np.zeros(middle.shape, dtype=np.float32) for _ in range(2))
    across[..., 1:-1] = (middle[..., 2:] - middle[..., :-2]) / 2
    down[..., 1:-1, :] = (middle[..., 2:, :] - middle[..., :-2, :]) / 2
    change = after - before
    products = (across * across, across * down, down * down, across * change, down * change)
    xx, xy, yy, xt, yt = _blurred(np.stack(products), _AROUND)
    xx, yy = xx + _FLAT, yy + _FLAT
    shared = xx * yy - xy * xy
    flow = np.stack([xy * yt - yy * xt, xy * xt - xx * yt], axis=1) / shared[:, None]
    found: Float = flow.astype(np.float32)
    return found


def by_direction(flow: Float) -> Float:
    """Shares each pixel's speed out between the two directions nearest to its own.

    Args:
        flow: float32 [n, 2, H, W].

    Returns:
        float32 [n, DIRECTIONS, H, W].
    """
    speed = np.hypot(flow[:, 0], flow[:, 1])  # [n, H, W]
    turn = np.arctan2(flow[:, 1], flow[:, 0]) / (2 * np.pi) * DIRECTIONS % DIRECTIONS  # [n, H, W]
    numbers = np.arange(DIRECTIONS, dtype=np.float32)[:, None, None]
    off = np.abs(turn[:, None] - numbers)  # [n, DIRECTIONS, H, W]
    share = np.maximum(0, 1 - np.minimum(off, DIRECTIONS - off))
    found: Float = (speed[:, None] * share).astype(np.float32)
    return found


def _cells(values: Float) -> Float:
    """Averages [n, C, H, W] over each cell of the grid: [n, C, GRID, GRID]."""
    n, count, height, width = values.shape
    if height % GRID or width % GRID:  # a picture too thin for cells is one
        mean = values.mean(axis=(2, 3), keepdims=True)
        return np.broadcast_to(mean, (n, count, GRID, GRID))
    cells = values.reshape(n, count, GRID, height // GRID, GRID, width // GRID)
    means: Float = cells.mean(axis=(3, 5))
    return means


def _blurred(values: Float, side: int) -> Float:
    """Averages [..., H, W] over a square around each pixel; the edge is repeated."""
    half = side // 2
    widths = [(0, 0)] * (values.ndim - 2) + [(half + 1, half)] * 2
    sums = np.pad(values, widths, mode="edge").cumsum(axis=-1).cumsum(axis=-2)
    total = (
        sums[..., side:, side:] - sums[..., :-side, side:]
        - sums[..., side:, :-side] + sums[..., :-side, :-side]
    )  # fmt: skip
    blurred: Float = (total / side**2).astype(np.float32)
    return blurred
