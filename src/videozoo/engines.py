"""Exported files as models: the engine that runs a file, what the file takes, what it means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from videozoo.calibration import Calibration, stored_calibration
from videozoo.checkpoints.exports import SUFFIXES, GraphInput, export_text
from videozoo.checkpoints.native import read_native_header
from videozoo.checkpoints.pt2 import check_pt2
from videozoo.config import Experiment
from videozoo.encoders.encoder import Encoder
from videozoo.encoders.recipe import MOVES, OPENED, SOUND, Recipe
from videozoo.errors import FileError, VideozooError, brief
from videozoo.extras import EXPORT, imported
from videozoo.reading import parse_json

ENGINES = {"onnx": "onnxruntime", "openvino": "openvino", "pt2": "torch"}  # what runs each form
_PRECISIONS = {"onnxruntime": ["32"], "openvino": ["32", "bf16"], "torch": ["32"]}
Run = Callable[[Sequence[Tensor]], list[Tensor]]
_CLIPS_AT_ONCE = 16  # images: memory does not grow with a protocol of many views


def open_engine(path: Path, form: str, inputs: Sequence[str], precision: str = "32") -> Run:
    """Opens a file in its engine, on the CPU.

    Args:
        path: written by `videozoo export`.
        form: "onnx", "pt2" or "openvino".
        inputs: names of the tensors that it takes.
        precision: what `engine_precision` gave.

    Returns:
        Takes the tensors, returns float32 tensors, all on the CPU.

    Raises:
        VideozooError: the engine is not installed, or cannot open the file.
    """
    try:
        if form == "openvino":
            return _openvino(path, inputs, precision)
        return _pt2(path, inputs) if form == "pt2" else _onnx(path, inputs)
    except VideozooError:
        raise
    except Exception as error:  # each engine has its own kinds
        reason = str(error).strip().partition("\n")[0][:200]
        raise FileError(path, f"cannot be opened by {ENGINES[form]} ({reason})") from error


def _onnx(path: Path, inputs: Sequence[str]) -> Run:
    runtime = imported("onnxruntime", str(path), EXPORT)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        feed = {name: t.contiguous().numpy() for name, t in zip(inputs, tensors, strict=True)}
        return [torch.from_numpy(np.array(found)) for found in session.run(None, feed)]

    return run


def _openvino(path: Path, inputs: Sequence[str], precision: str) -> Run:
    openvino = imported("openvino", str(path), EXPORT)
    # left alone it computes in bfloat16 where the processor does, 1e-3 off
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    compiled = openvino.Core().compile_model(str(path), "CPU", hints)

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        feed = {name: t.contiguous().numpy() for name, t in zip(inputs, tensors, strict=True)}
        found = compiled(feed)
        return [torch.from_numpy(np.array(found[output])) for output in compiled.outputs]

    return run


def _pt2(path: Path, inputs: Sequence[str]) -> Run:
    check_pt2(path)
    module = torch.export.load(str(path)).module()

    def run(tensors: Sequence[Tensor]) -> list[Tensor]:
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            return [t.clone() for t in module(*(t.clone() for t in tensors))]

    return run


class EngineModel(nn.Module):
    """A model that an engine runs: bytes in, logits out; it holds no weights of its own.

    Args:
        run: what `open_engine` gave; its first output is the logits.
        inputs: what it takes.
        path: the file, for messages.
    """

    def __init__(self, run: Run, inputs: Sequence[GraphInput], path: Path) -> None:
        super().__init__()
        self._run, self._inputs, self._path = run, tuple(inputs), path

    def forward(self, *tensors: Tensor) -> Tensor:
        """Returns logits, float32 [B, K], on the device of the tensors.

        Raises:
            VideozooError: a tensor is not what the graph takes.
        """
        for wanted, tensor in zip(self._inputs, tensors, strict=True):
            if not wanted.takes(tensor):
                raise VideozooError(
                    f"{self._path}: takes {wanted}, but the config makes {list(tensor.shape)};"
                    " leave sizes as the file has them, or export the checkpoint anew with them"
                )
        return self._run([tensor.cpu() for tensor in tensors])[0].to(tensors[0].device)

    def images_at_once(self, device: torch.device) -> int:
        """Returns how many images of a long batch are best taken at once."""
        return _CLIPS_AT_ONCE

    def __deepcopy__(self, memo: dict[int, Any]) -> EngineModel:
        return self  # there is nothing to fold or to lay out anew


class BatchTensors(nn.Module):
    """The preprocessing of an exported model: none, it takes the bytes of a batch."""

    def forward(self, batch: Any) -> tuple[Tensor, ...]:
        """Returns the tensors of a batch."""
        tensors: tuple[Tensor, ...] = batch.tensors
        return tensors


class EngineEncoder(Encoder):
    """An encoder that an engine runs, opened when it is first asked.

    Args:
        recipe: whose rows it makes.
        model: the file of the model; the encoder's lies beside it.
    """

    def __init__(self, recipe: Recipe, model: Path) -> None:
        self.name, self.sha256 = recipe.encoder, recipe.sha256
        self.dims = {k: dim for k, dim in recipe.dims.items() if k not in (SOUND, MOVES)}
        self.framing, self.window = recipe.framing, recipe.window
        self.batch = max(1, 64 // self.window) if self.window > 1 else Encoder.batch
        self._path = encoder_path(model)
        self._run: Run | None = None

    def __call__(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Encodes uint8 [n, window, 3, H, W]; see Encoder.

        Raises:
            VideozooError: the file is missing, or not the encoder's.
        """
        if self._run is None:
            if not self._path.is_file():
                raise FileError(
                    self._path, "is missing: it makes the rows that the model beside it takes"
                )
            self._run = open_engine(self._path, _form_of(self._path), ["frames"])
        return tuple(self._run([frames.cpu()]))


def encoder_path(model: Path) -> Path:
    """Returns where the encoder of an exported model lies."""
    return model.with_suffix(f".encoder{model.suffix}")


def engine_of(path: Path) -> str:
    """Returns what runs an exported file."""
    return ENGINES[_form_of(path)]


def engine_precision(engine: str, experiment: Experiment) -> str | None:
    """Returns the precision in which an engine does what test and infer ask for; None: it cannot.

    A file is opened once for both, so they must ask for the same.
    """
    asked = {experiment[mode].precision for mode in ("TEST", "INFER")}
    return asked.pop() if len(asked) == 1 and asked <= set(_PRECISIONS[engine]) else None


def _form_of(path: Path) -> str:
    return next(form for form, suffix in SUFFIXES.items() if suffix == path.suffix.lower())


@dataclass(frozen=True)
class ExportedModel:
    """What an exported file holds beside its config.

    Attributes:
        model: runs it.
        labels: class names.
        recipe: how videos become the rows that it takes; None: it takes none of those.
        calibration: of its scores.
    """

    model: EngineModel
    labels: list[str] | None
    recipe: Recipe | None
    calibration: Calibration


def open_exported(path: Path, experiment: Experiment) -> ExportedModel:
    """Opens a file that `videozoo export` wrote.

    Args:
        path: .onnx, .pt2 or .xml.
        experiment: the config.

    Raises:
        VideozooError: it is damaged, no model or another one, its engine is not installed, or the
            config asks for another precision.
    """
    header = read_native_header(path)
    if header.model != experiment.model:
        raise FileError(path, f"holds a {header.model}, not a {experiment.model}")
    precision = engine_precision(engine_of(path), experiment)
    if precision is None:
        known = " or ".join(_PRECISIONS[engine_of(path)])
        raise FileError(
            path,
            f"computes in precision {known}, test and infer in the same one; leave precision out,"
            " then it is 32",
        )
    description = parse_json(export_text(path) or "{}")
    if description.get("part") != "model":
        kind = brief(description.get("part"))
        raise FileError(path, f"is the {kind} of an export; give the model beside it")
    try:
        inputs = [GraphInput.of(value) for value in description["inputs"]]
        given = description["calibration"]
        thresholds = given["thresholds"]
        calibration = Calibration(
            float(given["temperature"]), None if thresholds is None else torch.tensor(thresholds)
        )
        recipe = _recipe_of(description)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(path, f"its description is damaged ({error})") from None
    calibration = stored_calibration(
        calibration.tensors(), num_classes=experiment["INFER"].num_classes, path=path
    )
    if recipe is not None and description.get("encoder_carried") is True:
        recipe = replace(recipe, packed={OPENED: EngineEncoder(recipe, path)})
    names = [one.name for one in inputs]
    run = open_engine(path, _form_of(path), names, precision)
    return ExportedModel(EngineModel(run, inputs, path), header.labels, recipe, calibration)


def _recipe_of(description: Mapping[str, Any]) -> Recipe | None:
    if description["recipe"] is None:
        return None
    tensors = {
        f"scale.{name}.{part}": torch.tensor(values, dtype=torch.float32)
        for name, scale in description["scale"].items()
        for part, values in scale.items()
    }
    recipe = Recipe.from_parts(description["recipe"], tensors)
    for name, scale in recipe.scale.items():
        if not len(scale.centre) == len(scale.reach) == recipe.dims[name]:
            raise ValueError(f"the scale of {name} has not {recipe.dims[name]} values")
    return recipe
