"""Which frames of a video a clip is made of: pure functions of numbers."""

from __future__ import annotations

import numpy as np

from videozoo.data.sample import Int64Array


def segment_frames(
    n: int,
    *,
    seg_num: int,
    seglen: int,
    frame_interval: int = 1,
    rng: np.random.Generator | None,
) -> Int64Array:
    """Chooses `seglen` evenly spaced frames out of each of `seg_num` equal parts of a video.

    The rule of temporal segment networks (Wang et al., Temporal Segment Networks, ECCV 2016,
    section 3.1), with the original library's handling of short videos. With n = 12 frames,
    seg_num = 3 and seglen = 2 each part has 4 frames:

        frame     0  1  2  3 | 4  5  6  7 | 8  9 10 11
        test         x  x    |    x  x    |    x  x          rng None: the middle of each part
        train     x  x       |       x  x |    x  x          an own random place in each part

    With frame_interval = 2 the two frames are one apart, as in "x  .  x". Parts too short for all
    their frames (but not empty) are read from their first frame on, into the next part. With fewer
    frames than parts, part i starts at frame i. Indices wrap around at n:

        n = 4, seg_num = 3, seglen = 3:  0 1 2 | 1 2 3 | 2 3 0
        n = 2, seg_num = 3, seglen = 1:  0 | 1 | 0

    Args:
        n: how many frames the video has, at least 1.
        seg_num: T, the number of parts.
        seglen: how many frames are taken of each part.
        frame_interval: distance of a part's frames, 1 for neighbours, as the original takes them.
        rng: draws the places in training; None takes the middle, as in test.

    Returns:
        Frame indices int64 [T, seglen], each in 0..n-1.

    Raises:
        ValueError: a number is below 1.
    """
    if min(n, seg_num, seglen, frame_interval) < 1:
        raise ValueError(
            "n, seg_num, seglen and frame_interval must be at least 1:"
            f" {n}, {seg_num}, {seglen}, {frame_interval}"
        )
    part = n // seg_num
    starts = np.arange(seg_num, dtype=np.int64) * max(part, 1)  # [T]
    steps = np.arange(seglen) * frame_interval  # [seglen]
    spare = part - (steps[-1] + 1)
    if spare >= 0:
        starts += spare // 2 if rng is None else rng.integers(0, spare + 1, size=seg_num)
    frames: Int64Array = (starts[:, None] + steps) % n  # [T, seglen]
    return frames
