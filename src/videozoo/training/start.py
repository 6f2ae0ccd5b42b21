"""What training starts from: a saved training, given weights, or random ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from videozoo.addresses.copies import fetched
from videozoo.addresses.remote import is_address, shown
from videozoo.checkpoints.backbones import start_from
from videozoo.checkpoints.fluid import load_fluid_weights
from videozoo.checkpoints.names import backbone_keys, resnet_depth
from videozoo.checkpoints.native import check_state_dict, kind_of, load_native
from videozoo.classifier import Classifier, fluid_names
from videozoo.config import Experiment
from videozoo.errors import VideozooError, did_you_mean
from videozoo.specs import SPECS
from videozoo.training.save_folder import state_files
from videozoo.training.saving import checkpoint_path
from videozoo.training.state import (
    ANOTHER,
    DamagedStateError,
    TrainingState,
    load_state,
    state_path,
)
from videozoo.zoo import archives, store
from videozoo.zoo.archives import ImageResNet, VideoWeights
from videozoo.zoo.resolve import brought_here, is_elsewhere

# Gives the path of published weights, pulled where they are not here; what else can be done where
# they cannot be fetched is to end the sentence that says so.
Fetch = Callable[[VideoWeights | ImageResNet, str], Path]
_INSTEAD = ", or give --pretrain an image ResNet of yours, or --pretrain none for random weights"


def _fetch(published: VideoWeights | ImageResNet, instead: str) -> Path:
    return store.pull(published, instead=instead)


@dataclass(frozen=True)
class Start:
    """What training starts from.

    Attributes:
        state: the training to go on with; None: training begins.
        sentences: what there is to say of it, once all inputs are found sound.
    """

    state: TrainingState | None = None
    sentences: list[str] = field(default_factory=list)


def open_start(
    classifier: Classifier,
    experiment: Experiment,
    *,
    pretrain: str | None,
    resume: str | None,
    save_dir: Path,
    fetch: Fetch = _fetch,
) -> Start:
    """Puts the weights that training starts from into the model, or finds the saved training.

    Args:
        classifier: with random weights.
        experiment: the config.
        pretrain: what --pretrain gave: a path, a name of the zoo or an address of the Hub; "none":
            random weights, on purpose.
        resume: what --resume gave.
        save_dir: where --resume auto looks.
        fetch: pulls published weights.

    Raises:
        VideozooError: a file is missing or does not fit, or cannot be fetched.
    """
    if resume is None:
        return Start(sentences=_first_weights(classifier, experiment, pretrain, fetch))
    if resume == "auto":
        found = _newest_training(classifier, save_dir, experiment.model)
        if found is not None:
            return found
        said = [_nothing_to_resume(save_dir, experiment.model)]
        return Start(sentences=said + _first_weights(classifier, experiment, pretrain, fetch))
    if pretrain is not None and pretrain.lower() != "none":  # which auto may need
        raise VideozooError("--resume goes on with its own weights: leave --pretrain out")
    if is_address(resume):
        resume = str(fetched(resume))
        fetched(state_path(Path(resume)))
    published = archives.find(resume)
    if published is None and not Path(resume).exists():
        raise VideozooError(f"--resume {resume}: no such checkpoint")
    if published is None and kind_of(resume) != "fluid":
        return _saved_training(classifier, Path(resume), experiment.model)
    return _weights_of_the_original(classifier, experiment, resume, fetch)


def _weights_of_the_original(
    classifier: Classifier, experiment: Experiment, resume: str, fetch: Fetch
) -> Start:
    """Takes the weights alone: of a Fluid checkpoint, or of a name of the zoo."""
    state = classifier.model.state_dict()
    published = archives.find(resume)
    if published is not None:
        archives.check_weights(published, experiment)
        taken = load_native(fetch(published, "")).state_dict
        check_state_dict(state, taken, resume)
    else:
        taken = load_fluid_weights(resume, fluid_names(experiment, classifier.model), state)
    classifier.model.load_state_dict(taken)
    sentence = (
        f"weights taken from {resume}; a checkpoint of the original holds no position, so training"
        " begins at epoch 1"
    )
    return Start(sentences=[sentence])


def _saved_training(classifier: Classifier, weights: Path, model: str) -> Start:
    state = load_state(weights, model)
    check_state_dict(classifier.model.state_dict(), state.model, f"--resume {weights}")
    where = state.position
    sentence = f"resuming {weights} at epoch {where.epoch + 1}, step {where.step}"
    return Start(state, [sentence])


def _newest_training(classifier: Classifier, save_dir: Path, model: str) -> Start | None:
    """Finds the last training of a folder, or the newest one that is sound; None: there is none.

    Raises:
        VideozooError: there are states, and none of them is sound.
    """
    last = checkpoint_path(save_dir, model, "last")
    faults = []
    if not state_path(last).is_file():
        faults.append(f"{state_path(last)}: is missing")
    states = [state_path(last), *state_files(save_dir, model)]
    states = [file for file in states if file.is_file()]
    for state in states:
        try:
            start = _saved_training(classifier, state.with_suffix(last.suffix), model)
        except DamagedStateError as error:
            faults.append(str(error).removesuffix(ANOTHER))
            continue
        if faults:
            note = f"warning: {'; '.join(faults)}; {state.name} is the newest sound one"
            return Start(start.state, [note, *start.sentences])
        return start
    if not states:
        return None
    raise VideozooError(
        f"--resume auto: {save_dir} holds no sound state: {'; '.join(faults)}; start anew with"
        " --pretrain from one of its weights, or without --resume"
    )


def _nothing_to_resume(save_dir: Path, model: str) -> str:
    weights = sorted(file.name for file in save_dir.glob(f"{model}_*.safetensors"))
    if not weights:
        return f"nothing to resume in {save_dir}"
    return (
        f"nothing to resume in {save_dir}: {', '.join(weights)} came without a state (.state), so"
        " training begins anew and writes over them"
    )


def choose_weights(experiment: Experiment, pretrain: str | None) -> str | None:
    """Returns what training starts from, where nothing is resumed.

    It is what --pretrain gave; else pretrain_base, where it is "none", a path that exists, a name
    of the zoo or an address of the Hub; else the image network that the original fetched for the
    model, if it did.

    Args:
        experiment: the config.
        pretrain: what --pretrain gave.

    Returns:
        A path, a name of the zoo, an address of the Hub, "none", or None: nothing is said and
        nothing was published.
    """
    settings = experiment["TRAIN"]
    base = settings.pretrain_base
    if pretrain is not None:
        return pretrain
    named = base and (archives.find(base) or is_elsewhere(base))
    if base and (named or base.lower() == "none" or Path(base).exists()):
        return base
    return SPECS[experiment.model].default_pretrain(settings)


def _first_weights(
    classifier: Classifier, experiment: Experiment, pretrain: str | None, fetch: Fetch
) -> list[str]:
    """Puts the weights that were chosen into the model; returns what there is to say."""
    settings, spec = experiment["TRAIN"], SPECS[experiment.model]
    given = choose_weights(experiment, pretrain)
    if given is None or given.lower() == "none":
        frozen = getattr(settings, "freeze_stages", 0)
        if frozen:
            raise VideozooError(
                f"freeze_stages = {frozen} keeps the first stages as they start,"
                " but they start from random weights; give --pretrain, or leave freeze_stages out"
            )
        layers = resnet_depth(backbone_keys(classifier.model.state_dict()))
        if pretrain is not None or layers is None:
            return []
        return [_warning(experiment, layers)]
    published = archives.find(given)
    if published is not None:
        archives.check_start(published, experiment)
        path = fetch(published, _INSTEAD)
        source = f"{published.name} ({path})"
    elif is_elsewhere(given):
        path, source = brought_here(given), shown(given)
    elif Path(given).exists():
        path, source = Path(given), given
    else:
        near = did_you_mean(given, archives.names())
        raise VideozooError(f"--pretrain {given}: no such file or folder{near}")
    table = None if spec.fluid_names is None else fluid_names(experiment, classifier.model)
    sentences = start_from(classifier.model, path, model_name=experiment.model, table=table)
    return [f"weights taken from {source}", *sentences]


def _warning(experiment: Experiment, layers: int) -> str:
    base = experiment["TRAIN"].pretrain_base
    named = base is not None and base.lower() != "none"
    missing = f" (pretrain_base {base} does not exist)" if named else ""
    return (
        f"warning: {experiment.model} starts from random weights{missing}; an image ResNet, such as"
        f" --pretrain resnet{layers}, usually scores far better (--pretrain none: not to be told)"
    )
