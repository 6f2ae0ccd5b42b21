"""Kinetics pickles, as the original's converter wrote them: (video id, label, [JPEG, ...])."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from videozoo.data.sample import Int64Array, UInt8Array
from videozoo.errors import SampleError, brief
from videozoo.pickling.unpickle import load_pickle, whole_numbers
from videozoo.video.geometry import Cut, ResizeRule

_MOST_BYTES = 512 << 20  # of a clip's images
_MOST_FRAMES = 100_000


@dataclass(frozen=True)
class PickledClip:
    """The content of one Kinetics pickle.

    Attributes:
        path: the file.
        video: the id of the video.
        labels: its one class; None where the pickle names none.
        frames: the compressed images, in order; at least one.
    """

    path: Path
    video: str
    labels: tuple[int, ...] | None
    frames: Sequence[bytes]

    def read_clip(
        self, choose: Callable[[int], Int64Array], *, resize: ResizeRule, crop: Cut
    ) -> UInt8Array:
        """Decodes, resizes and crops the chosen frames.

        Args:
            choose: answers the number n of frames with the wanted indices, each in 0..n-1.
            resize: answers a frame's width and height with those wanted; resizing is Pillow's
                bilinear, as in the original.
            crop: what is cut out of it then.

        Returns:
            uint8 [N, 3, *crop.extent(H, W)] in the order of the flattened indices.

        Raises:
            SampleError: an image is damaged, or smaller than the crop.
        """
        wanted = np.asarray(choose(len(self.frames))).ravel()
        clip: UInt8Array | None = None
        for index in np.unique(wanted).tolist():
            image = self.image(index)
            size = resize(*image.size)
            if size != image.size:
                image = image.resize(size, Image.Resampling.BILINEAR)
            planes = np.asarray(image).transpose(2, 0, 1)  # [3, H, W]
            if clip is None:
                extent = crop.extent(image.height, image.width)
                clip = np.empty((len(wanted), 3, *extent), dtype=np.uint8)
            for place in np.flatnonzero(wanted == index):
                crop.cut(planes, clip[place])
        assert clip is not None  # a pickle holds a frame, and one at least is chosen
        return clip

    def image(self, index: int) -> Image.Image:
        """Decodes one frame.

        Raises:
            SampleError: it is damaged.
        """
        try:
            with Image.open(io.BytesIO(self.frames[index]), formats=("JPEG", "PNG")) as opened:
                return opened.convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise SampleError(
                f"frame {index} is a damaged image ({error})", path=self.path
            ) from error


def load_clip(path: Path) -> PickledClip:
    """Reads a Kinetics pickle of Python 2 or 3, without decoding its images.

    Raises:
        SampleError: the file cannot be read, or holds something else.
    """
    record = load_pickle(path, what=str(path), most=_MOST_BYTES)
    first = record[0] if isinstance(record, (tuple, list)) and record else record
    if isinstance(first, dict):
        raise SampleError(
            "is no Kinetics pickle (video id, label, images) but one of features, as YouTube-8M's:"
            " a list of dicts; give it to a model on features, and videos to this one",
            path=path,
        )
    if not isinstance(record, (tuple, list)) or len(record) != 3:
        raise SampleError("is no Kinetics pickle: (video id, label, images) is expected", path=path)
    video, label, frames = record
    if isinstance(frames, np.ndarray):
        frames = frames.tolist() if frames.ndim == 1 and len(frames) <= _MOST_FRAMES else None
    if not isinstance(frames, (list, tuple)) or not all(isinstance(f, bytes) for f in frames):
        raise SampleError("its third part must be a list of JPEG images in bytes", path=path)
    if not frames:
        raise SampleError("holds no frames", path=path)
    return PickledClip(path, _text(video), _labels(label, path), frames)


def _text(video: object) -> str:
    if isinstance(video, bytes):
        return video.decode("utf-8", "replace")
    return video if isinstance(video, str) else brief(video)


def _labels(label: object, path: Path) -> tuple[int, ...] | None:
    numbers = [] if label is None else whole_numbers(label)
    single = isinstance(label, np.ndarray) or not isinstance(label, (list, tuple, set, frozenset))
    if numbers is None or len(numbers) > 1 or (numbers and not single):
        found = brief(label) if single else type(label).__name__
        raise SampleError(f"its label must be a class number, not {found}", path=path)
    return tuple(numbers) or None
