"""What commands and the API open before work starts: all of it is checked, every fault is named."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from videozoo import __version__
from videozoo.addresses.remote import is_address
from videozoo.checkpoints.exports import SUFFIXES
from videozoo.classifier import LoadedWeights, load_weights
from videozoo.config import Experiment
from videozoo.config.experiment import bundled_config
from videozoo.config.keys import Settings
from videozoo.data.dataset import VideoDataset
from videozoo.data.labels import check_class_names, check_same_names, read_label_file
from videozoo.distributed import is_first_process
from videozoo.encoders.recipe import KEYS, Recipe
from videozoo.engine_choice import chosen_export
from videozoo.errors import Faults, VideozooError, as_given, brief
from videozoo.experiments import Weights
from videozoo.families import Samples, family_of
from videozoo.progress import downloading, indexing, progress
from videozoo.terminal import Terminal
from videozoo.zoo import archives, store
from videozoo.zoo.archives import ImageResNet, VideoWeights
from videozoo.zoo.convert import own_class_names

INSTEAD = ", or give --weights a checkpoint of yours"
_WORTH_TELLING = 1.0  # seconds of indexing


def open_samples(
    settings: Settings,
    source: str | Sequence[str],
    *,
    augment: bool = False,
    labelled: bool = True,
    class_names: Sequence[str] | None = None,
    recipe: Recipe | None = None,
) -> Samples:
    """Opens a list file, folder, csv or glob; or several paths.

    Says what indexing shards took, where it took long.

    Args:
        settings: of the mode that reads.
        source: what to open; a sequence means videos or shards without labels.
        augment: draw frames, crops and flips (training).
        labelled: every sample needs a label.
        class_names: known from elsewhere, such as a checkpoint; label_file of the settings wins.
        recipe: how videos become the model's rows, as its checkpoint says.

    Raises:
        VideozooError: something is missing, or the class names do not fit num_classes.
    """
    faults = Faults()
    names = list(class_names) if class_names is not None else None
    samples: Samples | None = None
    # what is said of the cache goes beside the results, not among them
    console = Terminal(stderr=True, highlight=False, soft_wrap=True, quiet=not is_first_process())
    with faults.noting():
        if settings.labels is not None:
            names = read_label_file(settings.labels)
            check_class_names(names, settings.num_classes, settings.labels)
    with faults.noting():
        samples = family_of(settings).open(
            source,
            augment=augment,
            labelled=labelled,
            class_names=names,
            recipe=recipe,
            progress=indexing(console),
        )
        if samples.class_names is not None:
            where = settings.labels or "the data"
            check_class_names(samples.class_names, settings.num_classes, where)
    faults.raise_if_any()
    assert samples is not None
    for note in samples.notes:
        console.print(note, markup=False)
    report = getattr(samples.dataset, "index_report", None)
    if report is not None and report.seconds >= _WORTH_TELLING:
        console.print(str(report), markup=False)
    return samples


def open_list(
    experiment: Experiment,
    mode: str,
    *,
    augment: bool = False,
    labelled: bool = True,
    class_names: Sequence[str] | None = None,
    recipe: Recipe | None = None,
) -> Samples:
    """Opens the samples of a mode's filelist.

    Raises:
        VideozooError: there is no filelist, or it has faults.
    """
    settings, source = experiment[mode], experiment.source
    carries = (".safetensors", *SUFFIXES.values())
    stored = source.endswith(carries) and not experiment.origins[mode]["filelist"].typed
    if stored and mode == "INFER":
        raise VideozooError(f"{source}: nothing to infer is given; name files, or give --filelist")
    if settings.filelist is None:
        raise VideozooError(
            f"{source}: [{mode}] filelist is missing; give it in the config, or"
            f" --set {mode}.filelist=PATH"
        )
    if stored and not is_address(settings.filelist) and not Path(settings.filelist).is_file():
        raise VideozooError(
            f"{source}: the list that it names for a test, {brief(settings.filelist)}, is no file"
            " here; give --filelist"
        )
    try:
        return open_samples(
            settings,
            settings.filelist,
            augment=augment,
            labelled=labelled,
            class_names=class_names,
            recipe=recipe,
        )
    except VideozooError as error:
        if _is_nowhere(experiment, mode):
            raise VideozooError(
                f"nothing is given to read, and {os.path.dirname(settings.filelist)}, where the"
                f" bundled {experiment.source} has it, is not here; give a folder of videos, a list"
                " of them or a config (--help says how)"
            ) from None
        if stored:
            hint = (
                "the list is the one that these weights were trained with; --filelist gives another"
            )
            raise VideozooError(f"{error}; {hint}") from None
        raise


def _is_nowhere(experiment: Experiment, mode: str) -> bool:
    """Says whether a list is that of a bundled config that nobody named, and is not there."""
    listed = experiment[mode].filelist or ""
    bundled = not os.path.dirname(experiment.source) and bundled_config(experiment.source).is_file()
    typed = experiment.origins[mode]["filelist"].typed
    return bundled and not typed and not os.path.exists(os.path.dirname(listed) or listed)


def open_weights(
    weights: Weights, experiment: Experiment, faults: Faults | None = None
) -> LoadedWeights:
    """Loads weights, published ones fetched where they are not here.

    Args:
        weights: which.
        experiment: the config.
        faults: raised before anything is fetched, as they must not show after a long transfer.

    Raises:
        VideozooError: there are none, they do not fit, or they cannot be fetched.
    """
    found = weights.of_model(experiment.model)
    if isinstance(found, VideoWeights):
        archives.check_weights(found, experiment, given=weights.given is not None)
        if faults is not None:
            faults.raise_if_any()
        found = pulled(found)
    export = chosen_export(found, experiment, weights.engine)
    if export is None:
        return load_weights(found, experiment)
    return load_weights(export.path, experiment, of=(found, export.weights_sha256))


def pulled(published: VideoWeights | ImageResNet, instead: str = INSTEAD) -> Path:
    """Returns the path of published weights; pulls them where they are not here.

    Args:
        published: which.
        instead: what else can be done where they cannot be fetched; ends the error's sentence.

    Raises:
        VideozooError: they cannot be fetched.
    """
    # what is said of the transfer goes beside the results, not among them
    console = Terminal(stderr=True, highlight=False, soft_wrap=True)
    console.quiet = not is_first_process()
    with downloading(console, published.name) as report:
        return store.pull(published, report=report, say=console.print, instead=instead)


def open_trained(
    weights: Weights, experiment: Experiment, source: str | Sequence[str] | None, mode: str
) -> tuple[LoadedWeights, Samples, list[str] | None]:
    """Opens what test and infer need: the weights, the samples, the class names.

    Args:
        weights: which.
        experiment: the config.
        source: the samples; None: the config's filelist.
        mode: TEST or INFER.

    Raises:
        VideozooError: lists all faults found.
    """
    faults, settings = Faults(), experiment[mode]
    loaded: LoadedWeights | None = None
    samples: Samples | None = None

    def opened(names: list[str] | None) -> Samples:
        how: dict[str, Any] = {"labelled": mode == "TEST", "class_names": names}
        how["recipe"] = None if loaded is None else loaded.classifier.recipe
        if source is not None:
            return open_samples(settings, source, **how)
        return open_list(experiment, mode, **how)

    names = None
    found = None if weights.fault else weights.found or archives.published_of(experiment.model)
    if isinstance(found, VideoWeights):
        names = own_class_names(found)
        names = names if names is not None and len(names) == settings.num_classes else None
        if store.pulled(found) is None:  # a fault of the list must not show after a long transfer
            with faults.noting():
                opened(names)
    with faults.noting():
        loaded = open_weights(weights, experiment, faults)
    with faults.noting():
        if loaded is not None and loaded.classifier.recipe is not None:
            _refuse_typed_recipe(experiment, mode)
        samples = opened(loaded.labels if loaded is not None else names)
    faults.raise_if_any()
    assert loaded is not None
    assert samples is not None
    labels, where = samples.class_names or loaded.labels, settings.labels or "the data"
    if labels is not None:
        check_class_names(labels, settings.num_classes, where)
        check_same_names(loaded.labels, labels, where)
    return loaded, samples, labels


def _refuse_typed_recipe(experiment: Experiment, mode: str) -> None:
    """Refuses keys that say how videos become rows, where the checkpoint says it.

    Raises:
        VideozooError: one was typed.
    """
    for key in KEYS:
        origin = experiment.origins[mode].get(key)
        if origin is not None and origin.typed:
            raise VideozooError(
                f"{origin}: the weights say how videos become their rows, this cannot be changed;"
                " leave it out"
            )


def prepare(
    dataset: VideoDataset,
    device: torch.device,
    console: Console,
    indices: Sequence[int] | None = None,
) -> None:
    """Does what must be done before samples are read, with a bar: encodes videos."""
    with progress(console, "encode", 50, forecast=True) as report:
        dataset.prepare(device, report, indices)


def protocol(loaded: LoadedWeights, experiment: Experiment, mode: str) -> dict[str, Any]:
    """Returns how scores were made: model, weights, frames, sizes, decoder and versions."""
    settings, recipe = experiment[mode], loaded.classifier.recipe
    family = family_of(settings)
    rows: dict[str, Any] = {}
    if recipe is not None:
        from videozoo.video.reader import decoder_version

        rows = {"rows": recipe.as_dict(), "decoder": decoder_version()}
    return {
        "model": experiment.model,
        "config": as_given(experiment.source),
        "weights": as_given(loaded.path),
        "weights_sha256": loaded.sha256,
        "num_classes": settings.num_classes,
        "precision": settings.precision,
        "engine": loaded.engine,
        "temperature": loaded.classifier.calibration.temperature,
        **family.describe(),
        **family.reader(),
        **rows,
        "versions": {
            "videozoo": __version__,
            "torch": torch.__version__,
            "python": ".".join(map(str, sys.version_info[:3])),
        },
    }
