"""Samples: one video as a data set gives it.

Everything is uint8 as it was stored: dequantising and normalising happen on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FeatureSample:
    """One video as frame features.

    Attributes:
        video: the id in the record.
        features: one uint8 array [n, D_m] a modality, n frames, in the order of feature_names.
        labels: the classes of the video [number of labels]; None where the record names none.
        damage: what is known to be missing of it; None: nothing.
    """

    video: str
    features: tuple[UInt8Array, ...]
    labels: Int64Array | None
    damage: str | None = None


@dataclass(frozen=True)
class ClipSample:
    """One video as cropped frames.

    Attributes:
        video: the id in the pickle, or the path of the file.
        clip: uint8 [T, seglen * 3, H, W]: T segments, their frames' channels one after another.
        labels: the classes of the video, one where it cannot have many; None where none is known.
        damage: what is known to be missing of it; None: nothing.
    """

    video: str
    clip: UInt8Array
    labels: tuple[int, ...] | None
    damage: str | None = None


Sample = FeatureSample | ClipSample


@dataclass(frozen=True)
class Unreadable:
    """A listed sample that could not be read, and why."""

    index: int
    video: str
    reason: str


@dataclass(frozen=True)
class Damaged:
    """A listed sample that was read though some of it is missing, and what that is."""

    index: int
    video: str
    reason: str


def label_fault(
    labels: Sequence[int], num_classes: int, *, of: str = "", lowest: int | None = None
) -> str | None:
    """Says what is wrong with labels that do not lie in 0..num_classes-1; None: they do.

    Args:
        labels: of one video.
        num_classes: K.
        of: stands behind the label in the sentence, such as ` of a.mp4`.
        lowest: the lowest label that is known of; None: the lowest of these.
    """
    # of a few numbers Python finds the extremes faster than numpy
    low, high = min(labels, default=0), max(labels, default=0)
    if low >= 0 and high < num_classes:
        return None
    from_one = high == num_classes and (low if lowest is None else lowest) >= 1
    hint = "; it looks 1-based" if from_one else ""
    wrong = low if low < 0 else high
    return f"label {wrong}{of} is out of range 0..{num_classes - 1}{hint}"
