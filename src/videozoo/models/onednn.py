"""Operators of oneDNN that PyTorch keeps for its own compiler: packed weights, fused steps.

They are internal and may be missing or different in another release of PyTorch. So each kind is
tried once, on a small example, and used only where it gives what plain operators give.

Shapes: N images, C channels, H x W pixels, I inputs, O outputs, S rows, R weights.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

# padding, stride, dilation, groups
Geometry = tuple[list[int], list[int], list[int], int]


def linears_pack(weight: Tensor) -> bool:
    """Says whether packed products work for weights like this one."""
    return _is_on(weight) and _linears_work(weight.dtype)


def convolutions_fuse(x: Tensor) -> bool:
    """Says whether `pack_convolution` and `packed_convolution` work for inputs like this one."""
    return _is_on(x) and not torch.is_grad_enabled() and _convolutions_work(x.dtype)


def bfloat16_is_fast() -> bool:
    """Says whether this processor multiplies bfloat16 itself; else float32 is faster."""
    names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, lambda: False)() for name in names)


def pack_linear(weight: Tensor, batch: int | None = None) -> Tensor:
    """Lays a weight [O, I] out for products with about `batch` rows; None: with any number."""
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, batch)
    return packed


def packed_linear(x: Tensor, packed: Tensor, bias: Tensor | None) -> Tensor:
    """Returns x [..., I] @ weight.T + bias [O], [..., O]."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return result


def packed_linear_onto(x: Tensor, packed: Tensor, start: Tensor) -> Tensor:
    """Returns start [..., S, O] + x [..., S, I] @ weight.T, [..., S, O]."""
    result: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, start, packed, None, "add")
    return result


def pack_convolution(weight: Tensor, geometry: Geometry, size: list[int]) -> Tensor:
    """Lays a weight [C', C, h, w] out for inputs of a size [N, C, H, W]."""
    packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(weight, *geometry, size)
    return packed


def packed_convolution(
    x: Tensor,
    packed: Tensor,
    bias: Tensor,
    geometry: Geometry,
    *,
    shortcut: Tensor | None,
    relu: bool,
    ceiling: float | None = None,
) -> Tensor:
    """Convolves x [N, C, H, W], adds `shortcut`, whose memory the result takes over, and cuts.

    Args:
        x: images.
        packed: what `pack_convolution` gave.
        bias: [C'].
        geometry: that of the packed weight.
        shortcut: [N, C', H', W'], or None.
        relu: values below zero become zero.
        ceiling: values above become this (6: ReLU6); None: none do. Only with a ReLU, and without a
            shortcut.
    """
    y: Tensor
    if shortcut is None:
        cut = "none" if not relu else "relu" if ceiling is None else "hardtanh"
        y = torch.ops.mkldnn._convolution_pointwise(
            x, packed, bias, *geometry, cut, [] if ceiling is None else [0.0, ceiling], ""
        )  # [N, C', H', W']
    else:
        y = torch.ops.mkldnn._convolution_pointwise_.binary(
            shortcut, x, packed, bias, *geometry, "add", 1.0, "relu" if relu else None, [], ""
        )  # [N, C', H', W']
    return y


class RepeatedProduct:
    """A product with the same weight at every step of a recurrent layer, laid out for it once.

    oneDNN's own layout makes the product of a small batch up to four times faster on a CPU.

    Args:
        weight: [R, I, O].
        batch: the largest number of rows of x.
    """

    def __init__(self, weight: Tensor, batch: int) -> None:
        self.packed = len(weight) == 1 and linears_pack(weight)
        if self.packed:
            weight = pack_linear(weight[0].t().contiguous(), batch)
        self.weight = weight

    def __call__(self, x: Tensor, start: Tensor) -> Tensor:
        """Takes x [R, S, I] and start [R, S, O] and returns start + x @ weight, [R, S, O]."""
        if self.packed:
            return packed_linear_onto(x, self.weight, start)  # [1, S, O]
        return torch.baddbmm(start, x, self.weight)  # [R, S, O]


def _is_on(x: Tensor) -> bool:
    backend = torch.backends.mkldnn
    on = backend.is_available() and backend.enabled  # type: ignore[no-untyped-call]
    return x.device.type == "cpu" and bool(on)


@cache
def _linears_work(dtype: torch.dtype) -> bool:
    weight, x, start = (_example(*shape, dtype=dtype) for shape in ((4, 3), (2, 3), (2, 4)))

    def packed() -> Tensor:
        onto = packed_linear_onto(x, pack_linear(weight, 2), start)
        return torch.cat([onto, packed_linear(x, pack_linear(weight), start[0])])

    def plain() -> Tensor:
        return torch.cat([start + x @ weight.t(), F.linear(x, weight, start[0])])

    return _gives(packed, plain, dtype)


@cache
def _convolutions_work(dtype: torch.dtype) -> bool:
    weight, x = _example(4, 3, 3, 3, dtype=dtype), _example(2, 3, 5, 5, dtype=dtype)
    bias, shortcut = _example(4, dtype=dtype), _example(2, 4, 5, 5, dtype=dtype)
    # As the models lay images out; in the other layout PyTorch adds the shortcut apart from the
    # convolution, which it cannot do with a ReLU in bfloat16.
    x = x.contiguous(memory_format=torch.channels_last)
    shortcut = shortcut.contiguous(memory_format=torch.channels_last)
    geometry: Geometry = ([1, 1], [1, 1], [1, 1], 1)
    in_groups: Geometry = ([1, 1], [1, 1], [1, 1], 4)

    def fused() -> Tensor:
        packed = pack_convolution(weight, geometry, list(x.shape))
        plain = packed_convolution(x, packed, bias, geometry, shortcut=None, relu=False)
        added = packed_convolution(x, packed, bias, geometry, shortcut=shortcut.clone(), relu=True)
        packed = pack_convolution(weight[:, :1], in_groups, list(shortcut.shape))
        cut = packed_convolution(
            shortcut, packed, bias, in_groups, shortcut=None, relu=True, ceiling=0.5
        )
        return torch.cat([plain, added, cut])

    def plain() -> Tensor:
        y = F.conv2d(x, weight, bias, padding=1)  # [N, C', H, W]
        cut = F.conv2d(shortcut, weight[:, :1], bias, padding=1, groups=4).clamp(0.0, 0.5)
        return torch.cat([y, (y + shortcut).relu(), cut])

    return _gives(fused, plain, dtype)


def _example(*shape: int, dtype: torch.dtype) -> Tensor:
    x = torch.linspace(-1.0, 1.0, steps=int(torch.Size(shape).numel())).reshape(shape)
    return x.to(dtype)


def _gives(fused: Callable[[], Tensor], plain: Callable[[], Tensor], dtype: torch.dtype) -> bool:
    # float64 and the like have no fused form; bf16 in software would be slower than plain operators
    if dtype not in (torch.float32, torch.bfloat16):
        return False
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return False
        with torch.inference_mode():
            difference = (fused().float() - plain().float()).abs().max()
    except (AttributeError, RuntimeError, TypeError, NotImplementedError):
        return False  # missing, or of another form, in this release
    return bool(difference < (1e-5 if dtype == torch.float32 else 0.1))
