"""What scores: PyTorch, or the engine of an export that lies beside the weights."""

from __future__ import annotations

from importlib.util import find_spec as find_module
from pathlib import Path
from typing import Any, NamedTuple, get_args

from videozoo.checkpoints.checksum import sha256_of_weights
from videozoo.checkpoints.exports import SUFFIXES, export_text
from videozoo.checkpoints.native import kind_of, read_native_header
from videozoo.config import Experiment
from videozoo.distributed import choose_device, is_first_process
from videozoo.engines import ENGINES, encoder_path, engine_of, engine_precision
from videozoo.errors import FileError, VideozooError, as_given
from videozoo.experiments import Engine
from videozoo.families import family_of
from videozoo.reading import parse_json
from videozoo.specs import SPECS, stored_experiment
from videozoo.terminal import Terminal

CHOICES: tuple[str, ...] = get_args(Engine)
_MODES = ("TEST", "INFER")
_NAMES = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
_FORMS = {engine: form for form, engine in ENGINES.items()}


class Export(NamedTuple):
    """An export, and the SHA-256 of the weights that it was made of."""

    path: Path
    weights_sha256: str


def export_path(weights: Path, form: str) -> Path:
    """Returns where the export of weights lies that nobody has named."""
    name = weights.name.removesuffix(".tar.gz").removesuffix(".safetensors")
    return weights.with_name(name.removesuffix(".pth").removesuffix(".pt") + SUFFIXES[form])


def chosen_export(weights: Path, experiment: Experiment, engine: str | None) -> Export | None:
    """Returns the export that scores in place of weights; None: PyTorch does.

    Args:
        weights: a checkpoint, or an export, which is scored by its own engine.
        experiment: the config.
        engine: one of CHOICES; "auto": an export that lies there, was made of these weights with
            this config and scores as fast as PyTorch or faster, on a CPU and in the same precision;
            None: PyTorch, or whatever scores an export that is given.

    Raises:
        VideozooError: the engine has nothing to score with, or is none.
    """
    if engine is None:
        return None
    if engine not in CHOICES:
        raise VideozooError(f"engine '{engine}': known are {', '.join(CHOICES)}")
    if kind_of(weights) == "export":
        own = engine_of(weights)
        if engine not in ("auto", own):
            raise FileError(weights, f"is scored by {own}, not by {engine}; give the checkpoint")
        return None
    if engine != "auto":
        return None if engine == "torch" else _checked(weights, experiment, engine)
    for fast in SPECS[experiment.model].fast_engines:
        path = export_path(weights, _FORMS[fast])
        if engine_precision(fast, experiment) is None or not path.is_file():
            continue
        if choose_device(experiment["INFER"].use_gpu).type != "cpu":
            continue
        console = Terminal(stderr=True, highlight=False, soft_wrap=True)
        console.quiet = not is_first_process()
        try:
            if find_module(fast) is None:
                raise FileError(path, f"needs {fast}, which is not installed")
            found = _checked(weights, experiment, fast)
        except VideozooError as error:
            console.print(f"PyTorch scores: {error}")
            continue
        console.print(f"{_NAMES[fast]} scores, with {as_given(found.path)}")
        return found
    return None


def _checked(weights: Path, experiment: Experiment, engine: str) -> Export:
    """Returns the export of weights that an engine takes.

    Raises:
        VideozooError: it is missing, or was made of other weights or with another config.
    """
    form = _FORMS[engine]
    path = export_path(weights, form)
    anew = f"videozoo export --weights {as_given(weights)} --format {form}"
    if not path.is_file():
        raise FileError(path, f"is missing; {anew} writes it")
    header = read_native_header(path)
    told = parse_json(export_text(path) or "{}")
    made_of, sha256 = told.get("protocol"), sha256_of_weights(weights)
    if not isinstance(made_of, dict) or made_of.get("weights_sha256") != sha256:
        raise FileError(path, f"was made of other weights; {anew} makes it anew")
    stored = stored_experiment(header, source=str(path))
    if any(_graph(stored, mode) != _graph(experiment, mode) for mode in _MODES):
        raise FileError(path, f"was made with another config; {anew} makes it anew with this one")
    if told.get("encoder_carried") is True and not encoder_path(path).is_file():
        raise FileError(encoder_path(path), f"is missing; {anew} writes it")
    return Export(path, sha256)


def _graph(experiment: Experiment, mode: str) -> list[Any]:
    """Returns what decides the graph of a mode."""
    settings = experiment[mode]
    keys = (*settings.MODEL_KEYS, *settings.INPUT_KEYS, "multi_label")
    return [family_of(settings).graph_inputs(), *(getattr(settings, key) for key in keys)]
