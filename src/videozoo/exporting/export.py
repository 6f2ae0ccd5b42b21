"""`videozoo.export`: weights become files that other programs run, compared before they count."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from videozoo.checkpoints.exports import FORMAT, SUFFIXES
from videozoo.classifier import LoadedWeights
from videozoo.config import Experiment
from videozoo.encoders.find import encoder_of
from videozoo.encoders.recipe import Recipe
from videozoo.engine_choice import export_path
from videozoo.engines import ENGINES, encoder_path, open_engine
from videozoo.errors import FileError, VideozooError
from videozoo.experiments import Weights, open_experiment
from videozoo.exporting.graphs import Graph, encoder_graph, model_graph
from videozoo.exporting.writers import WRITERS, traced
from videozoo.families import family_of
from videozoo.files import make_folder
from videozoo.inputs import open_weights, protocol

MOST = 1e-5  # that engine and PyTorch may differ by, see `_difference`
PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class ExportedFile:
    """A file that was written.

    Attributes:
        path: of it.
        inputs: what it takes, one line an input.
        outputs: names of what it gives.
        difference: the largest that was found between its engine and PyTorch.
    """

    path: Path
    inputs: list[str]
    outputs: list[str]
    difference: float


def export(
    weights: PathLike | Weights,
    format: str = "onnx",
    out: PathLike | None = None,
    *,
    encoder: bool = True,
    model: str | None = None,
    config: str | None = None,
    overrides: Sequence[str] = (),
    experiment: Experiment | None = None,
    console: Console | None = None,
) -> list[ExportedFile]:
    """Writes a model as a graph of float32 that needs no PyTorch, and its encoder beside it.

    The graph runs in its engine and the model in PyTorch, on three sizes: where they differ by more
    than 1e-5 nothing is written. The formats, and what each graph takes: docs/export.md.

    Args:
        weights: a path, or a name of the zoo.
        format: "onnx", "pt2" or "openvino".
        out: the file; None: beside the weights, named like them.
        encoder: write the encoder of a model of rows too, as NAME.encoder.onnx.
        model: the model's name; None: the weights'.
        config: the config file; None: the weights' own, else the one that comes with the model.
        overrides: config keys, such as "INFER.seg_num=25".
        experiment: a config that is resolved already, in place of the three before.
        console: where to tell what is done; None: nowhere.

    Returns:
        The files, the model first.

    Raises:
        VideozooError: there is no such format, its libraries are missing, the weights do not fit,
            or the difference is too large.
    """
    if format not in WRITERS:
        raise VideozooError(f"format '{format}': known are {', '.join(WRITERS)}")
    console = console or Console(quiet=True)
    named = weights if isinstance(weights, Weights) else Weights.named(os.fspath(weights))
    if named.kind == "export":
        raise VideozooError(f"{named.given}: is an export itself; give the checkpoint")
    experiment = experiment or open_experiment(model, config, weights=named, overrides=overrides)
    loaded = open_weights(named, experiment)
    target = _target(named, loaded, format, out)
    for file in (target, encoder_path(target)):
        if file.is_dir():
            raise VideozooError(f"{file}: is a folder; give --out another file")
    make_folder(target.parent)
    graphs = {target: model_graph(loaded.classifier, family_of(experiment["INFER"]))}
    recipe = loaded.classifier.recipe
    if recipe is not None and encoder:
        graphs[encoder_path(target)] = encoder_graph(encoder_of(recipe, torch.device("cpu")))
    return _write_all(graphs, format, _description(loaded, experiment, format), console)


def _write_all(
    graphs: dict[Path, Graph], format: str, told: dict[str, Any], console: Console
) -> list[ExportedFile]:
    """Writes graphs to the paths that they have: all of them, or none."""
    folder, found = next(iter(graphs)).parent, []
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export.") as drafts:
        for path, graph in graphs.items():
            console.print(f"tracing and comparing the {graph.part} ...", highlight=False)
            try:
                difference = _written(Path(drafts) / path.name, graph, format, told)
            except FileError as error:
                raise FileError(path, error.reason) from error
            inputs = [str(one) for one in graph.inputs]
            found.append(ExportedFile(path, inputs, graph.outputs, difference))
        for draft in sorted(Path(drafts).iterdir()):  # .bin before .xml
            os.replace(draft, folder / draft.name)
    return found


def _target(named: Weights, loaded: LoadedWeights, format: str, out: PathLike | None) -> Path:
    suffix = SUFFIXES[format]
    if out is None:
        beside = export_path(loaded.path, format)
        return beside if named.given == str(loaded.path) else Path(beside.name)
    if Path(out).suffix.lower() != suffix:
        raise VideozooError(f"{os.fspath(out)}: a file of {format} ends in {suffix}")
    return Path(out)


def _written(path: Path, graph: Graph, format: str, told: dict[str, Any]) -> float:
    """Writes a graph and compares it; returns the largest difference.

    Raises:
        VideozooError: it is too large.
    """
    program = traced(graph)
    text = json.dumps(
        told
        | {
            "part": graph.part,
            "inputs": [one.as_dict() for one in graph.inputs],
            "outputs": graph.outputs,
        }
    )
    WRITERS[format](path, graph, program, text)
    difference = _difference(path, graph, format)
    if not difference <= MOST:
        raise FileError(
            path,
            f"the {graph.part} in {ENGINES[format]} differs from PyTorch's by {difference:.1e},"
            f" more than {MOST:g}; nothing is written",
        )
    return difference


def _difference(path: Path, graph: Graph, format: str) -> float:
    """Returns the largest difference between a file in its engine and PyTorch, over all sizes.

    It is relative to the largest value of a row where that is above 1, as rounding is.
    """
    run = open_engine(path, format, [one.name for one in graph.inputs])
    largest = 0.0
    for sizes in graph.sizes:
        example = graph.example(sizes)
        with torch.no_grad():
            pairs = zip(run(example), graph.reference(*example), strict=True)
            for found, wanted in pairs:
                scale = wanted.abs().amax(dim=1, keepdim=True).clamp(min=1.0)  # [B, 1]
                off = (found - wanted).abs() / scale
                largest = max(largest, float(off.nan_to_num(torch.inf).max()))
    return largest


def _description(loaded: LoadedWeights, experiment: Experiment, format: str) -> dict[str, Any]:
    """Returns what files say about themselves; `checkpoints.native` and `engines` read it."""
    recipe, calibration = loaded.classifier.recipe, loaded.classifier.calibration
    config = experiment.as_dict()
    for mode in config.values():
        mode["precision"] = "32"
    thresholds = calibration.thresholds
    return {
        "format": FORMAT,
        "model": experiment.model,
        "config": config,
        "preprocessing": family_of(experiment["INFER"]).describe(),
        "labels": loaded.labels,
        "recipe": None if recipe is None else recipe.as_dict(),
        "encoder_carried": recipe is not None and recipe.packed is not None,
        "scale": {} if recipe is None else _scale(recipe),
        "multi_label": loaded.classifier.multi_label,
        "calibration": {
            "temperature": calibration.temperature,
            "thresholds": None if thresholds is None else thresholds.tolist(),
        },
        "protocol": protocol(loaded, experiment, "INFER")
        | {
            "weights": loaded.path.name,
            "config": Path(experiment.source).name,
            "precision": "32",
            "engine": ENGINES[format],
        },
    }


def _scale(recipe: Recipe) -> dict[str, Any]:
    """Returns the numbers by which rows become bytes: the shortest that give the same floats."""
    return {
        name: {
            part: [float(str(value)) for value in getattr(quantiser, part)]
            for part in ("centre", "reach")
        }
        for name, quantiser in recipe.scale.items()
    }
