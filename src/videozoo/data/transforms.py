"""From stored frames and features to what a model takes.

The first half works on the host, on Pillow images, and ends in uint8. The second half works on the
device that the model is on: only there do bytes become floats.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from videozoo.errors import SampleError

RESIZE_RULES = ("4:3", "aspect")

# A frame of more than this many times its short side is no picture: resizing it would take
# gigabytes.
_LONGEST = 64


def resize_short_side(image: Image.Image, short_size: int, rule: str) -> Image.Image:
    """Resizes an image so that its short side has `short_size` pixels (bilinear, on uint8).

    Args:
        image: RGB.
        short_size: pixels of the short side of the result.
        rule: "4:3" makes the other side int(short_size * 4 / 3) whatever the image's own aspect (a
            square one becomes wide), as the original library did and its weights expect. "aspect"
            keeps the image's own.

    Returns:
        The resized image; the same image where its short side already is `short_size`.

    Raises:
        SampleError: the image is so long and thin that it cannot be resized.
        ValueError: no such rule.
    """
    width, height = image.size
    if min(width, height) == short_size:
        return image
    if rule == "4:3":
        other = int(short_size * 4 / 3)
    elif rule == "aspect":
        aspect = max(width, height) / min(width, height)
        if aspect > _LONGEST:
            raise SampleError(f"frames of {width}x{height} pixels are too thin to be resized")
        other = max(short_size, round(short_size * aspect))
    else:
        raise ValueError(f"no resize rule '{rule}', only {RESIZE_RULES}")
    size = (short_size, other) if width < height else (other, short_size)
    return image.resize(size, Image.Resampling.BILINEAR)


def center_crop(image: Image.Image, size: int) -> Image.Image:
    """Cuts the middle size x size pixels out, from round((side - size) / 2) on.

    Raises:
        SampleError: the image is smaller than the crop.
    """
    _check_crop(image, size)
    left, top = round((image.width - size) / 2), round((image.height - size) / 2)
    return image.crop((left, top, left + size, top + size))


def random_crop_flip(
    images: Sequence[Image.Image], size: int, rng: np.random.Generator, *, flip: bool = True
) -> list[Image.Image]:
    """Cuts the same random size x size pixels out of all images of a clip, or their mirror image.

    One place and one flip are drawn for the whole clip: drawn for each frame, they would look like
    motion.

    Args:
        images: RGB.
        size: pixels of the sides of the crop.
        rng: draws.
        flip: mirror the clip with probability 1/2; False: never.

    Raises:
        SampleError: an image is smaller than the crop.
    """
    across, down = rng.random(2)
    mirrored = rng.random() < 0.5 and flip
    cropped = []
    for image in images:
        _check_crop(image, size)
        left = int(across * (image.width - size + 1))
        top = int(down * (image.height - size + 1))
        piece = image.crop((left, top, left + size, top + size))
        cropped.append(piece.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else piece)
    return cropped


def _check_crop(image: Image.Image, size: int) -> None:
    if min(image.size) < size:
        raise SampleError(
            f"frames of {image.width}x{image.height} pixels are smaller than the crop of "
            f"{size}x{size}: short_size must be at least target_size"
        )


def stack_frames(images: Sequence[Image.Image], seglen: int) -> npt.NDArray[np.uint8]:
    """Puts the frames of a clip into one array: segments, channels of their frames in order.

    Args:
        images: T * seglen RGB images of one size, segment after segment.
        seglen: frames of a segment.

    Returns:
        uint8 [T, seglen * 3, H, W]; channel 3 * j + c is colour c of the segment's frame j.
    """
    frames = np.stack([np.asarray(image) for image in images])  # [T*seglen, H, W, 3]
    frames = frames.transpose(0, 3, 1, 2)  # [T*seglen, 3, H, W]
    height, width = frames.shape[2:]
    return np.ascontiguousarray(frames).reshape(-1, seglen * 3, height, width)


def normalise_clips(clips: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Makes clips what an image network was trained on: (value / 255 - mean) / std by colour.

    Args:
        clips: uint8 [B, T, 3 * seglen, H, W].
        mean: of each of the three colours, on the scale 0..1.
        std: likewise.

    Returns:
        float32 [B, T, 3 * seglen, H, W] on the same device.
    """
    seglen = clips.shape[-3] // 3
    centre = torch.tensor([*mean] * seglen, device=clips.device)[:, None, None]  # [3*seglen, 1, 1]
    spread = torch.tensor([*std] * seglen, device=clips.device)[:, None, None]  # [3*seglen, 1, 1]
    return clips.to(torch.float32).div_(255).sub_(centre).div_(spread)


def dequantise(features: Tensor) -> Tensor:
    """Undoes YouTube-8M's quantisation of features to bytes: value * 4/255 + 4/512 - 2.

    Source: Abu-El-Haija et al., YouTube-8M, 2016, section 3.3; the constants are those of the
    data set's published reader.

    Args:
        features: uint8, any shape.

    Returns:
        float32 of the same shape in about -2..2.
    """
    return features.to(torch.float32).mul_(4 / 255).add_(4 / 512 - 2)


def unwhiten(rgb: Tensor, eigenvalues: Tensor) -> Tensor:
    """Undoes the whitening of YouTube-8M's visual features, as NeXtVLAD expects.

    (rgb - 4/512) * (sqrt(eigenvalue) + 1e-4) by feature: the first term takes out the middle of a
    quantisation step.

    Args:
        rgb: float [..., D], dequantised.
        eigenvalues: float32 [D] of the principal components, largest first.

    Returns:
        float [..., D].
    """
    return (rgb - 4 / 512) * (eigenvalues.sqrt() + 1e-4)
