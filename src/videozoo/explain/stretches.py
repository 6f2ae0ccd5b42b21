"""Which stretches a video is divided into, and what is seen in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from videozoo.data.dataset import Float64Array, VideoDataset
from videozoo.data.sample import Int64Array, UInt8Array
from videozoo.errors import VideozooError

if TYPE_CHECKING:  # FFmpeg comes with the first video
    from videozoo.video.frame_times import FrameTimes


class Stretch(NamedTuple):
    """From second `start` to `end`, the rows or segments of these numbers, ascending."""

    start: float
    end: float
    places: Int64Array

    @property
    def middle(self) -> int:
        """The number in the middle."""
        return int(self.places[len(self.places) // 2])


@dataclass(frozen=True)
class Stretches:
    """The stretches of a video.

    Attributes:
        all: in their order; each row or segment lies in one.
        seconds: when each row or segment is seen, float64 [n].
        frames: of the middle of each stretch, uint8 [stretches, 3, H, W]; None: not read.
    """

    all: list[Stretch]
    seconds: Float64Array
    frames: UInt8Array | None = None


def divide(seconds: Float64Array, end: float, most: int) -> Stretches:
    """Divides a video into at most `most` stretches, of equal numbers of frames that are seen.

    A stretch ends half-way to what is seen next. Rows and segments of one frame stay together:
    leaving out one of them would not hide it.

    Args:
        seconds: when each row or segment is seen, float64 [n].
        end: seconds of the video.
        most: stretches.
    """
    own, numbers = np.unique(seconds, return_inverse=True)  # [u], [n]
    between = (own[1:] + own[:-1]) / 2  # [u - 1]
    first = max(0.0, 2 * own[0] - between[0]) if len(between) else 0.0
    last = min(end, 2 * own[-1] - between[-1]) if len(between) else end
    edges = np.concatenate([[first], between, [last]]).round(3).tolist()
    found = [
        Stretch(edges[part[0]], edges[part[-1] + 1], np.flatnonzero(np.isin(numbers, part)))
        for part in np.array_split(np.arange(len(own)), min(most, len(own)))
    ]
    return Stretches(found, seconds.round(3))


def find_stretches(dataset: VideoDataset, index: int, most: int, *, read: bool) -> Stretches:
    """Divides a sample into stretches, see `divide`.

    Args:
        dataset: prepared.
        index: of the sample.
        most: stretches.
        read: the frames too, where the sample is a video file.

    Raises:
        SampleError: not one frame can be decoded.
        VideozooError: nothing tells when what the sample holds is seen.
    """
    plan, path = dataset.frame_plan(index), dataset.file(index)
    if plan is None or path is None:
        seconds = dataset.row_seconds(index)
        if seconds is not None:
            return divide(seconds, seconds[-1] + 0.5, most)
        raise VideozooError(
            f"{dataset.name(index)}: does not tell when its pictures were seen; give the video that"
            " it was made of"
        )
    from videozoo.video.reader import read_timed_clip, seeming_times

    if not read:
        times = seeming_times(path)
        return divide(_seen(times, plan.choose(times)), times.seconds, most)
    found: list[Stretches] = []

    def choose(times: FrameTimes) -> Int64Array:
        frames = plan.choose(times)  # [n, k]
        found.append(divide(_seen(times, frames), times.seconds, most))
        return frames[[one.middle for one in found[-1].all], frames.shape[1] // 2]

    clip = read_timed_clip(path, **vars(replace(plan, choose=choose)))
    return replace(found[-1], frames=clip.frames)


def _seen(times: FrameTimes, frames: Int64Array) -> Float64Array:
    """Returns when frames [n, k] are seen: the middle of the time of the middle one, [n]."""
    edges = np.append(times.starts, times.end) - times.start
    middle = frames[:, frames.shape[1] // 2]  # [n]
    seen: Float64Array = (edges[middle] + edges[middle + 1]) / 2
    return seen
