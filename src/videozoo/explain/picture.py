"""Draws an explanation: the frames of the moments in a strip, below them what they weigh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from videozoo.data.sample import UInt8Array
from videozoo.explain.explanation import Explanation, Float32Array
from videozoo.fonts import font_file_for
from videozoo.text import harmless

_LEFT, _TOP, _GAP = 130, 40, 4  # pixels: names of rows of bars, title, between moments
_WIDTH, _TALLEST = 112, 200  # of a frame
_BAR, _LINE = 56, 22  # of a row of bars, of a line of text
_INK, _PALE = (38, 38, 38), (110, 110, 110)
_OWN, _FOR, _AGAINST = (88, 130, 180), (44, 140, 84), (196, 88, 60)
_WARM, _HOT = np.array([255.0, 225.0, 0.0]), np.array([225.0, 20.0, 20.0])
_MOST_HEAT = 0.7  # how far the hottest place covers the frame


def draw_explanation(found: Explanation) -> Image.Image:
    """Draws the frames with their heat maps, and below them what the moments weigh.

    The model's own weights have a bar a row. Of what is left out there is a bar a moment, green
    where it speaks for the class and red where against it, and below it the score that is left.
    Bars side by side have one scale.

    Returns:
        A picture in RGB.
    """
    tall = 0
    if found.frames is not None:
        tall = min(_TALLEST, round(_WIDTH * found.frames.shape[1] / found.frames.shape[2]))
    width = max(_x(len(found.moments)) + _GAP, 600)
    height = _TOP + tall + len(found.weights) * (_BAR + _GAP) + _BAR + 3 * _LINE
    image = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(13)
    title = harmless(f"{Path(found.video).name}: {found.label} {found.score:.3f}")
    draw.text((2 * _GAP, 10), title, _INK, ImageFont.truetype(font_file_for(title), 16))
    for number, frame in enumerate(() if found.frames is None else found.frames):
        heat = None if found.heat_maps is None else found.heat_maps[number]
        image.paste(_shown(frame, heat, (_WIDTH, tall)), (_x(number), _TOP))
    y = _TOP + tall
    for number, moment in enumerate(found.moments):
        draw.text((_x(number), y + 4), f"{moment.start:.1f} - {moment.end:.1f} s", _PALE, font)
    y += _LINE + _GAP + _BAR
    for name, weights in found.weights.items():
        draw.text((2 * _GAP, y - _BAR // 2), f"attention, {name}", _INK, font)
        for row, left, right in _places(found):
            _bar(draw, left, right, y, weights[row] / max(weights), _OWN)
        y += _BAR + _GAP
    draw.text((2 * _GAP, y - _BAR // 2), "left out", _INK, font)
    largest = max(abs(moment.occlusion or 0.0) for moment in found.moments) or 1.0
    for number, moment in enumerate(found.moments):
        if moment.occlusion is not None:
            ink, x = _FOR if moment.occlusion > 0 else _AGAINST, _x(number)
            _bar(draw, x, x + _WIDTH, y, abs(moment.occlusion) / largest, ink)
            draw.text((x, y + 6), f"without: {moment.score:.3f}", _PALE, font)
    return image


def _x(number: int) -> int:
    """Returns where a moment begins."""
    return _LEFT + number * (_WIDTH + _GAP)


def _bar(
    draw: ImageDraw.ImageDraw,
    left: float,
    right: float,
    bottom: int,
    share: float,
    ink: tuple[int, int, int],
) -> None:
    sides = round(left), max(round(left), round(right) - 2)
    draw.rectangle((sides[0], bottom - max(1, round(_BAR * share)), sides[1], bottom), ink)


def _shown(frame: UInt8Array, heat: Float32Array | None, size: tuple[int, int]) -> Image.Image:
    """Returns a frame [H, W, 3] under its heat map [h, w], at a size (width, height)."""
    image = Image.fromarray(np.ascontiguousarray(frame)).resize(size, Image.Resampling.BILINEAR)
    if heat is None:
        return image
    wide = Image.fromarray(heat).resize(size, Image.Resampling.BICUBIC)
    share = np.asarray(wide).clip(0, 1)[:, :, None]  # [height, width, 1]
    colour = _WARM + (_HOT - _WARM) * share  # [height, width, 3]
    shown = np.asarray(image) * (1 - _MOST_HEAT * share) + colour * _MOST_HEAT * share
    return Image.fromarray(shown.astype(np.uint8))


def _places(found: Explanation) -> Iterator[tuple[int, float, float]]:
    """Yields where the bar of each row of weights lies: its number, left and right."""
    seconds = np.asarray(found.seconds)
    for number, moment in enumerate(found.moments):
        rows = np.flatnonzero((seconds >= moment.start) & (seconds < moment.end)).tolist()
        for place, row in enumerate(rows):
            step = _WIDTH / len(rows)
            yield row, _x(number) + place * step, _x(number) + (place + 1) * step
