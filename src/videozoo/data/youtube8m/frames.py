"""Which frames of a video a feature model sees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from videozoo.data.sample import Int64Array


def cluster_frames(n: int, seg_num: int, r: npt.NDArray[np.float64] | float) -> Int64Array:
    """Takes one frame from each of `seg_num` equal parts of a video.

    Part i starts at i * n / seg_num; the frame lies the share r of a part further:

        n = 10, seg_num = 4    0   1   2   3   4   5   6   7   8   9
                               |----0----|----1----|----2----|----3----|
        r = 0.5                    1         3         6         8
        r = 0                  0         2         5         7

        n = 3, seg_num = 4     |--0--|--1--|--2--|--3--|
        r = 0.5                   0     1     1     2       short videos repeat frames

    Args:
        n: the number of frames, at least 1.
        seg_num: the number of parts.
        r: where in its part a frame lies, in [0, 1): one number, or one a part [seg_num].

    Returns:
        [seg_num] frame indices in 0..n-1, ascending.

    Source: Long et al., "Attention Clusters", CVPR 2018, section 4.1; the original library's
    min(n - 1, int((i + r) * n / seg_num)).
    """
    positions = (np.arange(seg_num) + r) * n / seg_num
    return np.minimum(n - 1, positions.astype(np.int64))


def sample_cluster_frames(n: int, rng: np.random.Generator | None, *, seg_num: int) -> Int64Array:
    """Draws each part's frame with `rng` (training), or takes its middle without one (test).

    The original draws in test too, so that its scores differ from run to run.

    Args:
        n: the number of frames, at least 1.
        rng: one number is drawn a part; None takes r = 0.5.
        seg_num: the number of parts.

    Returns:
        [seg_num] frame indices, as `cluster_frames` gives them.
    """
    return cluster_frames(n, seg_num, 0.5 if rng is None else rng.random(seg_num))


def sample_kept_frames(
    n: int,
    rng: np.random.Generator | None,
    *,
    drop: float,
    frames: Callable[[int, np.random.Generator | None], Int64Array] | None = None,
) -> Int64Array:
    """Leaves each frame of a video out with probability `drop`, but never all of them.

    Args:
        n: the number of frames, at least 1.
        rng: of the sample; None (test): all stay.
        drop: 0 to below 1.
        frames: chooses among those that stay, such as `sample_cluster_frames`; None: all are taken.

    Returns:
        Frame indices in 0..n-1, at least one.
    """
    kept = np.arange(n)
    if rng is not None:
        stays = rng.random(n) >= drop
        stays[rng.integers(n)] |= not stays.any()
        kept = np.flatnonzero(stays)
    return kept if frames is None else kept[frames(len(kept), rng)]
