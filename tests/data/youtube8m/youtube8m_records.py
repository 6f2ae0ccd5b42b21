"""Features of made-up videos."""

from __future__ import annotations

import numpy as np


def features(number: int, frames: int, rgb: int = 8, audio: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(number)
    return {
        "rgb": rng.integers(0, 256, (frames, rgb), dtype=np.uint8),
        "audio": rng.integers(0, 256, (frames, audio), dtype=np.uint8),
    }
