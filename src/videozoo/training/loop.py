"""The training loop. It alone moves the position; what is saved is what it holds between steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from rich.console import Console

from videozoo.classifier import Classifier
from videozoo.config import Experiment
from videozoo.config.keys import Settings
from videozoo.data.batch import Batch
from videozoo.data.dataset import VideoDataset
from videozoo.data.loader import FatalDataError, make_loader, or_placeholder
from videozoo.data.sample import Damaged, Unreadable
from videozoo.data.sampler import StepSampler
from videozoo.distributed import process_place
from videozoo.errors import VideozooError
from videozoo.evaluate import Evaluation, evaluate
from videozoo.families import family_of
from videozoo.stopping import Stop
from videozoo.training.balance import ListedClasses
from videozoo.training.distill import Teacher
from videozoo.training.log import TrainingLog
from videozoo.training.saving import Checkpoints, checkpoint_path
from videozoo.training.state import Position, TrainingState, group_size
from videozoo.training.step import MicroBatches, Stepper
from videozoo.training.unreadable import (
    by_class,
    lost_classes,
    lost_warnings,
    nothing_read,
    share_unreadable,
    too_many,
    too_many_error,
    validation_warnings,
)


@dataclass
class Training:
    """What a training is made of.

    Attributes:
        experiment: the config.
        classifier: with its first weights.
        train: the training samples.
        valid: the validation samples; None: no validation.
        labels: class names, for the checkpoints.
        save_dir: folder of checkpoints and curves.
        resume: the state to go on from; None: from the beginning.
        valid_interval, save_interval: epochs between two validations, two checkpoints that stay.
        log_interval: steps between two lines.
        device: of this process.
        console: where to print.
        teachers: whose scores are learnt beside the labels.
        stop: whether this process has been asked to stop.
        again: the command that goes on with this training; None: it was started in Python.
    """

    experiment: Experiment
    classifier: Classifier
    train: VideoDataset
    valid: VideoDataset | None
    labels: list[str] | None
    save_dir: Path
    resume: TrainingState | None = None
    valid_interval: int = 1
    save_interval: int = 1
    log_interval: int = 10
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    console: Console = field(default_factory=lambda: Console(quiet=True))
    teachers: list[Teacher] = field(default_factory=list)
    stop: Stop = field(default_factory=Stop)
    again: str | None = None

    @property
    def settings(self) -> Settings:
        """The settings of TRAIN."""
        settings: Settings = self.experiment["TRAIN"]
        return settings

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return -(-len(self.train) // self.settings.batch_size)

    def path(self, name: str) -> Path:
        """Returns the weights file of a checkpoint's name: last, best, epoch3."""
        return checkpoint_path(self.save_dir, self.experiment.model, name)

    @property
    def splits_groups(self) -> bool:
        """There are more processes than groups in a step, so that each is spread over all."""
        groups = -(-self.settings.batch_size // group_size(self.settings))
        return process_place()[1] > groups

    @property
    def at_once(self) -> int:
        """Samples that one process takes through the model together."""
        size = group_size(self.settings)
        return -(-size // process_place()[1]) if self.splits_groups else size


@dataclass
class Trained:
    """What a training left: its checkpoints, the last validation, and how it went."""

    last: Path
    best: Path | None
    evaluation: Evaluation | None
    unreadable: dict[int, tuple[str, str]]
    damaged: dict[int, tuple[str, str]]
    videos_per_second: float
    waiting_for_data: float


def train_epochs(
    training: Training,
    position: Position,
    stepper: Stepper,
    checkpoints: Checkpoints,
    log: TrainingLog,
    listed: ListedClasses | None,
) -> Evaluation | None:
    """Trains from a position to the last epoch; returns the last validation.

    Raises:
        VideozooError: too little can be read, or training diverged.
        StoppedError, KeyboardInterrupt: it was asked to stop, has saved and said so.
    """
    settings, evaluation, stop = training.settings, None, training.stop
    listed_train = by_class(training.train)
    sampler, batches = _batches(training, position, stepper, listed)
    monitor = family_of(settings).monitor
    log.start()
    for epoch in range(position.epoch, settings.epoch):
        sampler.set_epoch(epoch)
        videos_before = position.videos if position.step == 0 else None
        with log.epoch(epoch, done=position.step):
            for step in log.waiting(steps_of(batches)):
                result = stepper(step, position.steps_done)
                skipped = step_size(step) - result.videos
                position.advance(unreadable_in(step), videos=result.videos, skipped=skipped)
                position.damaged |= damaged_in(step)
                log.step(position, result)
                if checkpoints.is_due(position) or result.stop:
                    with log.paused():
                        checkpoints.save(["last"], position)
                if result.stop:
                    raise _stopped(training, position, log)
                if too_many(position, training.steps, len(training.train), settings):
                    if position.videos:
                        checkpoints.save(["last"], position)
                    raise too_many_error(position, len(training.train), settings)
                del step  # its batches' memory is for those to come
        share_unreadable(position)
        if position.videos == videos_before:
            raise nothing_read(position)
        if epoch == 0:
            lost = lost_classes(listed_train, position.unreadable)
            for warning in lost_warnings(listed_train, lost, training.labels, "training"):
                log.say(warning)
        with log.paused():
            final, ends, names = epoch + 1 == settings.epoch, False, ["last"]
            if training.valid and (final or (epoch + 1) % training.valid_interval == 0):
                checkpoints.save(["last"], position)  # whatever validation does, this is not lost
                try:
                    evaluation = validate(training, checkpoints.classifier)
                except VideozooError:
                    if stop.agreed():
                        raise _stopped(training, position, log) from None
                    raise
                log.validation(position, evaluation)
                for warning in validation_warnings(training.valid, evaluation, training.labels):
                    log.say(warning)
                metrics = evaluation.metrics
                if position.take_score(metrics[monitor], metrics.get("loss")):
                    names.append("best")
                ends = not final and patience_has_run_out(position, settings.early_stopping)
            if final or ends or (epoch + 1) % training.save_interval == 0:
                names.insert(1, f"epoch{epoch + 1}")
            position.end_epoch()
            checkpoints.save(names, position)
        if stop.agreed():
            raise _stopped(training, position, log)
        if ends:
            count = position.worse
            log.say(f"training ends early: no new best {monitor} in {count} validations")
            break
    return evaluation


def steps_of(batches: Iterable[Batch | FatalDataError]) -> Iterator[MicroBatches]:
    """Yields the micro-batches of one step after another."""
    step: list[Batch | FatalDataError] = []
    for batch in batches:
        step.append(batch)
        part = or_placeholder(batch).micro_batch
        assert part is not None
        if part.last:
            yield step
            step = []


def step_size(step: MicroBatches) -> int:
    """Returns the samples of a step, over all processes."""
    part = or_placeholder(step[0]).micro_batch
    assert part is not None
    return part.step_size


def unreadable_in(step: MicroBatches) -> dict[int, tuple[str, str]]:
    """Returns name and reason, by index, of the samples of a step that could not be read."""
    return _named(one for batch in step for one in or_placeholder(batch).unreadable)


def damaged_in(step: MicroBatches) -> dict[int, tuple[str, str]]:
    """Returns what is missing, with the name, by index, of the samples read in part."""
    return _named(one for batch in step for one in or_placeholder(batch).damaged)


def _named(found: Iterable[Unreadable | Damaged]) -> dict[int, tuple[str, str]]:
    return {one.index: (one.video, one.reason) for one in found}


def validate(training: Training, classifier: Classifier) -> Evaluation:
    """Tests on the validation list, in groups no larger than those that training has room for."""
    assert training.valid is not None
    settings = training.experiment["VALID"]
    if settings.micro_batch is None:
        size = min(settings.batch_size, training.at_once)
        settings = settings.model_copy(update={"micro_batch": size})
    return evaluate(
        classifier,
        training.valid,
        settings=settings,
        device=training.device,
        report=lambda done, of: training.stop.check(),
        say=lambda text: training.console.print(text, highlight=False, soft_wrap=True),
    )


def patience_has_run_out(position: Position, patience: int | None) -> bool:
    """Returns whether there have been `patience` validations without a new best."""
    return patience is not None and position.worse >= patience


def _batches(
    training: Training, position: Position, stepper: Stepper, listed: ListedClasses | None
) -> tuple[StepSampler, Iterable[Batch | FatalDataError]]:
    """Returns what orders this process's samples, and the loader of their micro-batches."""
    settings, (rank, world) = training.settings, process_place()
    sampler = StepSampler(
        len(training.train),
        batch_size=settings.batch_size,
        micro_batch_size=group_size(settings),
        split_groups=training.splits_groups,
        shuffle=True,
        seed=settings.seed,
        rank=rank,
        world=world,
        groups=training.train.read_groups,
        classes=listed.classes if listed and settings.sampler == "balanced" else None,
    )
    sampler.resume_at(position.epoch, position.step)
    loader = make_loader(
        training.train,
        sampler,
        training=True,
        num_workers=settings.num_workers,
        seed=settings.seed,
        policy=stepper.regulariser.policy,
        pin_memory=training.device.type == "cuda",
        reader_timeout=settings.reader_timeout,
        say=lambda text: training.console.print(text, highlight=False, soft_wrap=True),
    )
    return sampler, loader


def _stopped(training: Training, position: Position, log: TrainingLog) -> BaseException:
    """Says what is saved and what goes on from there; returns the error that ends training."""
    stop = training.stop
    stop.agreed()  # also: nobody ends before the first process has saved
    where = f"epoch {position.epoch + 1}, step {position.step}"
    again = training.again or 'train(..., resume="auto")'
    log.say(
        f"stopped by {stop.name}; saved as {training.path('last')}, to go on at {where} with:\n"
        f"  {again}"
    )
    stop.told = True
    return stop.end()
