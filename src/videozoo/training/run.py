"""A training run: what a training is made of is put together, checked, and taken to its end."""

from __future__ import annotations

import time

import torch

from videozoo.classifier import Classifier
from videozoo.distributed import gathered, is_first_process
from videozoo.errors import VideozooError
from videozoo.evaluate import Evaluation
from videozoo.families import family_of
from videozoo.specs import SPECS
from videozoo.text import counted
from videozoo.training.averaging import Averaging
from videozoo.training.balance import ListedClasses, listed_classes
from videozoo.training.log import Curves, TrainingLog
from videozoo.training.loop import Trained, Training, patience_has_run_out, train_epochs
from videozoo.training.optimizers import freeze, make_optimizer
from videozoo.training.regularise import check_recipe, make_regulariser
from videozoo.training.resuming import check_resume, fingerprint, load_optimizer
from videozoo.training.save_folder import remove_old_epochs, room_for
from videozoo.training.saving import Checkpoints
from videozoo.training.schedules import learning_rate, not_applied, schedule_videos
from videozoo.training.state import Position, state_path
from videozoo.training.step import Stepper
from videozoo.training.unreadable import first_warnings


def run(training: Training) -> Trained:
    """Trains to the last epoch, in the processes that have joined.

    Raises:
        VideozooError: the resumed run does not fit, the data are not what the config says, there is
            too little room, or training diverged.
        StoppedError, KeyboardInterrupt: it was asked to stop, has saved and said so.
    """
    settings = training.settings
    position = training.resume.position if training.resume else Position()
    log = _log(training, position)
    listed = _listed_classes(training, position, log)
    _check(training, log)
    _check_folder(training, position, log)
    positions: list[Position] = gathered(position)
    if len({(one.epoch, one.steps_done) for one in positions}) > 1:
        raise VideozooError(
            f"--resume: {training.path('last')} is not the same file on all machines; put"
            " --save-dir on a disk that they share"
        )
    position = positions[0]  # whose best score it is, where only the first one's folder has it
    if position.epoch >= settings.epoch:
        log.say(f"all {settings.epoch} epochs are done; give --epoch-num to train longer")
        return _trained(training, position, log, None, 0.0)
    if patience_has_run_out(position, settings.early_stopping):
        log.say("this training has ended early; with a larger early_stopping it would go on")
        return _trained(training, position, log, None, 0.0)
    stepper = _stepper(training, listed, log)
    _check_room(training, stepper, log)
    _warn(training, log)
    checkpoints = Checkpoints(
        training.save_dir,
        training.experiment,
        training.labels,
        stepper.classifier,
        stepper.optimizer,
        stepper.averaging,
    )
    if training.valid is not None:
        family_of(settings).metric()  # imports torchmetrics, which is no time of training
    start, before = time.perf_counter(), position.videos
    with training.stop.waiting(), log.closing():
        evaluation = train_epochs(training, position, stepper, checkpoints, log, listed)
    seconds, done = time.perf_counter() - start, position.videos - before
    log.say(
        f"trained on {counted(done, 'video')} in {seconds:.1f} s, {log.share_waiting:.1%} of it"
        " waiting for data"
    )
    return _trained(training, position, log, evaluation, done / seconds)


def _check(training: Training, log: TrainingLog) -> None:
    """Checks the keys of a training against each other, and says which change nothing.

    Raises:
        VideozooError: lists what cannot be.
    """
    check_recipe(
        training.experiment,
        validates=training.valid is not None,
        at_once=training.at_once,
        steps=training.settings.epoch * training.steps,
    )
    _, warning = schedule_videos(training.settings, len(training.train))
    if warning is not None:
        log.say(f"warning: {warning}")
    for sentence in not_applied(training.experiment):
        log.say(sentence)


def _stepper(training: Training, listed: ListedClasses | None, log: TrainingLog) -> Stepper:
    """Returns what makes the steps: the model on its device, its optimizer, all that it learns by.

    Raises:
        VideozooError: optimizer or stages are none of this model's, or do not fit what is resumed.
    """
    settings, spec = training.settings, SPECS[training.experiment.model]
    classifier = training.classifier.to(training.device)
    if settings.precision == "64":
        classifier.model.double()
    frozen = freeze(classifier.model, getattr(settings, "freeze_stages", 0))
    optimizer = make_optimizer(classifier.model, spec, settings)
    averaging = _restore(training, classifier, optimizer)
    regulariser = make_regulariser(family_of(settings), listed=listed, teachers=training.teachers)
    videos, _ = schedule_videos(settings, len(training.train))
    return Stepper(
        classifier=classifier,
        optimizer=optimizer,
        rate=learning_rate(spec, settings, videos=videos, steps=settings.epoch * training.steps),
        regulariser=regulariser.to(training.device, settings.precision),
        seed=settings.seed,
        precision=settings.precision,
        loss_is_sum=spec.loss_is_sum,
        clip_norm=spec.clip_norm(settings),
        frozen=frozen,
        averaging=averaging,
        split_groups=training.splits_groups,
        say=log.say,
        stop=training.stop,
    )


def _log(training: Training, position: Position) -> TrainingLog:
    curves = None
    if is_first_process():
        model = training.experiment.model
        curves = Curves(
            training.save_dir / f"{model}_curves.csv",
            training.save_dir / "curves" / model,
            after_step=position.steps_done,
            within_epoch=position.step > 0,
        )
    return TrainingLog(
        epochs=training.settings.epoch,
        steps=training.steps,
        curves=curves,
        log_interval=training.log_interval,
        console=training.console,
    )


def _check_folder(training: Training, position: Position, log: TrainingLog) -> None:
    """Compares a training with what the folder and the resumed state hold, and says what changed.

    Raises:
        VideozooError: the training cannot go on from that state.
    """
    model = training.experiment.model
    mine = fingerprint(training.settings, training.train, training.labels)
    if training.resume is not None:
        if not training.path("best").exists():  # it lies in another folder: this one gets its own
            position.best, position.best_loss, position.worse = None, None, 0
        warning = check_resume(position, mine, training.settings)
        if warning is not None:
            log.say(warning)
    elif state_path(training.path("last")).exists():
        log.say(
            f"{training.save_dir} holds an earlier training of {model}: this one writes over its"
            " checkpoints (--resume auto would go on with it)"
        )
    position.fingerprint = mine
    if is_first_process():  # a kill may have come before the last save had removed them
        remove_old_epochs(training.save_dir, model, position.epoch, training.settings.keep_epochs)


def _check_room(training: Training, stepper: Stepper, log: TrainingLog) -> None:
    """Says how much room the checkpoints take.

    Raises:
        VideozooError: there is less.
    """
    fault = None
    if is_first_process():
        settings, keep = training.settings, training.settings.keep_epochs
        epochs = -(-settings.epoch // training.save_interval)
        # beside these: last, best, and a pair that is not whole yet
        pairs = (epochs if keep == "all" else min(keep, epochs)) + 2 + (training.valid is not None)
        room = room_for(
            training.save_dir,
            training.experiment.model,
            weights=stepper.classifier.model.state_dict(),
            optimizer=stepper.optimizer,
            averaged=stepper.averaging is not None,
            pairs=pairs,
            keep=keep,
        )
        log.say(str(room))
        fault = room.fault
    fault = gathered(fault)[0]
    if fault is not None:
        raise VideozooError(fault)


def _warn(training: Training, log: TrainingLog) -> None:
    """Says what will make a training, or its validations, worth little."""
    if is_first_process() and training.resume is None:
        settings = training.settings
        for sentence in first_warnings(
            training.train, training.valid, training.labels, settings.num_classes
        ):
            log.say(sentence)


def _trained(
    training: Training,
    position: Position,
    log: TrainingLog,
    evaluation: Evaluation | None,
    speed: float,
) -> Trained:
    best = training.path("best")
    there = gathered(best.exists())[0]  # nobody goes on before the first process has written
    return Trained(
        last=training.path("last"),
        best=best if there and training.valid is not None else None,
        evaluation=evaluation,
        unreadable=dict(position.unreadable),
        damaged=dict(position.damaged),
        videos_per_second=speed,
        waiting_for_data=log.share_waiting,
    )


def _listed_classes(
    training: Training, position: Position, log: TrainingLog
) -> ListedClasses | None:
    """Returns the classes of the training list, where something is to be balanced."""
    if "balanced" not in (training.settings.sampler, training.settings.class_weights):
        return None
    if not family_of(training.settings).takes_videos:  # a list of clips names them, records do not
        log.say(f"reading the classes of {len(training.train)} videos, to balance them")
    listed = listed_classes(training.train)
    position.unreadable |= listed.unreadable
    return listed


def _restore(
    training: Training, classifier: Classifier, optimizer: torch.optim.Optimizer
) -> Averaging | None:
    """Puts saved weights and moments in place; begins the average, or goes on with it."""
    state, decay = training.resume, training.settings.ema_decay
    if state is not None:
        classifier.model.load_state_dict(state.model)
        load_optimizer(optimizer, state.optimizer)
    if decay is None:
        return None
    averaging = Averaging(classifier, decay=decay)
    if state is not None and state.average is not None:
        averaging.load(state.average)
    return averaging
