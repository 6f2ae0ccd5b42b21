"""A network compiled by OpenVINO, which runs convolutions on a CPU faster than PyTorch does.

It is used where it is installed; nothing needs it.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn


def openvino_is_installed() -> bool:
    """Says whether OpenVINO can be imported; it is not imported for that."""
    return find_spec("openvino") is not None


class OpenVinoEngine:
    """Computes what a module computes, one image a request, as many at once as there are threads.

    Args:
        module: in test mode, on the CPU; uint8 [1, 3, H, W] -> some tensors [1, ...].
        size: H and W.
        bfloat16: computes in bfloat16 where the processor does; else in float32.
    """

    def __init__(self, module: nn.Module, size: tuple[int, int], *, bfloat16: bool) -> None:
        import openvino

        shape = [1, 3, *size]
        model = openvino.convert_model(
            module,
            example_input=torch.zeros(shape, dtype=torch.uint8),
            input=[(shape, openvino.Type.u8)],
        )
        hints = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        self._compiled: Any = openvino.Core().compile_model(model, "CPU", hints)
        self._queue: Any = openvino.AsyncInferQueue(self._compiled)
        self._queue.set_callback(self._keep)
        self._found: list[tuple[Tensor, ...]] = []

    def __call__(self, images: Tensor) -> tuple[Tensor, ...]:
        """Takes uint8 [n, 3, H, W] of the CPU; returns float32 [n, ...] of each output."""
        self._found = [()] * len(images)
        for number, image in enumerate(images):
            self._queue.start_async([image[None].numpy()], number)
        self._queue.wait_all()  # raises what went wrong in a request
        return tuple(torch.cat(parts) for parts in zip(*self._found, strict=True))

    def _keep(self, request: Any, number: int) -> None:
        outputs = range(len(self._compiled.outputs))
        # A request's memory is written anew by the next one.
        self._found[number] = tuple(
            torch.from_numpy(request.get_output_tensor(i).data.copy()) for i in outputs
        )
