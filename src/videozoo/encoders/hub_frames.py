"""How a repository of the Hub wants its frames: what its preprocessor_config.json says.

Read here, since transformers' own processors want torchvision. Keys and their defaults are those of
transformers' image and video processors (huggingface.co/docs/transformers, "Image Processor").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videozoo.encoders.encoder import Framing
from videozoo.errors import FileError
from videozoo.reading import parse_json, read_text

_HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_SQUASHED = {"size": {"height": 224, "width": 224}, "do_center_crop": False}
_CROPPED = {"size": {"shortest_edge": 224}, "do_center_crop": True, "crop_size": 224}
_BILINEAR, _BICUBIC = {"resample": 2}, {"resample": 3}
_ALL = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}

# What a processor does where its file does not say: by the beginning of the class's name.
DEFAULTS: dict[str, dict[str, Any]] = {
    "ViT": _SQUASHED | _BILINEAR | _HALF,
    "DINOv3ViT": _SQUASHED | _BILINEAR | _IMAGENET,
    "Siglip": _SQUASHED | _BICUBIC | _HALF,
    "Bit": _CROPPED | _BICUBIC | _CLIP,
    "CLIP": _CROPPED | _BICUBIC | _CLIP,
    "VideoMAE": _CROPPED | _BILINEAR | _HALF,
    "Timesformer": _CROPPED | _BILINEAR | _IMAGENET,
    "VJEPA2": _CROPPED | _BILINEAR | _IMAGENET | {"crop_size": 256, "size": {"shortest_edge": 292}},
}
_LARGEST = 4096  # pixels of a side: far more than any encoder takes
_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
_CLASS = re.compile(r"(\w+?)(?:ImageProcessor|VideoProcessor|FeatureExtractor)")


@dataclass(frozen=True)
class FramesWanted:
    """What a network of the Hub takes.

    Attributes:
        framing: how a frame is made ready.
        scale: factor of bytes, before the rest.
        mean, std: of red, green and blue.
    """

    framing: Framing
    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalised(self, frames: Tensor) -> Tensor:
        """Returns (value * scale - mean) / std: uint8 [..., 3, H, W] -> float32 of that shape."""
        mean = torch.tensor(self.mean, device=frames.device)[:, None, None]  # [3, 1, 1]
        std = torch.tensor(self.std, device=frames.device)[:, None, None]  # [3, 1, 1]
        return frames.to(torch.float32, copy=True).mul_(self.scale).sub_(mean).div_(std)


def frames_wanted(folder: Path, *, video: bool, processor: str | None) -> FramesWanted:
    """Reads how a repository wants its frames.

    Args:
        folder: its files.
        video: it takes windows of frames: a file on videos goes before one on images.
        processor: a key of DEFAULTS, where the file does not name its class.

    Raises:
        VideozooError: no file says it, or one says something that is not done here.
    """
    path, said = _read(folder, video=video)
    given = {key: value for key, value in said.items() if value is not None}
    named = given.get("video_processor_type") if video else None
    named = named or given.get("image_processor_type") or given.get("feature_extractor_type")
    named = named if isinstance(named, str) else None
    match = _CLASS.match(str(named))
    known = match[1] if match else processor
    wanted = _Wanted(path, _ALL | DEFAULTS.get(str(known), {}) | given, str(named or "its class"))
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if wanted["do_normalize"]:
        mean, std = wanted.colours("image_mean"), wanted.colours("image_std")
    scale = wanted.number("rescale_factor") if wanted["do_rescale"] else 1.0
    return FramesWanted(wanted.framing(), scale, mean, std)


def _read(folder: Path, *, video: bool) -> tuple[Path, dict[str, Any]]:
    """Returns the file that says it, and what it says; the same order as in transformers."""
    image = [("processor_config.json", "image_processor"), ("preprocessor_config.json", None)]
    moving = [
        ("processor_config.json", "video_processor"), ("video_preprocessor_config.json", None),
    ]  # fmt: skip
    for name, part in [*(moving if video else []), *image]:
        path = folder / name
        if not path.is_file():
            continue
        found = read_json(path)
        said = found.get(part) if part else found
        if isinstance(said, dict):
            return path, said
    raise FileError(
        folder, "has no preprocessor_config.json, so that size and colours of its input are unknown"
    )


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        VideozooError: there is none.
    """
    try:
        value = parse_json(read_text(path))
    except (OSError, ValueError) as error:
        raise FileError(path, f"cannot be read ({error})") from None
    if not isinstance(value, dict):
        raise FileError(path, "holds no JSON object")
    return value


@dataclass(frozen=True)
class _Wanted:
    """What a file says, defaults filled in."""

    path: Path
    values: dict[str, Any]
    processor: str

    def __getitem__(self, key: str) -> Any:
        if key not in self.values:
            raise FileError(
                self.path, f"does not say {key}, and what {self.processor} does is not known here"
            )
        return self.values[key]

    def number(self, key: str) -> float:
        """Returns the number of a key."""
        value = self[key]
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
            raise FileError(self.path, f"{key} is {_shown(value)}, no number for colours")
        return float(value)

    def colours(self, key: str) -> tuple[float, float, float]:
        """Returns the three numbers of a key."""
        try:
            red, green, blue = map(float, self[key])
        except (TypeError, ValueError, OverflowError):
            shown = _shown(self[key])
            raise FileError(self.path, f"{key} is {shown}, not three numbers") from None
        return red, green, blue

    def framing(self) -> Framing:
        """Returns how a frame is made ready."""
        if not self["do_resize"]:
            raise FileError(self.path, "do_resize is false: frames need one size")
        given = self["resample"]
        resample = _RESAMPLE.get(given) if isinstance(given, int) else None
        if resample is None:
            raise FileError(
                self.path,
                f"resample is {_shown(given)}; known are 2 (bilinear) and 3 (bicubic)",
            )
        size, crop = self._size(), None
        if self["do_center_crop"]:
            crop = _sides(self["crop_size"])
            if crop is None:
                raise FileError(
                    self.path, f"crop_size is {_shown(self['crop_size'])}, no known form"
                )
        if isinstance(size, tuple) and crop in (None, size):
            return Framing(*size, resample=resample)
        if isinstance(size, int) and crop is not None and max(crop) <= size:
            return Framing(*crop, short_side=size, resample=resample)
        raise FileError(
            self.path,
            f"frames of size {_shown(self['size'])}, cut to {crop or 'nothing'}, are not made here:"
            " known are height and width without a cut, and shortest_edge with one that fits in it",
        )

    def _size(self) -> tuple[int, int] | int:
        """Returns width and height, or the short side."""
        size = self["size"]
        # An old file's number means what the class does by default.
        if _is_side(size) and self["do_center_crop"]:
            return int(size)
        if isinstance(size, dict) and size.keys() == {"shortest_edge"}:
            if not _is_side(size["shortest_edge"]):
                raise FileError(self.path, f"size is {_shown(size)}, no known form")
            return int(size["shortest_edge"])
        sides = _sides(size)
        if sides is None:
            raise FileError(self.path, f"size is {_shown(size)}, no known form")
        return sides


def _sides(size: Any) -> tuple[int, int] | None:
    """Returns width and height; None: another form."""
    if _is_side(size):
        return int(size), int(size)
    if isinstance(size, dict) and size.keys() == {"height", "width"}:
        both = size["width"], size["height"]
        return both if all(map(_is_side, both)) else None
    return None


def _is_side(value: Any) -> bool:
    return type(value) is int and 0 < value <= _LARGEST


def _shown(value: Any) -> str:
    return f"{value!r:.100}"
