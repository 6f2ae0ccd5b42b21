"""Weights named on the command line: a path, or a name of the zoo that is pulled first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from videozoo.config import Experiment
from videozoo.processes import is_first_process
from videozoo.zoo import archives
from videozoo.zoo.archives import ImageResNet, VideoWeights
from videozoo.zoo.resolve import find_weights

if TYPE_CHECKING:
    from videozoo.predict.weights import LoadedWeights

INSTEAD = ", or give --weights a checkpoint of yours"


def pulled(published: VideoWeights | ImageResNet, instead: str = INSTEAD) -> Path:
    """Returns the path of published weights; pulls them where they are not here.

    Args:
        published: which.
        instead: what else can be done where they cannot be fetched; ends the error's sentence.

    Raises:
        VideozooError: they cannot be fetched.
    """
    from videozoo.cli.progress import downloading
    from videozoo.zoo.store import pull

    # what is said of the transfer goes beside the results, not among them
    console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    console.quiet = not is_first_process()
    with downloading(console, published.name) as report:
        return pull(published, report=report, say=console.print, instead=instead)


def to_pull(weights: str | None, experiment: Experiment) -> bool:
    """Says whether weights for a config, published ones where none are given, must be fetched."""
    from videozoo.zoo import store

    published = _published(weights, experiment)
    return published is not None and store.pulled(published) is None


def names_to_pull(weights: str | None, experiment: Experiment) -> list[str] | None:
    """Returns the class names that come with published weights, as far as no fetching tells."""
    published = _published(weights, experiment)
    if not isinstance(published, VideoWeights):
        return None
    from videozoo.zoo.convert import own_class_names

    names = own_class_names(published)
    fit = names is not None and len(names) == experiment["INFER"].num_classes
    return names if fit else None


def is_native(path: Path) -> bool:
    """Says whether a checkpoint is one of videozoo's own."""
    from videozoo.checkpoints.native import kind_of

    return kind_of(path) == "native"


def model_inside(weights: Path | VideoWeights | None) -> str | None:
    """Returns the model that weights say they are of; None: they do not say."""
    if isinstance(weights, VideoWeights):
        return weights.model
    if weights is not None and is_native(weights):
        from videozoo.checkpoints.native import read_native_header

        return read_native_header(weights).model
    return None


def open_weights(
    weights: str | None, experiment: Experiment, *, before: Callable[[], None] = lambda: None
) -> LoadedWeights:
    """Loads the weights that test and infer use.

    Args:
        weights: a path or a name of the zoo; None: those that were published of the model.
        experiment: the config.
        before: called before anything is fetched, to raise what is known to be wrong elsewhere.

    Raises:
        VideozooError: there are none, or they do not fit.
    """
    from videozoo.predict.weights import load_weights

    found = find_weights(weights, model=experiment.model)
    if isinstance(found, Path):
        return load_weights(found, experiment)
    archives.check_weights(found, experiment, given=weights is not None)
    before()
    return load_weights(pulled(found), experiment)


def named_weights(weights: str) -> LoadedWeights:
    """Loads weights that bring their own config: a checkpoint, or a name of the zoo.

    Raises:
        VideozooError: there are none, or they hold no config.
    """
    from videozoo.predict.weights import load_weights

    found = find_weights(weights)
    return load_weights(found if isinstance(found, Path) else pulled(found))


def _published(weights: str | None, experiment: Experiment) -> VideoWeights | ImageResNet | None:
    """Returns the published weights that are meant; None: a path is."""
    return archives.of_model(experiment.model) if weights is None else archives.find(weights)
