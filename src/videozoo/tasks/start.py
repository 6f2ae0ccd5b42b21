"""What training starts from: a saved training, given weights, or random ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from videozoo.checkpoints.backbones import start_from
from videozoo.checkpoints.fluid import load_fluid_weights
from videozoo.checkpoints.native import check_state_dict, kind_of
from videozoo.config import Experiment
from videozoo.errors import VideozooError
from videozoo.predict.inputs import Classifier
from videozoo.predict.weights import fluid_names
from videozoo.settings import ClipSettings
from videozoo.tasks.state import TrainingState, load_state, state_path


@dataclass(frozen=True)
class Start:
    """What training starts from.

    Attributes:
        state: the training to go on with; None: training begins.
        sentences: what there is to say of it, once all doors have passed.
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
) -> Start:
    """Puts the weights that training starts from into the model, or finds the saved training.

    Args:
        classifier: with random weights.
        experiment: the config.
        pretrain: what --pretrain gave; "none": random weights, on purpose.
        resume: what --resume gave.
        save_dir: where --resume auto looks.

    Raises:
        VideozooError: a file is missing or does not fit.
    """
    if resume is None:
        return Start(sentences=_first_weights(classifier, experiment, pretrain))
    if resume == "auto":
        weights = save_dir / f"{experiment.model}_last.safetensors"
        if not state_path(weights).is_file():
            sentences = _first_weights(classifier, experiment, pretrain)
            return Start(sentences=[f"nothing to resume in {save_dir}", *sentences])
        return _saved_training(classifier, weights)
    if pretrain is not None:
        raise VideozooError("--resume goes on with its own weights: leave --pretrain out")
    if not Path(resume).exists():
        raise VideozooError(f"--resume {resume}: no such checkpoint")
    if kind_of(resume) != "fluid":
        return _saved_training(classifier, Path(resume))
    state = classifier.model.state_dict()
    table = fluid_names(experiment, classifier)
    classifier.model.load_state_dict(load_fluid_weights(resume, table, state))
    sentence = (
        f"weights taken from {resume}; a checkpoint of the original holds no position, so training"
        " begins at epoch 1"
    )
    return Start(sentences=[sentence])


def _saved_training(classifier: Classifier, weights: Path) -> Start:
    state = load_state(weights)
    check_state_dict(classifier.model.state_dict(), state.model, f"--resume {weights}")
    where = state.position
    sentence = f"resuming {weights} at epoch {where.epoch + 1}, step {where.step}"
    return Start(state, [sentence])


def _first_weights(
    classifier: Classifier, experiment: Experiment, pretrain: str | None
) -> list[str]:
    """Takes --pretrain, else pretrain_base where it exists; returns what there is to say."""
    settings = experiment["TRAIN"]
    base = settings.pretrain_base
    given = pretrain or (base if base and Path(base).exists() else None)
    if given is None:
        return _warning(experiment) if isinstance(settings, ClipSettings) else []
    if given.lower() == "none":
        return []
    if not Path(given).exists():
        raise VideozooError(f"--pretrain {given}: no such file or folder")
    sentences = start_from(
        classifier.model,
        given,
        model_name=experiment.model,
        num_layers=settings.num_layers if isinstance(settings, ClipSettings) else 50,
        table=fluid_names(experiment, classifier),
    )
    return [f"weights taken from {given}", *sentences]


def _warning(experiment: Experiment) -> list[str]:
    settings = experiment["TRAIN"]
    assert isinstance(settings, ClipSettings)
    base = settings.pretrain_base
    missing = f" and pretrain_base {base} does not exist" if base else ""
    return [
        f"warning: {experiment.model} starts from random weights: no --pretrain is given{missing};"
        f" an image ResNet-{settings.num_layers} (.pth, .safetensors or a Fluid folder) given to"
        " --pretrain usually scores far better (--pretrain none: not to be told)"
    ]
