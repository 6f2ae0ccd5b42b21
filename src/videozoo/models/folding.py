"""ResNets made ready for inference: batch norm, shortcut and ReLU in one step with the convolution.

In test mode a batch norm is a factor and an offset a channel, so it goes into the weights of the
convolution before it. The result is a copy for scoring: it has other weights than a checkpoint and
cannot be trained.

Shapes: N images, C channels, H x W pixels.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from videozoo.models import onednn
from videozoo.models.resnet import BasicBlock, Bottleneck, ResNet


def folded(model: nn.Module, *, dtype: torch.dtype) -> nn.Module:
    """Returns a copy of a model in test mode whose ResNets have their batch norms folded.

    Args:
        model: it is left as it is. One without a ResNet is itself returned.
        dtype: of the folded convolutions: float32, or bfloat16 under autocast to bfloat16.
    """
    if not any(isinstance(module, ResNet) for module in model.modules()):
        return model
    ready = copy.deepcopy(model).eval()
    for trunk in [module for module in ready.modules() if isinstance(module, ResNet)]:
        _fold_trunk(trunk, dtype)
    return ready


class FoldedConv(nn.Module):
    """A convolution and the batch norm behind it, then on demand a sum and a ReLU.

    Where oneDNN computes, it does all of that in one pass over the output, with the weights in its
    own layout. The layout is chosen for one size of image and chosen anew when that changes.

    Args:
        conv: the convolution, without bias.
        norm: the batch norm behind it.
        relu: a ReLU follows.
        dtype: to compute in.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self, *, conv: nn.Conv2d, norm: nn.BatchNorm2d, relu: bool, dtype: torch.dtype
    ) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        with torch.no_grad():
            weight, bias = fuse_conv_bn_weights(
                conv.weight,
                conv.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
        self.register_buffer("weight", weight.detach().to(dtype))
        self.register_buffer("bias", bias.detach().to(dtype))
        self.stride, self.padding = list(conv.stride), [int(p) for p in conv.padding]
        self.relu = relu
        self._packed: Tensor | None = None
        self._packed_for: torch.Size | None = None

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Convolves x [N, C, H, W] and adds `shortcut`, whose memory the result may take over."""
        x = x.to(self.weight.dtype)
        if onednn.convolutions_fuse(x):
            return self._fused(x, shortcut)
        y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding)  # [N, C', H', W']
        if shortcut is not None:
            y = y.add_(shortcut)
        return y.relu_() if self.relu else y

    def _fused(self, x: Tensor, shortcut: Tensor | None) -> Tensor:
        geometry = (self.padding, self.stride, [1, 1], 1)
        if self._packed is None or self._packed_for != x.shape[1:]:
            self._packed = onednn.pack_convolution(self.weight, geometry, list(x.shape))
            self._packed_for = x.shape[1:]
        return onednn.packed_convolution(
            x, self._packed, self.bias, geometry, shortcut=shortcut, relu=self.relu
        )  # [N, C', H', W']


class FoldedBlock(nn.Module):
    """A residual block of folded convolutions: the last one adds the shortcut.

    Args:
        block: the block to fold.
        dtype: to compute in.
    """

    def __init__(self, *, block: BasicBlock | Bottleneck, dtype: torch.dtype) -> None:
        super().__init__()
        pairs = [(block.conv1, block.bn1), (block.conv2, block.bn2)]
        if isinstance(block, Bottleneck):
            pairs.append((block.conv3, block.bn3))
        convs = [FoldedConv(conv=c, norm=n, relu=True, dtype=dtype) for c, n in pairs]
        self.body = nn.Sequential(*convs[:-1])
        self.last = convs[-1]
        self.downsample: FoldedConv | None = None
        if block.downsample is not None:
            conv, norm = block.downsample
            assert isinstance(conv, nn.Conv2d)
            assert isinstance(norm, nn.BatchNorm2d)
            self.downsample = FoldedConv(conv=conv, norm=norm, relu=False, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the block's output; x's memory may be taken over for it."""
        y = self.body(x)  # [N, width, H / stride, W / stride]
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.last(y, shortcut)  # [N, C', H / stride, W / stride]
        return out


def _fold_trunk(trunk: ResNet, dtype: torch.dtype) -> None:
    stem = FoldedConv(conv=trunk.conv1, norm=trunk.bn1, relu=True, dtype=dtype)
    trunk.add_module("conv1", stem)
    trunk.add_module("bn1", nn.Identity())
    trunk.add_module("relu", nn.Identity())
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        for i, block in enumerate(stage):
            assert isinstance(block, BasicBlock | Bottleneck)
            stage[i] = FoldedBlock(block=block, dtype=dtype)
