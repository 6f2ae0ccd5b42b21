"""Windows of a video for models on clips: their frames wait until the window is over."""

from __future__ import annotations

from collections import deque
from functools import partial

import numpy as np

from videozoo.data.clips.dataset import ClipDataset
from videozoo.data.framing import resized_size
from videozoo.data.sample import ClipSample, UInt8Array
from videozoo.errors import SampleError
from videozoo.timeline.source import Shown, Source
from videozoo.timeline.windows import WindowSamples
from videozoo.video.reader import resized_planes
from videozoo.video.rgb import SQUARE
from videozoo.video.stream import FAULTS, reason_of


class ClipWindows(WindowSamples):
    """Chooses the frames of a window as those of a file that has just the frames of the window.

    All of a window's frames are kept, resized and cropped: which ones are wanted depends on how
    many there are.

    Args:
        dataset: says how clips are made; it may be empty.
    """

    dataset: ClipDataset

    def __init__(self, dataset: ClipDataset) -> None:
        self.dataset = dataset
        self._resize = partial(resized_size, short_size=dataset.short_size, rule=dataset.resize)

    def begin(self, source: Source, length: float) -> None:
        """Begins a video; see WindowSamples."""
        self._source = source
        self._frames: deque[tuple[float, UInt8Array]] = deque()  # uint8 [3, H, W]
        self._ended = False

    def see(self, shown: Shown) -> None:
        """Takes the next frame; see WindowSamples."""
        crop = self.dataset.crop
        try:
            pixels = self._source.pixel_aspect if self.dataset.resize == "aspect" else SQUARE
            planes = resized_planes(
                shown.frame, self._resize, self.dataset.resize_with, pixel_aspect=pixels
            )
            frame = np.empty((3, *crop.extent(*planes[0].shape)), dtype=np.uint8)
            crop.cut(planes, frame)
        except SampleError as error:
            raise error.at(self._source.address) from error
        except FAULTS as error:
            reason = f"a frame cannot be converted to RGB: {reason_of(error)}"
            raise SampleError(reason, path=self._source.address) from error
        self._frames.append((shown.start, frame))

    def finish(self) -> None:
        """Nothing more comes."""
        self._ended = True

    def take(self, start: float, length: float) -> ClipSample | None:
        """Returns the sample of a window; see WindowSamples.

        Where no frame appears within it, that is the one on screen.
        """
        frames, rounding = self._frames, self._source.rounding
        first, last = start - rounding, start + length - rounding
        if not self._ended and (not frames or frames[-1][0] < last):
            return None
        while len(frames) > 1 and frames[0][0] < first and frames[1][0] <= start + rounding:
            frames.popleft()
        own = [frame for time, frame in frames if first <= time < last] or [frames[0][1]]
        chosen = self.dataset.choose_frames(len(own), None)  # [T, seglen]
        try:
            clip = np.stack([own[number] for number in chosen.ravel().tolist()])
        except ValueError:
            reason = "has frames of different sizes; test_crop = 'centre' reads it"
            raise SampleError(reason, path=self._source.address) from None
        clip = clip.reshape(len(chosen), -1, *clip.shape[2:])  # [T, seglen * 3, H, W]
        return ClipSample(self._source.address, clip, None)
