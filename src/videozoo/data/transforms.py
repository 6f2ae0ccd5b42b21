"""From bytes to a model's inputs, on the device of the model: only there do they become floats."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from videozoo.data.framing import Box


def normalise_clips(clips: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Makes clips what an image network was trained on: (value / 255 - mean) / std by colour.

    Args:
        clips: uint8 [B, T, 3 * seglen, H, W], or float (augmented, mixed); it stays as it is.
        mean: of each of the three colours, on the scale 0..1.
        std: likewise.

    Returns:
        float32 [B, T, 3 * seglen, H, W] on the same device.
    """
    seglen = clips.shape[-3] // 3
    centre = torch.tensor([*mean] * seglen, device=clips.device)[:, None, None]  # [3*seglen, 1, 1]
    spread = torch.tensor([*std] * seglen, device=clips.device)[:, None, None]  # [3*seglen, 1, 1]
    return clips.to(torch.float32, copy=True).div_(255).sub_(centre).div_(spread)


def cut_views(clips: Tensor, videos: Sequence[int], boxes: Sequence[Box], size: int) -> Tensor:
    """Cuts squares out of the frames of clips.

    Args:
        clips: uint8 [B, T, 3 * seglen, H, W].
        videos: which of the B clips each square is cut out of.
        boxes: where it lies, for each.
        size: pixels of the sides of all of them.

    Returns:
        uint8 [len(boxes), T, 3 * seglen, size, size] on the same device.
    """
    cut = clips.new_empty((len(boxes), *clips.shape[1:3], size, size))
    for out, video, box in zip(cut, videos, boxes, strict=True):
        piece = clips[video, ..., box.top : box.top + size, box.left : box.left + size]
        out.copy_(piece.flip(-1) if box.mirrored else piece)  # [T, 3 * seglen, size, size]
    return cut


def dequantise(features: Tensor) -> Tensor:
    """Undoes YouTube-8M's quantisation of features to bytes: value * 4/255 + 4/512 - 2.

    Source: Abu-El-Haija et al., YouTube-8M, 2016, section 3.3; the constants are those of the
    data set's published reader.

    Args:
        features: uint8, or float where videos are mixed; any shape; it stays as it is.

    Returns:
        float32 of the same shape in about -2..2.
    """
    return features.to(torch.float32, copy=True).mul_(4 / 255).add_(4 / 512 - 2)


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
