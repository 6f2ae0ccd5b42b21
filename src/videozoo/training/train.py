"""`videozoo.train`: opens what a training needs, checks all of it, and runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch
from rich.console import Console

from videozoo.addresses.places import brought
from videozoo.addresses.remote import is_address
from videozoo.classifier import build_classifier
from videozoo.config import Experiment
from videozoo.data import VideoDataset
from videozoo.data.labels import check_same_names
from videozoo.distributed import choose_device, gathered, is_first_process, joined
from videozoo.errors import Faults, VideozooError
from videozoo.experiments import Flags, open_experiment, takes_clips
from videozoo.families import Samples, family_of
from videozoo.files import make_folder
from videozoo.inputs import open_list, prepare, pulled
from videozoo.stopping import Stop, StoppedError, stoppable
from videozoo.training.distill import Teacher, check_sibling, open_teachers
from videozoo.training.folder import prepare_folder
from videozoo.training.loop import Trained, Training
from videozoo.training.pretrained import Asked, train_on_rows
from videozoo.training.run import run
from videozoo.training.save_folder import FOLDER, one_training
from videozoo.training.start import Fetch, Start, open_start
from videozoo.zoo import archives
from videozoo.zoo.archives import ImageResNet, VideoWeights
from videozoo.zoo.resolve import brought_here, is_elsewhere

PathLike = str | os.PathLike[str]


def train(
    folder: PathLike | None = None,
    *,
    end_to_end: bool = False,
    encoder: str | None = None,
    head: str | None = None,
    group_by: str | None = None,
    cache: bool = True,
    model: str | None = None,
    config: PathLike | None = None,
    overrides: Sequence[str] = (),
    save_dir: PathLike = "checkpoints",
    pretrain: PathLike | None = None,
    resume: PathLike | None = None,
    valid_interval: int = 1,
    save_interval: int | None = None,
    log_interval: int = 10,
    experiment: Experiment | None = None,
    flags: Flags | None = None,
    console: Console | None = None,
    again: str | None = None,
) -> Trained:
    """Trains a model from a config; or on a folder of videos, with nothing else to give.

    Under torchrun (or another launcher) it trains together with the other workers.

    Args:
        folder: with one sub-folder of videos a class: needs no config.
        end_to_end: of a folder: train frames through a whole network; so does a `model` on clips.
        encoder: of a folder: what describes frames; None: efficientnet_lite0.
        head: of a folder: the model that learns of it; None: chosen by cross-validation.
        group_by: of a folder: what tells clips of one recording, see training.split.split_folder.
        cache: of a folder: keep the rows of its videos for other runs.
        model: the model's name, in any case; None: the config's, else the default.
        config: the config file; None: the one that comes with the model.
        overrides: config keys, such as "TRAIN.epoch=3".
        save_dir: folder of checkpoints and curves.
        pretrain: weights to start from: a path, a name of the zoo, or "none".
        resume: a checkpoint to go on from; "auto": the last one in save_dir, if any.
        valid_interval: epochs between two validations.
        save_interval: epochs between kept checkpoints; None: 1, of a folder best and last only.
        log_interval: steps between two lines.
        experiment: a config that is resolved already, in place of model, config and overrides.
        flags: further keys with the names of what gave them, see config.experiment.resolve.
        console: where to print; None: nothing is printed.
        again: the command that is running, to be told where it is stopped; None: called in Python.

    Raises:
        VideozooError: lists every fault found before work starts; too little can be read; or
            training diverged.
        StoppedError: a SystemExit: SIGTERM, SIGHUP or SIGUSR1 came; what was trained is saved.
        KeyboardInterrupt: Ctrl-C was pressed; what was trained is saved.
    """
    console = console or Console(quiet=True)
    if is_address(save_dir):
        raise VideozooError(
            f"{save_dir}: give save_dir a folder, or train with the command videozoo train, which"
            " uploads what it has written"
        )
    save_dir, given = Path(save_dir), None if config is None else str(config)
    rows = folder is not None and not end_to_end and not takes_clips(model, given)
    with (
        stoppable(whole_process=again is not None) as stop,
        _telling(stop, console, again, rows=rows),
        ExitStack() as kept,
    ):
        if folder is not None and rows:
            options = {
                key: value for (mode, key), (value, _) in (flags or {}).items() if mode == "TRAIN"
            }
            asked = Asked.of(encoder, _head(head, model), group_by, cache, overrides, options)
            return train_on_rows(brought(folder), asked, save_dir=save_dir, console=console)
        if folder is not None:  # every process writes the same files, each whole at once
            if save_dir.is_dir():
                kept.enter_context(one_training(save_dir, FOLDER))
            experiment = prepare_folder(
                brought(folder),
                model_name=model,
                config=given,
                overrides=overrides,
                flags=flags or {},
                group_by=group_by,
                save_dir=save_dir,
                say=lambda text: _say(console, text),
            )
        elif experiment is None:
            experiment = open_experiment(model, given, overrides=overrides, flags=flags)
        device = choose_device(experiment["TRAIN"].use_gpu, console.print)
        with joined(device):
            there = gathered(save_dir.is_dir())[0]
            if there:  # nobody else may train on from what is read here
                kept.enter_context(one_training(save_dir, experiment.model))
            training, start = open_training(
                experiment,
                save_dir=save_dir,
                pretrain=None if pretrain is None else os.fspath(pretrain),
                resume=None if resume is None else os.fspath(resume),
                device=device,
                console=console,
            )
            make_folder(save_dir)
            if not there:  # it is made when all inputs are found sound
                kept.enter_context(one_training(save_dir, experiment.model))
            for sentence in start.sentences:
                _say(console, sentence)
            training.valid_interval, training.log_interval = valid_interval, log_interval
            training.save_interval = save_interval or (
                1 if folder is None else experiment["TRAIN"].epoch
            )
            training.device, training.console = device, console
            training.stop, training.again = stop, again
            return run(training)


@contextmanager
def _telling(stop: Stop, console: Console, again: str | None, *, rows: bool) -> Iterator[None]:
    """Says what goes on with work that is stopped within the block, where it has not said so."""
    try:
        yield
    except (StoppedError, KeyboardInterrupt):
        if not stop.told:
            kept = "encoded videos are kept" if rows else "no step was made that is not saved"
            command = "" if again is None else f":\n  {again}"
            _say(console, f"stopped by {stop.name}; {kept}; the same command goes on{command}")
        raise


def _head(head: str | None, model: str | None) -> str | None:
    if head is not None and model is not None:
        raise VideozooError(
            f"--head {head}, --model-name {model}: they say the same; leave one out"
        )
    return head or model


def _say(console: Console, text: str) -> None:
    if is_first_process():
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def open_training(
    experiment: Experiment,
    *,
    save_dir: Path,
    pretrain: str | None,
    resume: str | None,
    device: torch.device,
    console: Console,
) -> tuple[Training, Start]:
    """Opens what a training needs: lists, eigenvalues, teachers and first weights.

    Args:
        experiment: the config.
        save_dir: where checkpoints go, and where --resume auto looks.
        pretrain: what --pretrain gave.
        resume: what --resume gave.
        device: where videos are encoded, for a model on rows of them.
        console: where to show progress.

    Raises:
        VideozooError: lists every fault found.
    """
    faults = Faults()
    settings = experiment["TRAIN"]
    samples = valid = eigenvalues = None
    start = Start()
    teachers: list[Teacher] = []
    with faults.noting():
        samples = open_list(experiment, "TRAIN", augment=True)
    with faults.noting():
        if experiment["VALID"].filelist is not None:
            names = samples.class_names if samples is not None else None
            valid = open_list(experiment, "VALID", class_names=names)
            check_same_names(names, valid.class_names, "[VALID]")
    with faults.noting():
        eigenvalues = family_of(settings).eigenvalues()
    torch.manual_seed(settings.seed)
    classifier = build_classifier(settings, eigenvalues)

    def fetch(published: VideoWeights | ImageResNet, instead: str) -> Path:
        faults.raise_if_any()  # what is wrong already must not show after a long transfer
        return pulled(published, instead)

    with faults.noting():
        teachers = _open_teachers(experiment, samples, fetch)
    with faults.noting():
        start = open_start(
            classifier,
            experiment,
            pretrain=pretrain,
            resume=resume,
            save_dir=save_dir,
            fetch=fetch,
        )
    faults.raise_if_any()
    assert samples is not None
    prepare(samples.dataset, device, console)
    samples.dataset.fit_scale()
    classifier.recipe = samples.dataset.recipe
    if valid is not None:
        _give_recipe(samples.dataset, valid.dataset)
        prepare(valid.dataset, device, console)
    training = Training(
        experiment=experiment,
        classifier=classifier,
        train=samples.dataset,
        valid=valid.dataset if valid is not None else None,
        labels=samples.class_names,
        save_dir=save_dir,
        resume=start.state,
        teachers=teachers,
    )
    return training, start


def _give_recipe(train: VideoDataset, valid: VideoDataset) -> None:
    """Makes rows of the videos to validate on as those to train on are made.

    Raises:
        VideozooError: they are records, and were made in another way.
    """
    made, other = train.recipe, valid.recipe
    if made is None and other is not None:
        raise VideozooError(
            "[VALID] filelist: holds rows of videos, but [TRAIN] filelist records that were made"
            " elsewhere; give both alike"
        )
    if made is not None and other is not None and (names := made.differences(other)):
        raise VideozooError(
            f"[VALID] filelist: holds features made with another {' and '.join(names)} than"
            " [TRAIN] filelist; make both into one folder with videozoo prepare features"
        )
    valid.recipe = train.recipe


def _open_teachers(experiment: Experiment, samples: Samples | None, fetch: Fetch) -> list[Teacher]:
    """Loads the models that distill_from names: paths, or names of the zoo."""
    settings = experiment["TRAIN"]

    def locate(name: str) -> Path:
        published, where = archives.find(name), f"distill_from {name}"
        if published is None:
            return brought_here(name) if is_elsewhere(name) else Path(name)
        if not isinstance(published, VideoWeights):
            raise VideozooError(f"{where}: is an image ResNet; a teacher must take features")
        check_sibling(published.experiment()["INFER"], settings, where)
        return fetch(published, "")

    return open_teachers(
        settings, samples.class_names if samples is not None else None, locate=locate
    )
