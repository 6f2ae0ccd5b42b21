"""Copies of videos: the same file again, or the same pictures in another encoding."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from videozoo.addresses.copies import content_sha256
from videozoo.addresses.places import address_of, known
from videozoo.errors import SampleError
from videozoo.training.sides import equal_ones, join

Rows = NDArray[np.float32]
LIKENESS = 0.35  # measured on webcam clips and copies made of them, with EfficientNet-Lite0's rows
CERTAIN, STEP = 0.95, 0.05
CHANCE = 5.0  # deviations of the cosines of any two videos, which copies lie above
RIDGE = 0.1  # of the variance, divided by the videos
FEW = 5  # copies of a video, however small the data set
SAMPLE = 10_000  # rows that whitening is learnt from
BLOCK = 1024


def content_keys(paths: Sequence[Path]) -> list[str]:
    """Returns a key for each file; equal where two files have the same content.

    Only files of equal size are read.
    """
    sizes = [_size(path) for path in paths]
    counts = Counter(sizes)
    return [
        _content(path) if size > 0 and counts[size] > 1 else f"path {path}"
        for path, size in zip(paths, sizes, strict=True)
    ]


def _size(path: Path) -> int:
    """Returns the bytes of a file; -1: there is none, or it is not known how many."""
    if not address_of(path):
        return path.stat().st_size if path.is_file() else -1
    found = known(path)
    return -1 if found is None or found.size is None else found.size


def _content(path: Path) -> str:
    try:
        return f"sha256 {content_sha256(path)}"
    except (OSError, SampleError):
        return f"path {path}"  # who reads it names and counts it


def near_copies(rows: Sequence[Rows | None], *, least: float = LIKENESS) -> list[list[int]]:
    """Finds videos that show the same, encoded anew, brighter, cut or at another rate.

    The mean rows of videos are compared by their cosine after whitening: what varies much within
    the data set, such as the camera, counts little, and what only copies share counts. Stretches
    of one recording that look the same are found too: they belong together as copies do.

    Args:
        rows: an encoder's rows of each video [n, D]; None: not known.
        least: the cosine from which on two videos are copies, or more where those of any two vary
            more. Of a group that would hold more than a tenth of the videos, which one still
            camera makes alike, more is asked.

    Returns:
        The groups of copies, by index, without those of one video.
    """
    known = [i for i, row in enumerate(rows) if row is not None and len(row)]
    if len(known) < 3:
        return []
    given = [np.asarray(row, np.float32) for row in rows if row is not None and len(row)]
    vectors = _whitened(given)
    least = max(least, min(CERTAIN, CHANCE * _deviation(vectors)))
    groups = [list(range(len(known)))]
    found: list[list[int]] = []
    while groups:
        parts = [
            [group[i] for i in part] for group in groups for part in _alike(vectors[group], least)
        ]
        most = len(known) if least >= CERTAIN else max(FEW, len(known) // 10)
        found += [part for part in parts if len(part) <= most]
        groups = [part for part in parts if len(part) > most]
        least += STEP
    return sorted([known[i] for i in part] for part in found)


def _whitened(rows: Sequence[Rows]) -> Rows:
    """Returns the mean row of each video [videos, D], whitened with a ridge, of length 1."""
    each = max(1, SAMPLE // len(rows))
    chosen = [r[np.linspace(0, len(r) - 1, min(each, len(r))).astype(int)] for r in rows]
    sample = np.concatenate(chosen)
    centre = sample.mean(0)
    sample -= centre
    variances, axes = np.linalg.eigh(sample.T @ sample / len(sample))  # [D], [D, D]
    # The fewer videos, the less is known of how they vary.
    share = RIDGE / len(rows) * (1 + 60 / len(rows))
    ridge = max(share * float(variances.sum()), 1e-12)
    means = np.stack([row.mean(0) for row in rows]) - centre
    white = means @ (axes / np.sqrt(np.maximum(variances, 0) + ridge))
    length = np.linalg.norm(white, axis=1, keepdims=True)
    return np.asarray(white / np.maximum(length, 1e-12), np.float32)


def _deviation(vectors: Rows) -> float:
    """Returns the standard deviation of the cosines of any two, by their median: copies are few."""
    some = vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), BLOCK)).astype(int)]
    cosines = np.abs(some @ some.T)[np.triu_indices(len(some), 1)]
    return float(np.median(cosines)) / 0.6745


def _alike(vectors: Rows, least: float) -> list[list[int]]:
    """Joins vectors of length 1 whose products reach `least`; returns groups of two or more."""
    pairs: list[list[int]] = []
    for start in range(0, len(vectors), BLOCK):
        products = vectors[start : start + BLOCK] @ vectors[start:].T
        first, second = np.nonzero(products >= least)
        pairs += (np.stack([first, second], 1)[first < second] + start).tolist()
    return equal_ones(join(len(vectors), pairs))
