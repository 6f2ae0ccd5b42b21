"""What makes models fast in inference, on a CPU most: folded batch norms, weights laid out once.

In test mode a batch norm is a factor and an offset a channel, so it goes into the weights of the
convolution before it; shortcut and ReLU are computed in one step with the convolution. The weights
of linear layers are laid out as oneDNN wants them. The result is a copy for scoring: it has other
weights than a checkpoint and cannot be trained.

Shapes: N images or rows, C channels, H x W pixels, I inputs, O outputs.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from videozoo.models import onednn
from videozoo.models.batch_norm import BatchNorm
from videozoo.models.onednn import RepeatedProduct
from videozoo.models.peephole_lstm import PeepholeLSTM
from videozoo.models.resnet import BasicBlock, Bottleneck, ResNet


def for_inference(model: nn.Module, *, dtype: torch.dtype) -> nn.Module:
    """Returns a copy of a model in test mode: ResNets folded, linear layers packed.

    Args:
        model: it is left as it is.
        dtype: to compute in: float32, or bfloat16 under autocast to bfloat16.
    """
    lstms = [module for module in model.modules() if isinstance(module, PeepholeLSTM)]
    gates = [lstm.gates for lstm in lstms]
    linears = [m for m in model.modules() if isinstance(m, nn.Linear) and m not in gates]
    # What stands for a module is not copied by deepcopy: large weights are copied once.
    instead: dict[int, nn.Module] = {id(m): PackedLSTM(lstm=m, dtype=dtype) for m in lstms}
    instead |= {id(m): PackedLinear(linear=m, dtype=dtype) for m in linears}
    for trunk in [module for module in model.modules() if isinstance(module, ResNet)]:
        instead |= _folded_trunk(trunk, dtype)
    return copy.deepcopy(model, instead).eval()


class PackedLinear(nn.Module):
    """A linear layer whose weight is converted and laid out once, not for every batch.

    Args:
        linear: the layer.
        dtype: to compute in.
        bias: added to the layer's own.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self, *, linear: nn.Linear, dtype: torch.dtype, bias: Tensor | None = None
    ) -> None:
        super().__init__()
        weight = linear.weight.detach().to(dtype)
        self.packed = onednn.linears_pack(weight)
        if self.packed:
            weight = onednn.pack_linear(weight)
        self.register_buffer("weight", weight)
        total = linear.bias if bias is None else bias + linear.bias
        self.register_buffer("bias", None if total is None else total.detach().to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        """[..., I] -> [..., O]."""
        x = x.to(self.weight.dtype)
        if self.packed:
            return onednn.packed_linear(x, self.weight, self.bias)  # [..., O]
        return F.linear(x, self.weight, self.bias)  # [..., O]


class PackedLSTM(PeepholeLSTM):
    """An LSTM with peepholes whose products are packed.

    Args:
        lstm: it shares its recurrent weight.
        dtype: to compute in.
    """

    def __init__(self, *, lstm: PeepholeLSTM, dtype: torch.dtype) -> None:
        nn.Module.__init__(self)  # the weights are there already
        self.weight, self.bias = lstm.weight, lstm.bias
        bias = lstm.bias[: lstm.gates.out_features]
        self.projection = PackedLinear(linear=lstm.gates, dtype=dtype, bias=bias)
        self._product: tuple[torch.dtype, int, RepeatedProduct] | None = None

    def project(self, x: Tensor) -> Tensor:
        """[N, E] -> [N, 4H]."""
        result: Tensor = self.projection(x)
        return result

    def product(self, dtype: torch.dtype, batch: int) -> RepeatedProduct:
        """See PeepholeLSTM; the last one is kept, it is laid out for one size of batch."""
        kept = self._product
        if kept is None or kept[:2] != (dtype, batch):
            self._product = kept = (dtype, batch, super().product(dtype, batch))
        return kept[2]


class FoldedConv(nn.Module):
    """A convolution and the batch norm behind it, then on demand a sum or a ceiling and a ReLU.

    Where oneDNN computes, it does all of that in one pass over the output, with the weights in its
    own layout. The layout is chosen for one size of image and chosen anew when that changes.

    Args:
        conv: the convolution, without bias.
        norm: the batch norm behind it.
        relu: a ReLU follows.
        dtype: to compute in.
        ceiling: where the ReLU ends above (6: ReLU6); None: nowhere.
        padding: rows and columns of zeros before and behind the image, if they are not the
            convolution's own. Operators pad alike on both sides: where there is more behind, the
            kernel gets zeros before it instead, which costs next to nothing.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        *,
        conv: nn.Conv2d,
        norm: BatchNorm,
        relu: bool,
        dtype: torch.dtype,
        ceiling: float | None = None,
        padding: tuple[int, int] | None = None,
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
        self.stride, self.padding = list(conv.stride), [int(p) for p in conv.padding]
        if padding is not None:
            self.padding = [padding[1], padding[1]]
        wider = 0 if padding is None else padding[1] - padding[0]
        self.register_buffer("weight", F.pad(weight.detach(), (wider, 0) * 2).to(dtype))
        self.register_buffer("bias", bias.detach().to(dtype))
        self.groups, self.relu, self.ceiling = conv.groups, relu, ceiling
        self._packed: Tensor | None = None
        self._packed_for: torch.Size | None = None

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """Convolves x [N, C, H, W] and adds `shortcut`, whose memory the result may take over.

        Raises:
            ValueError: a shortcut, where there is a ceiling.
        """
        if shortcut is not None and self.ceiling is not None:
            raise ValueError("a folded convolution with a ceiling takes no shortcut")
        x = x.to(self.weight.dtype)
        if onednn.convolutions_fuse(x):
            return self._fused(x, shortcut)
        y = F.conv2d(
            x, self.weight, self.bias, self.stride, self.padding, groups=self.groups
        )  # [N, C', H', W']
        if shortcut is not None:
            y = y.add_(shortcut)
        return y.clamp_(0.0, self.ceiling) if self.relu else y

    def _fused(self, x: Tensor, shortcut: Tensor | None) -> Tensor:
        geometry = (self.padding, self.stride, [1, 1], self.groups)
        if self._packed is None or self._packed_for != x.shape[1:]:
            self._packed = onednn.pack_convolution(self.weight, geometry, list(x.shape))
            self._packed_for = x.shape[1:]
        return onednn.packed_convolution(
            x,
            self._packed,
            self.bias,
            geometry,
            shortcut=shortcut,
            relu=self.relu,
            ceiling=self.ceiling,
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
            assert isinstance(norm, BatchNorm)
            self.downsample = FoldedConv(conv=conv, norm=norm, relu=False, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the block's output; x's memory may be taken over for it."""
        y = self.body(x)  # [N, width, H / stride, W / stride]
        shortcut = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.last(y, shortcut)  # [N, C', H / stride, W / stride]
        return out


def _folded_trunk(trunk: ResNet, dtype: torch.dtype) -> dict[int, nn.Module]:
    """Returns what stands for the modules of a trunk, by their id."""
    stem = FoldedConv(conv=trunk.conv1, norm=trunk.bn1, relu=True, dtype=dtype)
    instead: dict[int, nn.Module] = {id(trunk.conv1): stem}
    instead |= {id(module): nn.Identity() for module in (trunk.bn1, trunk.relu)}
    for stage in (trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4):
        for block in stage:
            assert isinstance(block, BasicBlock | Bottleneck)
            instead[id(block)] = FoldedBlock(block=block, dtype=dtype)
    return instead
