"""The demo's little scenes: one moving shape on a textured ground, and the tone that follows it.

Every motion is periodic with a uniformly random phase, and a time twin is the same draw shown
backwards, picture and sound. So a clip and its twin hold the same frames: only their order tells
them apart, and neither the set of frames nor the places where a model looks give the answer away.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.floating[Any]]

WIDTH, HEIGHT = 64, 48
FRAME_RATE = 10
SOUND_RATE = 16_000


@dataclass(frozen=True)
class Scene:
    """One clip before it is encoded.

    Attributes:
        frames: uint8 RGB [n, HEIGHT, WIDTH, 3], FRAME_RATE a second.
        sound: float32 [n / FRAME_RATE * SOUND_RATE], mono, within [-1, 1].
    """

    frames: npt.NDArray[np.uint8]
    sound: Float

    def reversed(self) -> Scene:
        """Returns the scene shown backwards, picture and sound."""
        return Scene(self.frames[::-1].copy(), self.sound[::-1].copy())


@dataclass(frozen=True)
class _Grid:
    """Pixel centres x, y, [1, HEIGHT, WIDTH] in pixels, and the frames' times [n, 1, 1]."""

    x: Float
    y: Float
    time: Float


# A motion gives, from the pixel grid, the shape's signed distance [n, HEIGHT, WIDTH] in pixels
# (negative inside) and the height of its tone in [0, 1] as a function of time in seconds.
Motion = tuple[Float, Callable[[Float], Float]]


def _sawtooth(rng: np.random.Generator) -> Callable[[Float], Float]:
    """Returns time in seconds -> phase in [0, 1), rising, of random period and start."""
    period, start = rng.uniform(1.2, 1.8), rng.uniform()
    return lambda time: ((time / period + start) % 1.0).astype(np.float32)


def _sweep(grid: _Grid, rng: np.random.Generator) -> Motion:
    """A disc crosses the picture to the right, again and again."""
    phase = _sawtooth(rng)
    radius, y = rng.uniform(7, 10), rng.uniform(14, HEIGHT - 14)
    x = phase(grid.time) * (WIDTH + 2 * radius) - radius  # [n, 1, 1], out of sight at the jump
    return np.hypot(grid.x - x, grid.y - y) - radius, phase


def _swell(grid: _Grid, rng: np.random.Generator) -> Motion:
    """A square of thick lines grows from nothing until it has left the picture."""
    phase = _sawtooth(rng)
    turned, along = _turn(grid, rng.uniform(0, np.pi / 2), rng)
    half = -3 + 38 * phase(grid.time)  # [n, 1, 1]
    return np.abs(np.maximum(np.abs(turned), np.abs(along)) - half) - 3, phase


def _spin(grid: _Grid, rng: np.random.Generator) -> Motion:
    """A bar turns, either way round."""
    speed, start = rng.choice([-1, 1]) * rng.uniform(2.5, 4.5), rng.uniform(0, np.pi)
    turned, along = _turn(grid, start + speed * grid.time, rng)
    bar = np.maximum(np.abs(turned) - 19, np.abs(along) - 4)
    return bar, lambda time: (0.5 + 0.5 * np.cos(2 * (start + speed * time))).astype(np.float32)


def _blink(grid: _Grid, rng: np.random.Generator) -> Motion:
    """A triangle comes and goes."""
    period, start, angle = rng.uniform(0.6, 1.2), rng.uniform(), rng.uniform(0, 2 * np.pi)
    x, y = _turn(grid, angle, rng)
    corners = [np.cos(a) * x + np.sin(a) * y for a in (0, 2 * np.pi / 3, 4 * np.pi / 3)]
    triangle = np.maximum.reduce(corners) - 8

    def shown(time: Float) -> Float:
        return (((time / period + start) % 1.0) < 0.5).astype(np.float32)

    return triangle + 1000 * (1 - shown(grid.time)), lambda time: shown(time) / 2


def _turn(grid: _Grid, angle: float | Float, rng: np.random.Generator) -> tuple[Float, Float]:
    """Returns pixel coordinates about a random centre, turned by `angle` in radians."""
    x = grid.x - WIDTH / 2 - rng.uniform(-6, 6)
    y = grid.y - HEIGHT / 2 - rng.uniform(-4, 4)
    cos, sin = np.cos(angle), np.sin(angle)
    return (cos * x + sin * y).astype(np.float32), (cos * y - sin * x).astype(np.float32)


# Class name -> its motion and whether it is shown backwards. Two classes of one motion are twins.
CLASSES: dict[str, tuple[Callable[[_Grid, np.random.Generator], Motion], bool]] = {
    "blink": (_blink, False),
    "grow": (_swell, False),
    "move left": (_sweep, True),
    "move right": (_sweep, False),
    "shrink": (_swell, True),
    "spin": (_spin, False),
}
TWINS: tuple[tuple[str, str], ...] = (("move left", "move right"), ("grow", "shrink"))


def draw_scene(name: str, *, seed: tuple[int, ...], frames: int = 30) -> Scene:
    """Draws one clip of class `name`.

    Twins drawn with one seed are each other's reversal, to the last bit.

    Args:
        name: a key of CLASSES.
        seed: the key of all random draws.
        frames: the number of frames n.
    """
    motion, backwards = CLASSES[name]
    motions = sorted({m.__name__ for m, _ in CLASSES.values()})
    rng = np.random.default_rng([*seed, motions.index(motion.__name__)])
    grid = _Grid(
        x=(np.arange(WIDTH, dtype=np.float32) + 0.5)[None, None, :],  # [1, 1, WIDTH]
        y=(np.arange(HEIGHT, dtype=np.float32) + 0.5)[None, :, None],  # [1, HEIGHT, 1]
        time=((np.arange(frames, dtype=np.float32) + 0.5) / FRAME_RATE)[:, None, None],
    )
    distance, pitch = motion(grid, rng)
    scene = Scene(_paint(distance, rng), _sing(pitch, frames, rng))
    return scene.reversed() if backwards else scene


def _paint(distance: Float, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Returns the frames [n, HEIGHT, WIDTH, 3]: ground, still dots, the shape, noise."""
    ground = _ground(rng)[None]  # [1, HEIGHT, WIDTH, 3]
    cover = np.clip(0.5 - distance, 0, 1)[..., None]  # [n, HEIGHT, WIDTH, 1], soft edges
    frames = ground + cover * (_colour(rng, 255) - ground)  # [n, HEIGHT, WIDTH, 3]
    frames += 3 * rng.standard_normal(frames.shape, dtype=np.float32)
    pixels: npt.NDArray[np.uint8] = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    return pixels


def _ground(rng: np.random.Generator) -> Float:
    """Returns a dark, cloudy picture [HEIGHT, WIDTH, 3] with a few small dots."""
    coarse = rng.uniform(10, 110, size=(5, 6, 3)).astype(np.float32)
    down, across = _stretch(HEIGHT, 5), _stretch(WIDTH, 6)  # [HEIGHT, 5], [WIDTH, 6]
    ground: Float = np.einsum("yi,xj,ijc->yxc", down, across, coarse)  # [HEIGHT, WIDTH, 3]
    x, y = np.arange(WIDTH)[None, :], np.arange(HEIGHT)[:, None]
    for _ in range(3):
        away = np.hypot(x - rng.uniform(0, WIDTH), y - rng.uniform(0, HEIGHT))
        cover = np.clip(rng.uniform(1.5, 3) - away, 0, 1)[..., None]  # [HEIGHT, WIDTH, 1]
        ground = (ground + cover * (_colour(rng, 200) - ground)).astype(np.float32)
    return ground


def _stretch(size: int, knots: int) -> Float:
    """Returns the matrix [size, knots] of linear interpolation between `knots` values."""
    place = np.linspace(0, knots - 1, size)[:, None]
    weights: Float = np.clip(1 - np.abs(place - np.arange(knots)[None]), 0, 1)
    return weights.astype(np.float32)


def _colour(rng: np.random.Generator, value: float) -> Float:
    """Returns a random RGB colour [3] of brightness `value`."""
    rgb = colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.2, 0.9), 1.0)
    return value * np.array(rgb, dtype=np.float32)


def _sing(pitch: Callable[[Float], Float], frames: int, rng: np.random.Generator) -> Float:
    """Returns a tone of which `pitch` moves the height over two octaves, in light noise."""
    samples = frames * SOUND_RATE // FRAME_RATE
    time = ((np.arange(samples) + 0.5) / SOUND_RATE).astype(np.float32)
    height = pitch(time).astype(np.float64)
    hertz = rng.uniform(250, 400) * 4.0**height
    angle = 2 * np.pi * (np.cumsum(hertz) / SOUND_RATE + rng.uniform())
    fade = np.sqrt(np.sin(np.pi * np.clip(height, 0, 1)))  # silent where the motion jumps
    tone = fade * (np.sin(angle) + 0.3 * np.sin(2 * angle))
    noise = rng.uniform(0.005, 0.03) * rng.standard_normal(samples)
    return (rng.uniform(0.1, 0.4) * tone + noise).astype(np.float32)
