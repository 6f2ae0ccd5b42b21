"""Small videos of two kinds, bright and dark below a patch of any colour."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np


def write_shade(path: Path, *, bright: bool, seed: int, codec: str = "libx264") -> Path:
    """Writes ten frames in 1 s."""
    rng = np.random.default_rng(seed)
    patch, ground = rng.integers(0, 256, 3), rng.integers(0, 90, 3) + (160 if bright else 0)
    image = np.empty((48, 64, 3), np.uint8)  # [H, W, 3]
    image[:24], image[24:] = patch, ground
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(10):
            image[:6, : 6 * number + 1] = 255
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        file.mux(stream.encode(None))
    return path


def write_shades(folder: Path, number: int) -> list[Path]:
    """Writes videos one after another, every second one bright; returns them."""
    return [write_shade(folder / f"{i:02}.mp4", bright=i % 2 == 0, seed=i) for i in range(number)]


def is_bright(name: str) -> bool:
    """Whether a video that write_shades wrote is bright."""
    return int(name.removesuffix(".mp4")) % 2 == 0
