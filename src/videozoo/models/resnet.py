"""ResNet trunks for frames, with the parameter names of torchvision's.

K. He, X. Zhang, S. Ren, J. Sun: "Deep Residual Learning for Image Recognition", CVPR 2016,
section 3.3 and table 1. A bottleneck's stride sits on its 3x3 convolution.

Shapes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videozoo.models.batch_norm import BatchNorm

STAGE_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}

# A CPU is as fast with 3 images of 224 px at once as with 12; a GPU needs many to be busy.
IMAGES_AT_ONCE_CPU = 16
IMAGES_AT_ONCE_GPU = 512


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut (ResNet-18 and 34).

    Args:
        in_channels: channels of the input.
        width: channels of both convolutions.
        stride: of the first convolution.
    """

    expansion = 1

    def __init__(self, *, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = BatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = BatchNorm(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, width, H / stride, W / stride]."""
        y = self.relu(self.bn1(self.conv1(x)))  # [N, width, H / stride, W / stride]
        y = self.bn2(self.conv2(y))  # [N, width, H / stride, W / stride]
        out: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut (ResNet-50, 101 and 152).

    Args:
        in_channels: channels of the input.
        width: channels of the 3x3 convolution; the output has four times as many.
        stride: of the 3x3 convolution.
    """

    expansion = 4

    def __init__(self, *, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = BatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = BatchNorm(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = BatchNorm(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, 4 * width, H / stride, W / stride]."""
        y = self.relu(self.bn1(self.conv1(x)))  # [N, width, H, W]
        y = self.relu(self.bn2(self.conv2(y)))  # [N, width, H / stride, W / stride]
        y = self.bn3(self.conv3(y))  # [N, 4 * width, H / stride, W / stride]
        out: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return out


class ResNet(nn.Module):
    """A ResNet without its classifier.

    Args:
        num_layers: 18, 34, 50, 101 or 152.
        in_channels: channels of the images.
    """

    def __init__(self, *, num_layers: int = 50, in_channels: int = 3) -> None:
        super().__init__()
        if num_layers not in STAGE_BLOCKS:
            known = ", ".join(str(n) for n in STAGE_BLOCKS)
            raise ValueError(f"a ResNet has {known} layers, not {num_layers}")
        block = BasicBlock if num_layers < 50 else Bottleneck
        blocks = STAGE_BLOCKS[num_layers]
        self.stage_channels = [w * block.expansion for w in (64, 128, 256, 512)]
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = BatchNorm(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(block, 64, 64, blocks[0], stride=1)
        self.layer2 = _stage(block, self.stage_channels[0], 128, blocks[1], stride=2)
        self.layer3 = _stage(block, self.stage_channels[1], 256, blocks[2], stride=2)
        self.layer4 = _stage(block, self.stage_channels[2], 512, blocks[3], stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stem(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, 64, H/4, W/4]."""
        if x.device.type == "cpu" or torch.is_autocast_enabled(x.device.type):
            # Convolutions are faster on pixels with their channels side by side: in any precision
            # on a CPU, in short ones on a GPU. All that follows keeps the layout.
            x = x.contiguous(memory_format=torch.channels_last)
        x = self.relu(self.bn1(self.conv1(x)))  # [N, 64, H/2, W/2]
        out: Tensor = self.maxpool(x)  # [N, 64, H/4, W/4]
        return out

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, stage_channels[3], H/32, W/32]."""
        x = self.stem(x)  # [N, 64, H/4, W/4]
        x = self.layer1(x)  # [N, stage_channels[0], H/4, W/4]
        x = self.layer2(x)  # [N, stage_channels[1], H/8, W/8]
        x = self.layer3(x)  # [N, stage_channels[2], H/16, W/16]
        out: Tensor = self.layer4(x)  # [N, stage_channels[3], H/32, W/32]
        return out

    def stages(self) -> list[list[nn.Module]]:
        """Returns the modules of the stem and of the four stages, the one at the input first."""
        stem: list[nn.Module] = [self.conv1, self.bn1]
        return [stem, [self.layer1], [self.layer2], [self.layer3], [self.layer4]]

    def images_at_once(self, device: torch.device) -> int | None:
        """Returns how many images of a long batch are best taken at once; None: all.

        In test mode images do not touch each other, so a batch of any length may pass in parts that
        need little memory and cost no speed. In training all pass together: batch norms are over
        all of them, and the gradient needs what each one left behind.
        """
        if self.training or torch.is_grad_enabled():
            return None
        return IMAGES_AT_ONCE_CPU if device.type == "cpu" else IMAGES_AT_ONCE_GPU


def _stage(
    block: type[BasicBlock] | type[Bottleneck], in_channels: int, width: int, n: int, *, stride: int
) -> nn.Sequential:
    layers = [block(in_channels=in_channels, width=width, stride=stride)]
    layers += [
        block(in_channels=width * block.expansion, width=width, stride=1) for _ in range(n - 1)
    ]
    return nn.Sequential(*layers)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and in_channels == out_channels:
        return None
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False),
        BatchNorm(out_channels),
    )
