"""The demo's pictures: learning curves, a confusion matrix, frames with what was predicted."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from videozoo.errors import VideozooError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UInt8Array = npt.NDArray[np.uint8]

_INK, _FAINT, _LINE = "#222222", "#dddddd", "#1f6f8b"
_RIGHT, _WRONG = "#2a7d4f", "#c0392b"


def plot_curves(curves: Path, png: Path, *, title: str = "") -> None:
    """Draws the curves that training writes, one small plot a metric, one line a split.

    Args:
        curves: csv with the columns step, split, metric and value.
        png: the picture to write.
        title: above all plots.

    Raises:
        VideozooError: the file cannot be read or holds no curve.
    """
    metrics = _read_curves(curves)
    figure, axes = _figure(len(metrics), columns=min(len(metrics), 3), size=(3.4, 2.5))
    for ax, (name, splits) in zip(axes, metrics.items(), strict=True):
        for (split, points), colour in zip(splits.items(), (_LINE, _WRONG, _RIGHT), strict=False):
            x, y = zip(*points, strict=True)
            marker = "o" if len(x) < 20 else ""
            ax.plot(x, y, color=colour, linewidth=1.4, marker=marker, markersize=3, label=split)
        ax.set_xlabel("step")
        ax.set_ylabel(name.replace("_", " "))
        ax.grid(color=_FAINT, linewidth=0.6)
        ax.spines[["top", "right"]].set_visible(False)
        if len(splits) > 1:
            ax.legend(frameon=False)
    _save(figure, png, title)


def plot_confusion(
    matrix: npt.NDArray[np.int64], names: Sequence[str], png: Path, *, title: str = ""
) -> None:
    """Draws a confusion matrix.

    Args:
        matrix: counts [K, K]; row: the true class, column: the predicted one.
        names: of the K classes.
        png: the picture to write.
        title: above the plot.

    Raises:
        ValueError: the matrix is not [K, K].
    """
    k = len(names)
    if matrix.shape != (k, k):
        raise ValueError(f"a confusion matrix of {k} classes is not {matrix.shape}")
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)  # [K, K]
    side = 2.2 + 0.55 * k
    figure, (ax,) = _figure(1, columns=1, size=(side, side))
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(k, k):
        if matrix[row, column]:
            ink = "white" if share[row, column] > 0.5 else _INK
            ax.text(column, row, str(matrix[row, column]), ha="center", va="center", color=ink)
    ax.set_xticks(range(k), names, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(k), names)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.spines[:].set_visible(False)
    _save(figure, png, title)


def plot_frames(
    clips: Sequence[UInt8Array],
    names: Sequence[str],
    predictions: Sequence[str],
    png: Path,
    *,
    frames: int = 8,
    every: int = 2,
    title: str = "",
) -> None:
    """Draws clips as strips of frames, with their true and predicted names.

    Args:
        clips: one uint8 [n, H, W, 3] a clip, RGB.
        names: the true class of each clip.
        predictions: what was predicted for it; green where it is the true name, else red.
        png: the picture to write.
        frames: at most so many of each clip, from its middle.
        every: one frame out of so many is shown: small enough that the motion can be followed.
        title: above all strips.

    Raises:
        ValueError: there is no clip, or not one name and one prediction a clip.
    """
    if not clips:
        raise ValueError("there are no clips to draw")
    figure, axes = _figure(len(clips), columns=1, size=(8.0, 0.85))
    for ax, clip, name, prediction in zip(axes, clips, names, predictions, strict=True):
        ax.imshow(_strip(clip, frames, every))
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        colour = _RIGHT if prediction == name else _WRONG
        ax.text(-0.02, 0.62, name, transform=ax.transAxes, ha="right", va="center", color=_INK)
        ax.text(
            -0.02, 0.3, prediction,
            transform=ax.transAxes, ha="right", va="center", color=colour, fontsize=8,
        )  # fmt: skip
    figure.supxlabel("time, left to right; below the true name what was predicted", fontsize=8)
    _save(figure, png, title)


def _strip(clip: UInt8Array, frames: int, every: int) -> UInt8Array:
    """Returns frames of the clip's middle side by side with white gaps, [H, width of all, 3]."""
    chosen = clip[::every]
    first = max(0, (len(chosen) - frames) // 2)
    chosen = chosen[first : first + frames]
    gap = np.full((clip.shape[1], max(1, clip.shape[2] // 24), 3), 255, dtype=np.uint8)
    pieces = [piece for frame in chosen for piece in (frame, gap)]
    return np.concatenate(pieces[:-1], axis=1)


def _read_curves(path: Path) -> dict[str, dict[str, list[tuple[float, float]]]]:
    """Returns the points (step, value) of each metric and split."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        metrics: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for row in rows:
            point = (float(row["step"]), float(row["value"]))
            metrics.setdefault(row["metric"], {}).setdefault(row["split"], []).append(point)
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise VideozooError(f"{path}: the curves cannot be read: {error}") from error
    if not metrics:
        raise VideozooError(f"{path}: holds no curve; nothing to draw")
    return metrics


def _figure(count: int, *, columns: int, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Returns a figure of `count` plots of `size` inches each; no window system is touched."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-count // columns)
    figure = Figure(figsize=(columns * size[0], rows * size[1]), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in grid[count:]:
        ax.set_visible(False)
    return figure, list(grid[:count])


def _save(figure: Figure, png: Path, title: str) -> None:
    if title:
        figure.suptitle(title, color=_INK)
    temporary = png.with_name(f".{png.name}.{os.getpid()}.tmp")
    try:
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=110)
        with Image.open(drawn) as picture:
            # a palette halves the file and more; 256 colours are plenty for plots
            picture.convert("RGB").quantize(
                256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
            ).save(temporary, format="png", optimize=True)
        os.replace(temporary, png)
    finally:
        temporary.unlink(missing_ok=True)
