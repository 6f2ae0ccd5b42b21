"""Features in one byte a value, as YouTube-8M stores its own.

S. Abu-El-Haija et al.: "YouTube-8M: A Large-Scale Video Classification Benchmark",
arXiv:1609.08675, 2016, section 3.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from videozoo.data.sample import UInt8Array

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

    def equals(self, other: Quantiser) -> bool:
        """Says whether another one maps all features to the same bytes."""
        same = np.array_equal(self.centre, other.centre)
        return same and np.array_equal(self.reach, other.reach)

    def __call__(self, features: Float) -> UInt8Array:
        """Quantises float32 [n, D] to uint8 [n, D]; values outside the fitted range are clipped.

        q = round((v + 2 - 4/512) * 255/4) undoes the data set's v = q * 4/255 + 4/512 - 2.
        """
        values = 2 * (features - self.centre) / self.reach  # [n, D]
        return np.clip(np.rint((values + 2 - 4 / 512) * 255 / 4), 0, 255).astype(np.uint8)


def fit_scale(videos: Iterable[Mapping[str, npt.NDArray[np.floating]]]) -> dict[str, Quantiser]:
    """Fits the scale of each modality on videos that come one at a time.

    Args:
        videos: [n, D] by modality.

    Raises:
        ValueError: there are none.
    """
    ends: dict[str, Float] = {}
    for rows in videos:
        for name, values in rows.items():
            extremes = np.stack([values.min(axis=0), values.max(axis=0)])  # [2, D]
            known = [ends[name]] if name in ends else []
            both = np.concatenate([extremes.astype(np.float32), *known])
            ends[name] = np.stack([both.min(axis=0), both.max(axis=0)])
    if not ends:
        raise ValueError("a scale cannot be fitted on no features")
    return {name: Quantiser.fit(both) for name, both in ends.items()}
