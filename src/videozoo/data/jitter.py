"""Changes of clips on the device: the other half of videozoo.data.augment, which draws them.

Every frame of a clip is changed alike: drawn for each frame, changes would look like motion.

Shapes: B clips, N frames, H x W pixels, values 0 to 255.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, radians, sin

import torch
import torch.nn.functional as F
from torch import Tensor

from videozoo.data.augment import OPERATIONS, DevicePolicy

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
_FILL = 128.0  # of what a turned or moved frame leaves bare
_MOST_FACTOR = 0.9  # brightness, contrast, color and sharpness at level 1: 1.9 or 0.1 times
_MOST_ANGLE = 30.0  # degrees
_MOST_SHEAR = 0.3
_MOST_SHIFT = 0.45  # of the side


def augment_clips(clips: Tensor, draws: Tensor, policy: DevicePolicy) -> Tensor:
    """Applies what `policy` drew for each clip: RandAugment first, then colour jitter.

    Args:
        clips: uint8 [B, T, 3 * seglen, H, W].
        draws: float32 [B, 5 + 2 * operations], a row of `policy.draw` each.
        policy: which changes there are.

    Returns:
        float32 [B, T, 3 * seglen, H, W], 0 to 255; `clips` itself where nothing changes.
    """
    if not policy.changes_pixels:
        return clips
    shape = clips.shape
    frames = clips.float().view(shape[0], -1, 3, *shape[-2:])  # [B, N, 3, H, W]
    if policy.rand_augment is not None:
        frames = torch.stack(
            [rand_augment(clip, row[5:]) for clip, row in zip(frames, draws.cpu(), strict=True)]
        )  # [B, N, 3, H, W]
    if policy.color_jitter is not None:
        frames = color_jitter(frames, draws[:, 1:5])  # [B, N, 3, H, W]
    return frames.reshape(shape)  # [B, T, 3 * seglen, H, W]


def color_jitter(frames: Tensor, factors: Tensor) -> Tensor:
    """Changes brightness, contrast, saturation and hue of each clip, in this order.

    All four are one linear step a pixel, cut off to 0..255 at its end. Contrast is around the mean
    grey of the clip; the hue is turned in the plane of YIQ.

    Args:
        frames: float [B, N, 3, H, W].
        factors: float [B, 4]: of brightness, contrast, saturation (1: as it was), and the turn of
            the hue, 1 the whole circle.

    Returns:
        float [B, N, 3, H, W].
    """
    weights = frames.new_tensor(_GREY)  # [3]
    bright, contrast, saturation, hue = (f[:, None, None] for f in factors.unbind(1))  # [B, 1, 1]
    grey = (frames.mean(dim=(1, 3, 4)) * weights).sum(dim=1)[:, None, None] * bright  # [B, 1, 1]
    eye, to_grey = torch.eye(3, device=frames.device), weights.expand(3, 3)
    colour = _hue_turns(hue.view(-1)) @ (saturation * eye + (1 - saturation) * to_grey)  # [B, 3, 3]
    mixed = torch.einsum("bij,bnjhw->bnihw", colour * contrast * bright, frames)  # [B, N, 3, H, W]
    offset = ((1 - contrast) * grey)[..., None, None]  # [B, 1, 1, 1, 1]; grey has no hue
    return (mixed + offset).clamp_(0, 255)


def _hue_turns(turns: Tensor) -> Tensor:
    """Returns the matrices that turn the hue by these parts of a circle [B]: [B, 3, 3]."""
    yiq = turns.new_tensor([_GREY, (0.596, -0.274, -0.322), (0.211, -0.523, 0.312)])  # [3, 3]
    turned = torch.zeros(len(turns), 3, 3, device=turns.device)
    angles = turns * 2 * pi
    turned[:, 0, 0] = 1
    turned[:, 1, 1] = turned[:, 2, 2] = angles.cos()
    turned[:, 1, 2], turned[:, 2, 1] = -angles.sin(), angles.sin()
    back: Tensor = torch.linalg.inv(yiq)  # [3, 3]
    return back @ turned @ yiq  # [B, 3, 3]


def rand_augment(frames: Tensor, drawn: Tensor) -> Tensor:
    """Applies drawn operations to one clip, one after another.

    E. Cubuk, B. Zoph, J. Shlens, Q. Le: "RandAugment: Practical Automated Data Augmentation with a
    Reduced Search Space", 2020, section 3; ranges as in "AutoAugment" (2019), table 6.

    Args:
        frames: float [N, 3, H, W], 0 to 255.
        drawn: float [2 * operations], on the host: number in OPERATIONS and level of each.

    Returns:
        float [N, 3, H, W], 0 to 255.
    """
    for number, level in drawn.view(-1, 2).tolist():
        frames = _OPERATIONS[OPERATIONS[int(number)]](frames, level).clamp(0, 255)
    return frames


def _auto_contrast(x: Tensor, level: float) -> Tensor:
    low, high = x.amin(dim=(0, 2, 3), keepdim=True), x.amax(dim=(0, 2, 3), keepdim=True)
    return torch.where(high > low, (x - low) * (255 / (high - low).clamp(min=1)), x)


def _blended(x: Tensor, base: Tensor, level: float) -> Tensor:
    return torch.lerp(base, x, 1 + _MOST_FACTOR * level)


def _grey_of(x: Tensor) -> Tensor:
    return (x * x.new_tensor(_GREY)[:, None, None]).sum(dim=1, keepdim=True)  # [N, 1, H, W]


def _contrast(x: Tensor, level: float) -> Tensor:
    return _blended(x, _grey_of(x).mean().expand_as(x), level)


def _sharpness(x: Tensor, level: float) -> Tensor:
    kernel = x.new_ones(3, 1, 3, 3)
    kernel[:, :, 1, 1] = 5
    padded = F.pad(x, (1, 1, 1, 1), mode="replicate")  # [N, 3, H + 2, W + 2]
    return _blended(x, F.conv2d(padded, kernel / 13, groups=3), level)


def _posterize(x: Tensor, level: float) -> Tensor:
    step = 2 ** round(4 * abs(level))
    return x.div(step).floor_().mul_(step)


def _solarize(x: Tensor, level: float) -> Tensor:
    return torch.where(x >= 256 * (1 - abs(level)), 255 - x, x)


def _warped(x: Tensor, matrix: tuple[float, ...]) -> Tensor:
    """Takes each pixel from where the first two rows of a 3 x 3 matrix say, in -1..1."""
    theta = x.new_tensor(matrix).view(1, 2, 3).expand(len(x), -1, -1)  # [N, 2, 3]
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)  # [N, H, W, 2]
    return F.grid_sample(x - _FILL, grid, mode="bilinear", align_corners=False) + _FILL


def _rotate(x: Tensor, level: float) -> Tensor:
    angle = radians(_MOST_ANGLE * level)
    return _warped(x, (cos(angle), -sin(angle), 0, sin(angle), cos(angle), 0))


_OPERATIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "identity": lambda x, level: x,
    "auto_contrast": _auto_contrast,
    "brightness": lambda x, level: x * (1 + _MOST_FACTOR * level),
    "contrast": _contrast,
    "color": lambda x, level: _blended(x, _grey_of(x).expand_as(x), level),
    "sharpness": _sharpness,
    "posterize": _posterize,
    "solarize": _solarize,
    "rotate": _rotate,
    "shear_x": lambda x, level: _warped(x, (1, _MOST_SHEAR * level, 0, 0, 1, 0)),
    "shear_y": lambda x, level: _warped(x, (1, 0, 0, _MOST_SHEAR * level, 1, 0)),
    "translate_x": lambda x, level: _warped(x, (1, 0, 2 * _MOST_SHIFT * level, 0, 1, 0)),
    "translate_y": lambda x, level: _warped(x, (1, 0, 0, 0, 1, 2 * _MOST_SHIFT * level)),
}
