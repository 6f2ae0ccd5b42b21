"""Opening the inputs that commands share: everything named is checked before work starts."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from videozoo.cli.weights import (
    is_native,
    model_inside,
    names_to_pull,
    open_weights,
    to_pull,
)
from videozoo.config import Experiment, load_experiment
from videozoo.config.clip_keys import ClipSettings
from videozoo.config.ini import parse_overrides
from videozoo.config.keys import Settings
from videozoo.errors import Faults, VideozooError
from videozoo.processes import is_first_process
from videozoo.specs import find_spec, model_of_file_name, named_model
from videozoo.zoo.archives import VideoWeights
from videozoo.zoo.resolve import find_weights

if TYPE_CHECKING:
    import torch

    from videozoo.predict.samples import Samples
    from videozoo.predict.weights import LoadedWeights

_SAID: set[str] = set()  # sentences that are said once a process
_WORTH_TELLING = 1.0  # seconds of indexing
DEFAULT_MODEL = "AttentionCluster"
Flags = Mapping[tuple[str, str], tuple[Any, str]]


def flags_of(mode: str, **values: tuple[Any, str] | None) -> dict[tuple[str, str], tuple[Any, str]]:
    """Returns the flags that were given, as config.resolve takes them.

    Args:
        mode: the section that the flags change.
        **values: (value, flag) by config key; a value of None was not given.
    """
    return {
        (mode, key): value
        for key, value in values.items()
        if value is not None and value[0] is not None
    }


def open_experiment(
    model_name: str | None,
    config: str | None,
    *,
    weights: str | None = None,
    overrides: Sequence[str] = (),
    flags: Flags | None = None,
) -> Experiment:
    """Returns the config that a command runs with.

    It is the file given; without one the native checkpoint's own; else the model's bundled file.
    Weights are a path or a name of the zoo.

    Raises:
        VideozooError: model, config, overrides or checkpoint have faults.
    """
    faults = Faults()
    name = experiment = found = fault = None
    try:
        found = find_weights(weights) if weights is not None else None
    except VideozooError as error:
        if config is None and model_name is None:
            raise
        fault = error
    with faults.noting():
        name = _model_of(model_name, config, found)
    with faults.noting():
        if config is None and isinstance(found, Path) and is_native(found):
            from videozoo.predict.weights import experiment_of

            typed = parse_overrides(overrides)
            experiment = experiment_of(found, overrides=typed, flags=flags)
        elif name is not None:
            file = found.config if isinstance(found, VideoWeights) else None
            experiment = load_experiment(
                find_spec(name).keys, config or file, overrides=overrides, flags=flags
            )
    if experiment is None and fault is not None:  # else opening the weights says so
        faults.add(str(fault))
    faults.raise_if_any()
    assert experiment is not None
    return experiment


def _model_of(
    model_name: str | None, config: str | None, weights: Path | VideoWeights | None
) -> str:
    """Returns the model that is meant: the one typed, the config's, the weights', the default.

    Raises:
        VideozooError: there is no such model, or what was given contradicts itself.
    """
    typed = find_spec(model_name).name if model_name is not None else None
    named = named_model(Path(config)) if config is not None else None
    if typed is not None and named not in (None, typed):
        raise VideozooError(f'{config}: has name = "{named}", but --model-name says {typed}')
    meant = typed or named or (model_of_file_name(Path(config)) if config is not None else None)
    of_weights = model_inside(weights)
    if of_weights is not None:
        if meant not in (None, of_weights):
            name = weights.name if isinstance(weights, VideoWeights) else weights
            raise VideozooError(f"{name}: holds weights of {of_weights}, not of {meant}")
        return of_weights
    if weights is None:
        return meant or DEFAULT_MODEL
    if meant is None and is_first_process():
        sentence = f"{weights} does not say its model: it is taken for {DEFAULT_MODEL}"
        print(f"{sentence}; give --model-name for another", file=sys.stderr)
    return meant or DEFAULT_MODEL


def open_samples(settings: Settings, spec: str | Sequence[str], **how: Any) -> Samples:
    """Opens samples as predict.samples does; says what indexing shards took, where it took long.

    Args:
        settings: of the mode that reads.
        spec: list file, folder, csv or glob; or several paths.
        how: see predict.samples.open_samples.

    Raises:
        VideozooError: as there.
    """
    from videozoo.cli.progress import indexing
    from videozoo.data.youtube8m.source import YouTube8MSource
    from videozoo.predict import samples

    # what is said of the cache goes beside the results, not among them
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    opened = samples.open_samples(settings, spec, progress=indexing(console), **how)
    if isinstance(opened.source, YouTube8MSource) and is_first_process():
        report = opened.source.index_report
        if report.seconds >= _WORTH_TELLING:
            console.print(str(report), markup=False)
    return opened


def open_list(
    experiment: Experiment,
    mode: str,
    *,
    augment: bool = False,
    labelled: bool = True,
    class_names: Sequence[str] | None = None,
) -> Samples:
    """Opens the samples of a mode's filelist.

    Raises:
        VideozooError: there is no filelist, or it has faults.
    """
    settings = experiment[mode]
    if settings.filelist is None:
        raise VideozooError(
            f"{experiment.source}: [{mode}] filelist is missing; give it in the config, or"
            f" --set {mode}.filelist=PATH"
        )
    try:
        return open_samples(
            settings,
            settings.filelist,
            augment=augment,
            labelled=labelled,
            class_names=class_names,
        )
    except VideozooError as error:
        stored = not experiment.origins[mode]["filelist"].typed
        if experiment.source.endswith(".safetensors") and stored:
            hint = (
                "the list is the one that these weights were trained with; --filelist gives another"
            )
            raise VideozooError(f"{error}; {hint}") from None
        raise


def open_trained(
    weights: str | None, experiment: Experiment, spec: str | Sequence[str] | None, mode: str
) -> tuple[LoadedWeights, Samples, list[str] | None]:
    """Opens what test and infer need: the weights, the samples, the class names.

    Args:
        weights: see open_weights.
        experiment: the config.
        spec: the samples; None: the config's filelist.
        mode: TEST or INFER.

    Raises:
        VideozooError: lists all faults found.
    """
    from videozoo.predict.samples import check_class_names

    faults, settings = Faults(), experiment[mode]
    loaded: LoadedWeights | None = None
    samples: Samples | None = None

    def opened(names: list[str] | None) -> Samples:
        how: dict[str, Any] = {"labelled": mode == "TEST", "class_names": names}
        if spec is not None:
            return open_samples(settings, spec, **how)
        return open_list(experiment, mode, **how)

    names = names_to_pull(weights, experiment)
    if to_pull(weights, experiment):  # a fault of the list must not show after a long transfer
        with faults.noting():
            opened(names)
    with faults.noting():
        loaded = open_weights(weights, experiment, before=faults.raise_if_any)
    with faults.noting():
        samples = opened(loaded.labels if loaded is not None else names)
    faults.raise_if_any()
    assert loaded is not None
    assert samples is not None
    labels = samples.class_names or loaded.labels
    check_class_names(labels, settings)
    return loaded, samples, labels


def choose_device(use_gpu: bool, console: Console) -> torch.device:
    """Returns the device of this process; says once where a GPU was wanted and there is none."""
    from videozoo.predict.devices import choose_device as choose

    device, sentence = choose(use_gpu, rank=int(os.environ.get("LOCAL_RANK", "0")))
    if sentence and sentence not in _SAID and is_first_process():
        _SAID.add(sentence)
        console.print(sentence, highlight=False)
    return device


@contextmanager
def processes(device: torch.device) -> Iterator[None]:
    """Joins the processes that torchrun has started, if it has, for the time of the block."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    if device.type == "cuda":
        torch.cuda.set_device(device)  # what NCCL sends objects through; else all take the first
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def protocol(loaded: LoadedWeights, experiment: Experiment, mode: str) -> dict[str, Any]:
    """Returns how scores were made: model, weights, frames, sizes, decoder and versions."""
    import torch

    from videozoo import __version__
    from videozoo.predict.inputs import describe_preprocessing

    settings = experiment[mode]
    made: dict[str, Any] = {
        "model": experiment.model,
        "config": experiment.source,
        "weights": str(loaded.path),
        "weights_sha256": loaded.sha256,
        "num_classes": settings.num_classes,
        "precision": settings.precision,
        **describe_preprocessing(settings),
    }
    if isinstance(settings, ClipSettings):
        from videozoo.video.reader import decoder_version

        made["decoder"] = decoder_version()
    made["versions"] = {
        "videozoo": __version__,
        "torch": torch.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
    }
    return made
