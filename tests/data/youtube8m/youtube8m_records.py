"""Features of made-up videos, and data sets of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from videozoo.data.youtube8m.dataset import YouTube8MDataset


def features(number: int, frames: int, rgb: int = 8, audio: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(number)
    return {
        "rgb": rng.integers(0, 256, (frames, rgb), dtype=np.uint8),
        "audio": rng.integers(0, 256, (frames, audio), dtype=np.uint8),
    }


def source_of(*shards: Path, **changed: Any) -> YouTube8MDataset:
    chosen: dict[str, Any] = {
        "feature_names": ["rgb", "audio"],
        "feature_dims": [8, 4],
        "num_classes": 10,
    }
    return YouTube8MDataset(shards, **{**chosen, **changed})
