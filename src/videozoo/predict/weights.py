"""Opens trained weights: a native file, or a folder or archive of the original library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from videozoo.checkpoints.fluid import load_fluid_weights, write_fluid
from videozoo.checkpoints.names import Table, fluid_table, to_fluid
from videozoo.checkpoints.native import (
    NativeCheckpoint,
    check_state_dict,
    kind_of,
    load_native,
    read_native_header,
    save_native,
    sha256_of_weights,
)
from videozoo.config import Experiment, resolve
from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import LABEL_KEYS, Settings
from videozoo.errors import VideozooError
from videozoo.predict.inputs import (
    Classifier,
    build_classifier,
    describe_preprocessing,
    read_eigenvalues,
)
from videozoo.specs import find_spec


@dataclass
class LoadedWeights:
    """A classifier with trained weights and what came with them.

    Attributes:
        classifier: in test mode, on the CPU.
        experiment: the config, the command's or the checkpoint's own.
        labels: class names, where the checkpoint has them.
        path: the weights.
        sha256: of the weights.
    """

    classifier: Classifier
    experiment: Experiment
    labels: list[str] | None
    path: Path
    sha256: str


def eigenvalues_of(settings: Settings) -> Tensor | None:
    """Returns what un-whitens rgb, where the settings name an eigen_file."""
    if not isinstance(settings, FeatureSettings) or settings.whitening is None:
        return None
    if "rgb" not in settings.feature_names:
        return None
    width = settings.feature_dims[settings.feature_names.index("rgb")]
    return read_eigenvalues(settings.whitening, width)


def experiment_of(
    path: Path,
    *,
    overrides: Mapping[tuple[str, str], Any] | None = None,
    flags: Mapping[tuple[str, str], tuple[Any, str]] | None = None,
) -> Experiment:
    """Returns the config that a native checkpoint holds, without reading its tensors."""
    header = read_native_header(path)
    config = header.config
    if header.labels is not None:
        # The names ride in the checkpoint: the file that they came from need not exist any more.
        config = {
            mode: {k: None if k in LABEL_KEYS else v for k, v in keys.items()}
            for mode, keys in config.items()
        }
    return resolve(
        find_spec(header.model).keys, config, source=str(path), overrides=overrides, flags=flags
    )


def load_weights(path: Path, experiment: Experiment | None = None) -> LoadedWeights:
    """Loads weights strictly into the model they are for.

    Args:
        path: a native .safetensors file, or a Fluid folder or .tar.gz.
        experiment: the config; None: the one that a native file holds.

    Raises:
        VideozooError: the weights are missing, of another model, or do not fit; everything that
            does not fit is listed.
    """
    kind = kind_of(path)
    labels: list[str] | None = None
    if kind == "native":
        checkpoint = load_native(path)
        experiment = experiment or experiment_of(path)
        if checkpoint.model != experiment.model:
            raise VideozooError(
                f"{path}: these are weights of {checkpoint.model}, not of {experiment.model}"
            )
        classifier = _empty(experiment["INFER"], _stored_eigenvalues(checkpoint, experiment))
        state = checkpoint.state_dict
        labels = checkpoint.labels
        check_state_dict(classifier.model.state_dict(), state, str(path))
    elif kind == "fluid":
        if experiment is None:
            raise VideozooError(
                f"{path}: a checkpoint of the original library does not say its model;"
                " give --model-name and --config"
            )
        settings = experiment["INFER"]
        classifier = _empty(settings, eigenvalues_of(settings))
        state = load_fluid_weights(
            path, fluid_names(experiment, classifier), classifier.model.state_dict()
        )
    else:
        raise VideozooError(
            f"{path}: is a PyTorch file without a model of videozoo; give it to --pretrain,"
            " or give --weights a .safetensors file or a Fluid folder"
        )
    own = classifier.model.state_dict()
    # Copied, since a native file's tensors are views of the file, which may change.
    state = {key: value.to(own[key].dtype, copy=True) for key, value in state.items()}
    classifier.model.load_state_dict(state, assign=True)
    return LoadedWeights(classifier.eval(), experiment, labels, path, sha256_of_weights(path))


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
    if needed and "eigenvalues" not in checkpoint.extra:
        return eigenvalues_of(experiment["INFER"])
    return checkpoint.extra.get("eigenvalues")


def _empty(settings: Settings, eigenvalues: Tensor | None) -> Classifier:
    """Builds a classifier whose weights have shapes alone: those to load take their place."""
    with torch.device("meta"), _Undrawn():
        return build_classifier(settings, eigenvalues)


def native_checkpoint(
    classifier: Classifier, experiment: Experiment, labels: list[str] | None
) -> NativeCheckpoint:
    """Returns what a native file holds: weights, config, preprocessing and label names."""
    eigenvalues = getattr(classifier.inputs, "eigenvalues", None)
    state = {k: v.detach().cpu().contiguous() for k, v in classifier.model.state_dict().items()}
    return NativeCheckpoint(
        model=experiment.model,
        state_dict=state,
        config=experiment.as_dict(),
        preprocessing=describe_preprocessing(experiment["INFER"]),
        labels=labels,
        extra={} if eigenvalues is None else {"eigenvalues": eigenvalues.detach().cpu()},
    )


def save_weights(
    path: Path, classifier: Classifier, experiment: Experiment, labels: list[str] | None
) -> None:
    """Writes a native file, to a temporary name first."""
    save_native(path, native_checkpoint(classifier, experiment, labels))


def fluid_names(experiment: Experiment, classifier: Classifier) -> Table:
    """Returns the original's variable name of each of the model's weights."""
    settings = experiment["INFER"]
    features = settings.feature_names if isinstance(settings, FeatureSettings) else ()
    return fluid_table(experiment.model, classifier.model, feature_names=features)


def export_fluid(path: Path, weights: LoadedWeights) -> None:
    """Writes weights as a Fluid folder, or a .tar.gz of one."""
    table = fluid_names(weights.experiment, weights.classifier)
    write_fluid(path, to_fluid(weights.classifier.model.state_dict(), table))
