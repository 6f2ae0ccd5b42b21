from __future__ import annotations

import colorsys

import pytest
import torch
from torch import Tensor

from videozoo.data.augment import OPERATIONS, DevicePolicy
from videozoo.data.jitter import augment_clips, color_jitter, rand_augment

PLAIN = [1.0, 1.0, 1.0, 0.0]


@pytest.fixture
def frames() -> Tensor:
    """Two clips of three frames of 8 x 8 pixels, 20 to 220."""
    torch.manual_seed(0)
    return torch.rand(2, 3, 3, 8, 8) * 200 + 20


def jittered(frames: Tensor, *factors: float) -> Tensor:
    return color_jitter(frames, torch.tensor([PLAIN, list(factors)]))


def grey(frames: Tensor) -> Tensor:
    return (frames * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(-3)


def test_factors_of_one_change_nothing(frames: Tensor) -> None:
    torch.testing.assert_close(jittered(frames, *PLAIN), frames, rtol=0, atol=1e-3)


def test_each_clip_has_its_own_factors(frames: Tensor) -> None:
    out = jittered(frames, 1.1, 1.0, 1.0, 0.0)
    torch.testing.assert_close(out[0], frames[0], rtol=0, atol=1e-3)
    torch.testing.assert_close(out[1], frames[1] * 1.1, rtol=0, atol=1e-3)


def test_contrast_is_around_the_mean_grey_of_the_clip(frames: Tensor) -> None:
    out = jittered(frames, 1.0, 0.5, 1.0, 0.0)[1]
    mean = grey(frames[1]).mean()
    torch.testing.assert_close(out, 0.5 * frames[1] + 0.5 * mean, rtol=0, atol=1e-3)


def test_saturation_is_around_the_grey_of_each_pixel(frames: Tensor) -> None:
    out = jittered(frames, 1.0, 1.0, 0.0, 0.0)[1]
    torch.testing.assert_close(out, grey(frames[1])[:, None].expand_as(out), rtol=0, atol=1e-3)


def test_the_hue_turns_and_greys_stay() -> None:
    red = torch.tensor([160.0, 60, 60])[:, None, None].expand(1, 1, 3, 2, 2)
    turned = color_jitter(red, torch.tensor([[1.0, 1, 1, 1 / 3]]))[0, 0, :, 0, 0] / 255
    hue, _, _ = colorsys.rgb_to_hsv(*turned.tolist())
    # a turn in YIQ is not exactly one in HSV, but a third of the circle leads from red near green
    # or, the other way round, near blue
    assert min(abs(hue - 1 / 3), abs(hue - 2 / 3)) < 0.1
    even = torch.full((1, 1, 3, 2, 2), 90.0)
    same = color_jitter(even, torch.tensor([[1.0, 1, 1, 0.4]]))
    torch.testing.assert_close(same, even, rtol=0, atol=0.05)


def test_bounds_hold(frames: Tensor) -> None:
    out = jittered(frames, 5.0, 3.0, 2.0, 0.1)
    assert out.min() >= 0
    assert out.max() <= 255


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("level", [1.0, -0.5])
def test_every_operation_changes_all_frames_alike(name: str, level: float) -> None:
    torch.manual_seed(1)
    frame = torch.rand(3, 16, 16) * 180 + 30
    drawn = torch.tensor([float(OPERATIONS.index(name)), level])
    out = rand_augment(torch.stack([frame] * 3), drawn)
    assert out.shape == (3, 3, 16, 16)
    assert out.min() >= 0
    assert out.max() <= 255
    for other in out[1:]:
        torch.testing.assert_close(other, out[0])
    assert torch.equal(out[0], frame) == (name == "identity")


def operation(name: str, level: float, frames: Tensor) -> Tensor:
    return rand_augment(frames, torch.tensor([float(OPERATIONS.index(name)), level]))


def test_operations_do_what_they_say() -> None:
    frames = torch.arange(48.0).view(1, 3, 4, 4) * 5
    assert torch.equal(operation("brightness", -1.0, frames), frames * (1 - 0.9))
    assert torch.equal(operation("posterize", 1.0, frames), frames.div(16).floor() * 16)
    half = operation("solarize", 0.5, frames)
    assert torch.equal(half, torch.where(frames >= 128, 255 - frames, frames))
    stretched = operation("auto_contrast", 1.0, frames)
    assert stretched.amin(dim=(0, 2, 3)).tolist() == [0, 0, 0]
    assert stretched.amax(dim=(0, 2, 3)).tolist() == pytest.approx([255] * 3)
    # 0.45 of 20 pixels are 9; what comes in is grey
    wide = (torch.arange(20.0) * 10).expand(1, 3, 20, 20).contiguous()
    moved = operation("translate_x", 1.0, wide)
    torch.testing.assert_close(moved[..., :11], wide[..., 9:], rtol=0, atol=1e-2)
    assert moved[..., 12:].unique().tolist() == [128]
    down = operation("translate_y", -1.0, wide.transpose(2, 3).contiguous())
    torch.testing.assert_close(
        down[..., 9:, :], wide.transpose(2, 3)[..., :11, :], rtol=0, atol=1e-2
    )
    tall = operation("rotate", 1.0, wide)
    assert tall[0, 0, 10, 10] == pytest.approx(float(wide[0, 0, 10, 10]), abs=8)


def test_operations_go_one_after_another(frames: Tensor) -> None:
    both = torch.tensor([OPERATIONS.index("solarize"), 0.5, OPERATIONS.index("brightness"), -0.5])
    out = rand_augment(frames[0], both)
    expected = operation("brightness", -0.5, operation("solarize", 0.5, frames[0]))
    torch.testing.assert_close(out, expected)


def test_a_batch_is_changed_clip_by_clip() -> None:
    policy = DevicePolicy(color_jitter=(0.5, 0.5, 0.5, 0.1), rand_augment=(1, 10))
    clips = torch.randint(0, 256, (2, 2, 6, 8, 8), dtype=torch.uint8)  # [B, T, 3 * seglen, H, W]
    dark = [1.0, 0.5, 1.0, 1.0, 0.0, OPERATIONS.index("identity"), 1.0]
    inverted = [1.0, *PLAIN, OPERATIONS.index("solarize"), 1.0]
    out = augment_clips(clips, torch.tensor([dark, inverted]), policy)
    assert out.shape == clips.shape
    torch.testing.assert_close(out[0], clips[0] * 0.5, rtol=0, atol=1e-3)
    torch.testing.assert_close(out[1], 255.0 - clips[1], rtol=0, atol=1e-3)
    assert augment_clips(clips, torch.zeros(2, 5), DevicePolicy(mixup_alpha=1.0)) is clips
