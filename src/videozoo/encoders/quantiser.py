"""Features in one byte a value, as YouTube-8M stores its own.

S. Abu-El-Haija et al.: "YouTube-8M: A Large-Scale Video Classification Benchmark",
arXiv:1609.08675, 2016, section 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

from videozoo.data.sample import UInt8Array
from videozoo.errors import VideozooError
from videozoo.files import write_bytes

SCALE_FILE = "scale.safetensors"

Float = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Quantiser:
    """Moves each dimension into [-2, 2] and from there into YouTube-8M's bytes.

    Attributes:
        centre: float32 [D], what becomes 0.
        reach: float32 [D], the distance from centre that becomes 2.
    """

    centre: Float
    reach: Float

    @classmethod
    def fit(cls, features: Float) -> Self:
        """Fits the affine map of each dimension, so that all given values land within [-2, 2].

        Args:
            features: float32 [n, D] of the training videos.

        Raises:
            ValueError: there are no rows.
        """
        if len(features) == 0:
            raise ValueError("a quantiser cannot be fitted on no features")
        low, high = features.min(axis=0), features.max(axis=0)  # [D], [D]
        reach = np.maximum((high - low) / 2, 1e-6)  # a dimension may be constant
        return cls(((high + low) / 2).astype(np.float32), reach.astype(np.float32))

    def __call__(self, features: Float) -> UInt8Array:
        """Quantises float32 [n, D] to uint8 [n, D]; values outside the fitted range are clipped.

        q = round((v + 2 - 4/512) * 255/4) undoes the data set's v = q * 4/255 + 4/512 - 2.
        """
        values = 2 * (features - self.centre) / self.reach  # [n, D]
        return np.clip(np.rint((values + 2 - 4 / 512) * 255 / 4), 0, 255).astype(np.uint8)


def stored_scale(out: Path) -> tuple[Quantiser, ...] | None:
    """Returns the scale that a folder of features holds, a modality each; None: it holds none.

    Raises:
        VideozooError: it cannot be read.
    """
    path = out / SCALE_FILE
    if not path.exists():
        return None
    try:
        stored = load(path.read_bytes())
        count = len(stored) // 2
        return tuple(Quantiser(stored[f"centre{i}"], stored[f"reach{i}"]) for i in range(count))
    except (OSError, SafetensorError, KeyError) as error:
        raise VideozooError(f"{path}: cannot be read ({error}); take another folder") from None


def store_scale(out: Path, scale: tuple[Quantiser, ...]) -> None:
    """Keeps a scale in a folder of features."""
    arrays = {f"centre{i}": q.centre for i, q in enumerate(scale)}
    write_bytes(
        out / SCALE_FILE, save(arrays | {f"reach{i}": q.reach for i, q in enumerate(scale)})
    )
