"""TSN's forward in ONNX Runtime and in paddle.inference, with the weights and clips of ours.

PyTorch is not loaded where these run: every library brings its own threads. `write_tsn` writes
what they need, in a process of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from models_peers import THREADS, Passes, Work, made_inputs, made_model, two_threads

CLIPS, WEIGHTS, ONNX = "clips.npy", "weights.npz", "tsn.onnx"


def write_tsn(folder: Path, work: Work, *, onnx: bool) -> None:
    """Writes clips and weights as numpy files, and if wanted the model for ONNX Runtime."""
    process = multiprocessing.get_context("spawn").Process(
        target=_write_tsn, args=(folder, work, onnx)
    )
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("TSN could not be written for ONNX Runtime and paddle.inference")


def _write_tsn(folder: Path, work: Work, onnx: bool) -> None:
    import torch

    model, (clips,) = made_model("TSN", training=False), made_inputs(work)
    np.save(folder / CLIPS, clips.numpy())
    np.savez(folder / WEIGHTS, **{k: v.numpy() for k, v in model.state_dict().items()})
    if onnx:
        with warnings.catch_warnings(), torch.inference_mode():
            warnings.simplefilter("ignore")  # this exporter is old, and needs no further package
            torch.onnx.export(
                model, (clips,), str(folder / ONNX), dynamo=False, input_names=["clips"]
            )


class OnnxRuntime(Passes):
    """All graph optimisations: it folds batch norms, adds shortcuts and cuts in the convolution."""

    def __init__(self, folder: Path) -> None:
        two_threads()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        self.session = onnxruntime.InferenceSession(
            str(folder / ONNX), options, providers=["CPUExecutionProvider"]
        )
        self.clips = np.load(folder / CLIPS)

    def once(self) -> None:
        (self.logits,) = self.session.run(None, {"clips": self.clips})

    def answers(self) -> list[np.ndarray]:
        return [self.logits]


class Paddle(Passes):
    """paddle.inference with oneDNN; Paddle's own ResNet-50 with our weights.

    Args:
        folder: holds clips and weights; the model is written there.
        precision: "32" or "bf16".
    """

    def __init__(self, folder: Path, precision: str) -> None:
        two_threads()
        self.clips = np.load(folder / CLIPS)
        with silence():
            self._prepare(folder, precision)

    def _prepare(self, folder: Path, precision: str) -> None:
        from paddle import inference

        path = save_paddle(folder / f"paddle{precision}", self.clips.shape, folder / WEIGHTS)
        config = inference.Config(f"{path}.json", f"{path}.pdiparams")
        config.disable_gpu()
        config.disable_glog_info()
        config.set_cpu_math_library_num_threads(THREADS)
        config.switch_ir_optim(True)
        config.enable_mkldnn()
        if precision == "bf16":
            config.enable_mkldnn_bfloat16()
        self.predictor = inference.create_predictor(config)
        (given,) = self.predictor.get_input_names()
        (result,) = self.predictor.get_output_names()
        self.input = self.predictor.get_input_handle(given)
        self.output = self.predictor.get_output_handle(result)
        self.input.reshape(self.clips.shape)
        self.once()  # makes remarks, too

    def once(self) -> None:
        self.input.copy_from_cpu(self.clips)
        self.predictor.run()
        self.logits = self.output.copy_to_cpu()

    def answers(self) -> list[np.ndarray]:
        return [self.logits]


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Keeps the library's remarks to itself; what goes wrong is raised."""
    kept = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for place in (1, 2):
            os.dup2(nowhere, place)
        yield
    finally:
        ctypes.CDLL(None).fflush(None)  # what C has printed, it may still hold
        for place, old in enumerate(kept, start=1):
            os.dup2(old, place)
        for opened in (nowhere, *kept):
            os.close(opened)


def save_paddle(path: Path, shape: tuple[int, ...], weights: Path) -> Path:
    """Saves Paddle's TSN of clips of this shape [B, T, 3, H, W] as its users do."""
    import paddle
    from paddle.vision.models import resnet50

    class TSN(paddle.nn.Layer):  # type: ignore[misc]
        def __init__(self, num_classes: int) -> None:
            super().__init__()
            self.backbone = resnet50(num_classes=0, with_pool=True)
            self.fc = paddle.nn.Linear(2048, num_classes)

        def forward(self, clips: Any) -> Any:
            x = self.backbone(clips.reshape([-1, *shape[2:]]))  # [B * T, 2048, 1, 1]
            return self.fc(x.reshape([-1, shape[1], 2048]).mean(axis=1))  # [B, K]

    stored = np.load(weights)
    state = {paddle_name(n): stored[n] for n in stored.files if "num_batches" not in n}
    state["fc.weight"] = state["fc.weight"].T
    model = TSN(len(state["fc.bias"]))
    missing, unexpected = model.set_state_dict(state)
    if missing or unexpected:
        raise ValueError(f"weights without a counterpart: {[*missing, *unexpected]}")
    model.eval()
    paddle.jit.save(model, str(path), input_spec=[paddle.static.InputSpec(shape, "float32")])
    return path


def paddle_name(name: str) -> str:
    """Returns what Paddle calls a parameter of PyTorch's."""
    return name.replace("running_mean", "_mean").replace("running_var", "_variance")
