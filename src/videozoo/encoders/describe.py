"""A video as rows of features: what a trained TSN sees in its frames, and its sound's spectra.

S. Abu-El-Haija et al.: "YouTube-8M: A Large-Scale Video Classification Benchmark",
arXiv:1609.08675, 2016, section 3.3: an image network's pooled features of sampled frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from videozoo.classifier import LoadedWeights, autocast
from videozoo.config.clip_keys import ClipSettings
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.framing import Crop, resized_size
from videozoo.data.sample import Int64Array, UInt8Array
from videozoo.data.transforms import normalise_clips
from videozoo.encoders.quantiser import Float
from videozoo.encoders.sound import log_mel, read_sound
from videozoo.errors import SampleError, VideozooError
from videozoo.video.reader import probe_video, read_clip

BANDS = 64  # of the sound's spectra


@dataclass(frozen=True)
class Moments:
    """What is read of a video before a model sees it.

    Attributes:
        frames: uint8 [n, 3, H, W], resized and cropped as the TSN was trained.
        audio: float32 [n, BANDS], log-mel spectra of the same moments; None: not wanted.
    """

    frames: UInt8Array
    audio: Float | None


@dataclass(frozen=True)
class FeatureRecipe:
    """Which moments of a video are described.

    Attributes:
        rate: rows a second; the frame in the middle of each 1 / rate seconds is taken.
        most: rows of a video; what comes later is left out.
        sound: whether its spectra are wanted.
    """

    rate: float = 1.0
    most: int = 300
    sound: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 30:
            raise VideozooError(f"rate {self.rate:g}: rows a second must be above 0 and at most 30")


def frame_indices(frame_count: int, *, frame_rate: float, recipe: FeatureRecipe) -> Int64Array:
    """Chooses the frame in the middle of each 1 / rate seconds, as log_mel cuts the sound.

    Args:
        frame_count: frames of the video, at least 1.
        frame_rate: of the video, a second.
        recipe: how many.

    Returns:
        int64 [n], rising; n = frame_count / frame_rate * rate, rounded, at least 1, at most `most`.
    """
    n = min(max(1, round(frame_count / frame_rate * recipe.rate)), recipe.most)
    middles = (np.arange(n) + 0.5) * frame_rate / recipe.rate
    indices: Int64Array = np.minimum(middles, frame_count - 1).astype(np.int64)
    return indices


def read_moments(path: Path, recipe: FeatureRecipe, settings: ClipSettings) -> Moments:
    """Reads what is described of a video.

    Args:
        path: the video.
        recipe: which moments.
        settings: how frames are resized and cropped: the middle, as in a test.

    Raises:
        SampleError: the video or its sound cannot be read, or the file does not say how many frames
            a second it has.
    """
    info = probe_video(path)
    frame_rate = info.fps or (info.frames / info.duration if info.duration else None)
    if frame_rate is None:
        raise SampleError("says neither frames a second nor how long it lasts", path=path)
    frames = read_clip(
        path,
        _choice(frame_indices(info.frames, frame_rate=frame_rate, recipe=recipe)),
        resize=partial(resized_size, short_size=settings.short_size, rule=settings.resize),
        crop=Crop(settings.target_size),
        resize_with=settings.resize_with,
    )  # [n, 3, H, W]
    if not recipe.sound:
        return Moments(frames, None)
    heard = log_mel(read_sound(path), rate=recipe.rate, bands=BANDS)  # [m, BANDS], m about n
    return Moments(frames, heard[np.minimum(np.arange(len(frames)), len(heard) - 1)])


def _choice(indices: Int64Array) -> Callable[[int], Int64Array]:
    # a file may turn out to be shorter than it said
    return lambda count: np.minimum(indices, count - 1)


class FrameDescriber:
    """Describes frames by a TSN's pooled features.

    Args:
        weights: the TSN.
        device: where it computes.

    Attributes:
        settings: how frames are to be resized and cropped.
        dim: D, the features of a frame.

    Raises:
        VideozooError: the weights are another model's.
    """

    def __init__(self, weights: LoadedWeights, device: torch.device) -> None:
        settings = weights.experiment["INFER"]
        if weights.experiment.model != "TSN":
            raise VideozooError(
                f"{weights.path}: holds weights of {weights.experiment.model}; features are"
                " computed by a TSN, give weights of one"
            )
        self.settings: Any = settings
        trained: Any = weights.classifier.model
        model: Any = weights.classifier.to(device).for_inference(settings.precision).model
        self.dim: int = trained.fc.in_features
        self._device = device
        self._model = model

    def __call__(self, frames: UInt8Array) -> Float:
        """Describes uint8 [n, 3, H, W]; returns float32 [n, D]."""
        settings = self.settings
        rows = []
        with torch.inference_mode(), autocast(self._device, settings.precision):
            for part in torch.split(torch.from_numpy(frames), 32):
                clip = part[None].to(self._device)  # [1, n', 3, H, W]
                values = normalise_clips(clip, settings.image_mean, settings.image_std)
                rows.append(self._model.embed(values[0]).float().cpu())  # [n', D]
        features: Float = torch.cat(rows).numpy()
        return features


@dataclass(frozen=True)
class Describing:
    """How videos are read and described.

    Attributes:
        describer: computes the features of frames.
        read: gives what is described of a video.
        threads: that read ahead.
    """

    describer: FrameDescriber
    read: Callable[[Path], Moments]
    threads: int

    def rows(
        self, entries: Sequence[ClipEntry]
    ) -> Iterator[tuple[ClipEntry, tuple[Float, ...] | SampleError]]:
        """Yields each video in order with float32 [n, D] a modality, or why it cannot be read."""
        for entry, moments in self._ahead(entries):
            if isinstance(moments, SampleError):
                yield entry, moments
            else:
                rgb = self.describer(moments.frames)  # [n, D]
                yield entry, (rgb,) if moments.audio is None else (rgb, moments.audio)

    def _ahead(
        self, entries: Sequence[ClipEntry]
    ) -> Iterator[tuple[ClipEntry, Moments | SampleError]]:
        waiting: deque[tuple[ClipEntry, Future[Moments | SampleError]]] = deque()
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for entry in entries:
                    waiting.append((entry, pool.submit(self._tried, entry.path)))
                    if len(waiting) > 2 * self.threads:
                        first, future = waiting.popleft()
                        yield first, future.result()
                while waiting:
                    first, future = waiting.popleft()
                    yield first, future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _tried(self, path: Path) -> Moments | SampleError:
        try:
            return self.read(path)
        except SampleError as error:
            return error
