"""A second device that every machine has: tensors on it compute on the CPU, but may not be mixed.

To PyTorch they are on the device "meta", so code that asks `device.type` takes its way for GPUs.
What needs a GPU's own kernels, and bfloat16, is not seen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

DEVICE = torch.device("meta")
_ATEN = torch.ops.aten
_MAY_MIX = (_ATEN._to_copy, _ATEN.copy_, _ATEN.index)  # copies, and indices, as on a GPU


class OtherTensor(Tensor):
    """A tensor on the second device; `inner` holds its values."""

    inner: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: Tensor) -> OtherTensor:
        made = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        made.inner = inner
        return made

    def tolist(self) -> Any:
        return self.inner.tolist()

    def new_tensor(self, data: Any) -> Tensor:
        return torch.tensor(data, dtype=self.dtype, device=DEVICE)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any, kwargs: Any = None) -> Any:
        raise AssertionError(f"{func} on the other device outside of `other_device`")


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        there = any(isinstance(x, OtherTensor) for x in tensors)
        if there and func.overloadpacket not in _MAY_MIX:
            # As on a GPU, a single number may lie on the CPU.
            for x in tensors:
                assert isinstance(x, OtherTensor) or x.ndim == 0, f"{func} mixes devices"
        target = kwargs.get("device")
        if target is not None:
            there = torch.device(target).type == DEVICE.type
            kwargs["device"] = torch.device("cpu")
        if func.overloadpacket is _ATEN.copy_:
            there = isinstance(args[0], OtherTensor)
        unpacked = tree_map_only(OtherTensor, lambda x: x.inner, (args, kwargs))
        out = func(*unpacked[0], **unpacked[1])
        if not there:
            return out
        out = tree_map_only(Tensor, OtherTensor, out)
        return return_and_correct_aliasing(func, args, kwargs, out)


@contextmanager
def other_device() -> Iterator[torch.device]:
    """For the time of the block there is the second device.

    Raises:
        AssertionError: an operation takes tensors from both.
    """
    autocast, is_enabled, tensor = torch.autocast, torch.is_autocast_enabled, torch.tensor

    def no_autocast(device_type: str, *args: Any, **kwargs: Any) -> Any:
        if device_type == DEVICE.type:
            return nullcontext()
        return autocast(device_type, *args, **kwargs)

    def no_autocast_enabled(device_type: str) -> bool:
        return device_type != DEVICE.type and is_enabled(device_type)

    def made_here(data: Any, *, device: Any = None, **kwargs: Any) -> Tensor:
        made = tensor(data, **kwargs)  # which no mode sees
        return made if device is None else made.to(device)

    with (
        mock.patch("torch.tensor", made_here),
        mock.patch("torch.autocast", no_autocast),
        mock.patch("torch.is_autocast_enabled", no_autocast_enabled),
        mock.patch("torch.inference_mode", torch.no_grad),  # no views of wrapped tensors there
        _Mode(),
    ):
        yield DEVICE
