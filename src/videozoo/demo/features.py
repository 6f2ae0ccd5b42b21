"""Frame features of the demo's videos, stored as YouTube-8M stores its own.

S. Abu-El-Haija et al.: "YouTube-8M: A Large-Scale Video Classification Benchmark",
arXiv:1609.08675, 2016, section 3.3: an image network's features of sampled frames, quantised to one
byte a value. The demo samples five frames a second instead of one: its clips last three seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.demo.sound import log_mel, read_sound

Float = npt.NDArray[np.float32]
UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]

RATE = 5.0  # rows of features a second


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


def frame_indices(frame_count: int, *, frame_rate: float, rate: float = RATE) -> Int64Array:
    """Chooses the frame in the middle of each 1 / rate seconds, as log_mel cuts the sound.

    Args:
        frame_count: frames of the video, at least 1.
        frame_rate: of the video, a second.
        rate: rows of features a second.

    Returns:
        int64 [n], rising; n = frame_count / frame_rate * rate, rounded, at least 1.
    """
    n = max(1, round(frame_count / frame_rate * rate))
    middles = (np.arange(n) + 0.5) * frame_rate / rate
    indices: Int64Array = np.minimum(middles, frame_count - 1).astype(np.int64)
    return indices


def frame_features(
    path: Path,
    *,
    frame_count: int,
    frame_rate: float,
    read_frames: Callable[[Path, Int64Array], UInt8Array],
    embed: Callable[[UInt8Array], Float],
    rate: float = RATE,
) -> tuple[Float, Float]:
    """Describes a video by its frames' features and its sound.

    Args:
        path: the video.
        frame_count: its number of frames.
        frame_rate: its frames a second.
        read_frames: (path, indices int64 [n]) -> uint8 [n, 3, H, W], resized and cropped as the
            image network was trained.
        embed: uint8 [n, 3, H, W] -> float32 [n, D], the image network's pooled features.
        rate: rows a second.

    Returns:
        float32 [n, D] and the log-mel spectra of the same moments, float32 [n, bands].

    Raises:
        SampleError: the video or its sound cannot be read.
    """
    indices = frame_indices(frame_count, frame_rate=frame_rate, rate=rate)
    rgb = embed(read_frames(path, indices))  # [n, D]
    heard = log_mel(read_sound(path), rate=rate)  # [m, bands], m about n
    match = np.minimum(np.arange(len(rgb)), len(heard) - 1)
    return rgb.astype(np.float32), heard[match]


@dataclass(frozen=True)
class DescribedVideo:
    """A video ready to be stored.

    Attributes:
        video: its id.
        labels: its classes.
        rgb: uint8 [n, D].
        audio: uint8 [n, bands].
    """

    video: str
    labels: tuple[int, ...]
    rgb: UInt8Array
    audio: UInt8Array


def write_shards(
    folder: Path, name: str, videos: Sequence[DescribedVideo], *, shards: int = 4
) -> list[Path]:
    """Writes videos as YouTube-8M TFRecord files, folder/NAME00.tfrecord and so on.

    Args:
        folder: made where it is missing.
        name: of the split, such as "train".
        videos: spread over the files in turn.
        shards: how many files, at most one a video.

    Returns:
        The files.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for shard in range(min(shards, len(videos))):
        path = folder / f"{name}{shard:02d}.tfrecord"
        write_tfrecord(path, _records(videos[shard::shards]))
        paths.append(path)
    return paths


def _records(videos: Iterable[DescribedVideo]) -> Iterable[bytes]:
    for video in videos:
        yield encode_example(
            video=video.video,
            labels=video.labels,
            features={"rgb": video.rgb, "audio": video.audio},
        )
