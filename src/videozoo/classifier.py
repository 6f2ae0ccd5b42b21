"""A classifier: preprocessing and model in one, with its weights and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from videozoo.calibration import Calibration, stored_calibration
from videozoo.checkpoints.backbones import whole_state_dict
from videozoo.checkpoints.checksum import sha256_of_weights
from videozoo.checkpoints.fluid import load_fluid_weights, write_fluid
from videozoo.checkpoints.names import Table, to_fluid
from videozoo.checkpoints.native import (
    NativeCheckpoint,
    check_state_dict,
    kind_of,
    load_native,
    read_native_header,
    save_native,
)
from videozoo.config import Experiment
from videozoo.config.keys import Settings
from videozoo.encoders.recipe import CARRIED, Recipe, carried_recipe
from videozoo.engines import BatchTensors, engine_of, open_exported
from videozoo.errors import VideozooError
from videozoo.families import family_of
from videozoo.models.cpu import for_inference
from videozoo.models.layers import full_precision
from videozoo.specs import SPECS, stored_experiment


class Classifier(nn.Module):
    """Preprocessing and model in one: a batch of uint8 in, logits out.

    Args:
        inputs: the preprocessing.
        model: one of the models of videozoo.specs.
        multi_label: scores are sigmoids, a video may have many classes; else softmax.
        calibration: of the scores.

    Attributes:
        recipe: how videos become the rows that the model takes; None: it takes none of those.
    """

    recipe: Recipe | None = None

    def __init__(
        self,
        *,
        inputs: nn.Module,
        model: nn.Module,
        multi_label: bool,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.inputs = inputs
        self.model = model
        self.multi_label = multi_label
        self.calibration = calibration or Calibration()

    def forward(self, batch: Any) -> Tensor:
        """Returns logits, float [B, K]."""
        return cast(Tensor, self.model(*self.arguments(batch)))

    def arguments(self, batch: Any) -> tuple[Any, ...]:
        """Returns what the model takes of a batch, in its own precision."""
        arguments: tuple[Any, ...] = self.inputs(batch)
        first = next(self.model.parameters(), None)
        if first is not None and first.dtype == torch.float64:
            arguments = _doubled(arguments)
        return arguments

    def scores(self, logits: Tensor) -> Tensor:
        """Returns scores between 0 and 1, float32 (float64 of such logits) [B, K]."""
        logits = self.calibration.scaled(full_precision(logits))
        return logits.sigmoid() if self.multi_label else logits.softmax(dim=1)

    def for_inference(self, precision: str) -> Classifier:
        """Returns a copy that computes the same scores fastest: in test mode, norms folded.

        Args:
            precision: '32', '64', or 'bf16' to be run in `autocast`.
        """
        model = self.model
        if precision == "64":
            model = deepcopy(model).double().eval()
        else:
            dtype = torch.bfloat16 if precision == "bf16" else torch.float32
            model = for_inference(model, dtype=dtype)
        return self.with_model(model).eval()

    def with_model(self, model: nn.Module) -> Classifier:
        """Returns a classifier that differs in its model alone."""
        copy = Classifier(
            inputs=self.inputs,
            model=model,
            multi_label=self.multi_label,
            calibration=self.calibration,
        )
        copy.recipe = self.recipe
        return copy


def _doubled(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    return type(value)(_doubled(each) for each in value)


def build_classifier(settings: Settings, eigenvalues: Tensor | None = None) -> Classifier:
    """Builds the model that `settings` describe, with random weights.

    Args:
        settings: of any mode.
        eigenvalues: float32 [D] that un-whiten rgb; see families.features.FeatureInputs.
    """
    return Classifier(
        inputs=family_of(settings).inputs(eigenvalues),
        model=SPECS[settings.NAME].build(settings),
        multi_label=settings.multi_label,
    )


@dataclass
class LoadedWeights:
    """A classifier with trained weights and what came with them.

    Attributes:
        classifier: in test mode, on the CPU.
        experiment: the config, the command's or the checkpoint's own.
        labels: class names, where the checkpoint has them.
        path, sha256: of the weights.
        engine: what computes the logits: torch, onnxruntime or openvino.
    """

    classifier: Classifier
    experiment: Experiment
    labels: list[str] | None
    path: Path
    sha256: str
    engine: str = "torch"


def experiment_of(
    path: Path,
    *,
    overrides: Mapping[tuple[str, str], Any] | None = None,
    flags: Mapping[tuple[str, str], tuple[Any, str]] | None = None,
) -> Experiment:
    """Returns the config that a native checkpoint holds, without reading its tensors.

    Args:
        path: the checkpoint.
        overrides: what --set gave, by (section, key).
        flags: see config.resolve.

    Raises:
        VideozooError: it is none, or its config has faults.
    """
    header = read_native_header(path)
    return stored_experiment(header, source=str(path), overrides=overrides, flags=flags)


def load_weights(
    path: Path, experiment: Experiment | None = None, *, of: tuple[Path, str] | None = None
) -> LoadedWeights:
    """Loads weights strictly into the model they are for.

    Args:
        path: a native .safetensors file, what `videozoo export` made of one, a Fluid folder,
            .tar.gz or .pdparams, or a state dict of PyTorch.
        experiment: the config; None: the one that a native or an exported file holds.
        of: the weights in whose place an export scores, and their SHA-256.

    Raises:
        VideozooError: the weights are missing, of another model, or do not fit; everything that
            does not fit is listed.
    """
    kind = kind_of(path)
    if kind == "export":
        return _exported(path, experiment or experiment_of(path), of)
    labels: list[str] | None = None
    if kind == "native":
        checkpoint = load_native(path)
        experiment = experiment or experiment_of(path)
        if checkpoint.model != experiment.model:
            raise VideozooError(
                f"{path}: these are weights of {checkpoint.model}, not of {experiment.model}"
            )
        classifier = _empty(experiment["INFER"], _stored_eigenvalues(checkpoint, experiment))
        state, labels = checkpoint.state_dict, checkpoint.labels
        check_state_dict(classifier.model.state_dict(), state, str(path))
        classifier.recipe = carried_recipe(checkpoint, path)
        many = experiment["INFER"].num_classes
        classifier.calibration = stored_calibration(checkpoint.extra, num_classes=many, path=path)
    else:
        if experiment is None:
            what = "a checkpoint of Fluid" if kind == "fluid" else "a state dict of PyTorch"
            raise VideozooError(
                f"{path}: {what} does not say its model; give --model-name and --config"
            )
        settings = experiment["INFER"]
        classifier = _empty(settings, family_of(settings).eigenvalues())
        if kind == "fluid":
            table = fluid_names(experiment, classifier.model)
            state = load_fluid_weights(path, table, classifier.model.state_dict())
        else:
            state = whole_state_dict(path, classifier.model.state_dict())
    own = classifier.model.state_dict()
    # Copied, since a native file's tensors are views of the file, which may change.
    state = {key: value.to(own[key].dtype, copy=True) for key, value in state.items()}
    classifier.model.load_state_dict(state, assign=True)
    return LoadedWeights(classifier.eval(), experiment, labels, path, sha256_of_weights(path))


def _exported(path: Path, experiment: Experiment, of: tuple[Path, str] | None) -> LoadedWeights:
    found, many = open_exported(path, experiment), experiment["INFER"].multi_label
    classifier = Classifier(
        inputs=BatchTensors(), model=found.model, multi_label=many, calibration=found.calibration
    )
    classifier.recipe = found.recipe
    whose = of or (path, sha256_of_weights(path))
    return LoadedWeights(classifier, experiment, found.labels, *whose, engine_of(path))


class _Undrawn(TorchFunctionMode):
    """Leaves weights undrawn: on "meta", drawing imports PyTorch's compiler, which takes 1.5 s."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in ("normal_", "uniform_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def _stored_eigenvalues(checkpoint: NativeCheckpoint, experiment: Experiment) -> Tensor | None:
    """Returns what un-whitens rgb: the checkpoint's, or eigen_file's where it was made without."""
    needed = checkpoint.config.get("INFER", {}).get("eigen_file") is not None
    if not needed or "eigenvalues" in checkpoint.extra:
        return checkpoint.extra.get("eigenvalues")
    return family_of(experiment["INFER"]).eigenvalues()


def _empty(settings: Settings, eigenvalues: Tensor | None) -> Classifier:
    """Builds a classifier whose weights have shapes alone: those to load take their place."""
    with torch.device("meta"), _Undrawn():
        return build_classifier(settings, eigenvalues)


def native_checkpoint(
    classifier: Classifier, experiment: Experiment, labels: list[str] | None
) -> NativeCheckpoint:
    """Returns what a native file holds: weights, config, preprocessing and label names."""
    eigenvalues = getattr(classifier.inputs, "eigenvalues", None)
    extra = {} if eigenvalues is None else {"eigenvalues": eigenvalues.detach().cpu()}
    recipe = classifier.recipe
    if recipe is not None:
        extra |= {CARRIED + key: value for key, value in recipe.tensors().items()}
    state = {k: v.detach().cpu().contiguous() for k, v in classifier.model.state_dict().items()}
    return NativeCheckpoint(
        model=experiment.model,
        state_dict=state,
        config=experiment.as_dict(),
        preprocessing=family_of(experiment["INFER"]).describe(),
        labels=labels,
        recipe=None if recipe is None else recipe.as_dict(),
        extra=extra | classifier.calibration.tensors(),
    )


def save_weights(
    path: Path, classifier: Classifier, experiment: Experiment, labels: list[str] | None
) -> None:
    """Writes a native file; one of that name is replaced at once or stays whole."""
    save_native(path, native_checkpoint(classifier, experiment, labels))


def fluid_names(experiment: Experiment, model: nn.Module) -> Table:
    """Returns the original's variable name of each of the model's weights.

    Raises:
        VideozooError: the model is none of the original's.
    """
    spec = SPECS[experiment.model]
    if spec.fluid_names is None:
        raise VideozooError(f"{spec.name} is no model of the original: it has no names there")
    return spec.fluid_names(model, experiment["INFER"])


def export_fluid(path: Path, weights: LoadedWeights) -> None:
    """Writes weights as a Fluid folder, or a .tar.gz of one: it has no place for a calibration."""
    model = weights.classifier.model
    write_fluid(path, to_fluid(model.state_dict(), fluid_names(weights.experiment, model)))
