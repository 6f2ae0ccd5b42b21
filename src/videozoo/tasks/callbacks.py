"""What happens between the steps: validation, checkpoints, going on from a saved training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import lightning as L
import torch.distributed as dist
from torch.optim import Optimizer

from videozoo.data.batches import Batch
from videozoo.errors import VideozooError
from videozoo.processes import process_place
from videozoo.tasks.averaging import Averaging
from videozoo.tasks.progress import StepReport
from videozoo.tasks.state import Position, TrainingState
from videozoo.tasks.task import VideoTask


class EpochEnd(L.Callback):
    """After an epoch: moves the position to the next, validates, saves.

    Args:
        position: of the training.
        validate: returns the metrics by name; None: there is no validation list.
        valid_interval: epochs between two validations.
        monitor: the metric whose highest value is best.
        save: writes a checkpoint under the names given.
        save_interval: epochs between two checkpoints that stay.
        epochs: of the whole training; the last epoch validates and saves in any case.
        meter: told of the time that this takes.
        patience: validations without a new best after which training ends; None: it does not.
        say: prints a line.
    """

    def __init__(
        self,
        *,
        position: Position,
        validate: Callable[[int], dict[str, float]] | None,
        valid_interval: int,
        monitor: str,
        save: Callable[[list[str]], None],
        save_interval: int,
        epochs: int,
        meter: StepReport,
        patience: int | None,
        say: Callable[[str], None],
    ) -> None:
        self.patience = patience
        self.say = say
        self.position = position
        self.validate = validate
        self.valid_interval = valid_interval
        self.monitor = monitor
        self.save = save
        self.save_interval = save_interval
        self.epochs = epochs
        self.meter = meter
        self._videos_before: int | None = None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Notes what has been read before; an epoch gone on with does not tell."""
        self._videos_before = self.position.videos if self.position.step == 0 else None

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Validates and saves.

        Raises:
            VideozooError: not one sample of the epoch could be read.
        """
        assert isinstance(pl_module, VideoTask)
        _share_unreadable(self.position)
        if self.position.videos == self._videos_before:
            _, reason = next(iter(self.position.unreadable.values()))
            raise VideozooError(
                f"not one of the {len(self.position.unreadable)} training samples could be read;"
                f" the first: {reason}"
            )
        pl_module.share_buffers()
        with self.meter.paused():
            trainer.should_stop = self._validate_and_save(trainer.current_epoch)

    def _validate_and_save(self, epoch: int) -> bool:
        """Returns whether training ends here, before its last epoch."""
        position, final, names = self.position, epoch + 1 == self.epochs, ["last"]
        stops = False
        if self.validate is not None and ((epoch + 1) % self.valid_interval == 0 or final):
            self.save(["last"])  # whatever happens in validation, the epoch is not lost
            score = self.validate(epoch)[self.monitor]
            if position.best is None or score > position.best:
                position.best, position.worse = score, 0
                names.append("best")
            else:
                position.worse += 1
            stops = not final and stopped_early(position, self.patience)
        if (epoch + 1) % self.save_interval == 0 or final or stops:
            names.insert(1, f"epoch{epoch + 1}")
        position.epoch, position.step = epoch + 1, 0
        self.save(names)
        if stops:
            self.say(
                f"training ends early: no new best {self.monitor} in {position.worse} validations"
            )
        return stops


def stopped_early(position: Position, patience: int | None) -> bool:
    """Returns whether there have been as many validations without a new best as are borne with."""
    return patience is not None and position.worse >= patience


def _share_unreadable(position: Position) -> None:
    """Gives every process what the others could not read."""
    _, world = process_place()
    if world == 1:
        return
    shares: list[dict[int, tuple[str, str]] | None] = [None] * world
    dist.all_gather_object(shares, position.unreadable)
    for share in shares:
        position.unreadable.update(share or {})


class SaveWithin(L.Callback):
    """Saves within an epoch: every N steps, or every N minutes.

    Args:
        position: of the training.
        save: writes a checkpoint under the names given.
        steps: N steps; None: never.
        minutes: N minutes; None: never.
        meter: told of the time that saving takes.
    """

    def __init__(
        self,
        *,
        position: Position,
        save: Callable[[list[str]], None],
        steps: int | None,
        minutes: float | None,
        meter: StepReport,
    ) -> None:
        self.meter = meter
        self.position = position
        self.save = save
        self.steps = steps
        self.minutes = minutes
        self._saved_at = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Saves after a step where it is time to."""
        assert batch.chunk is not None
        if not batch.chunk.last:
            return
        due = self.steps is not None and self.position.steps_done % self.steps == 0
        if self.minutes is not None and time.monotonic() - self._saved_at >= 60 * self.minutes:
            due = True
        if due:
            with self.meter.paused():
                self.save(["last"])
            self._saved_at = time.monotonic()


class Restore(L.Callback):
    """Puts saved weights and optimizer state in place, when Lightning has built them.

    Args:
        state: the training to go on with; None: training begins.
        ema_decay: see Averaging; None: weights are not averaged.
    """

    def __init__(self, state: TrainingState | None, *, ema_decay: float | None) -> None:
        self.state = state
        self.ema_decay = ema_decay

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Loads the state; begins the average, or goes on with it.

        Raises:
            VideozooError: the optimizer has other parameter groups than were saved.
        """
        assert isinstance(pl_module, VideoTask)
        state, classifier = self.state, pl_module.classifier
        if state is not None:
            classifier.model.load_state_dict(state.model)
            _load_optimizer(trainer.optimizers[0], state.optimizer)
        if self.ema_decay is not None:
            pl_module.averaging = Averaging(classifier, decay=self.ema_decay)
            if state is not None and state.average is not None:
                pl_module.averaging.load(state.average)


def _load_optimizer(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """Goes on from saved moments; momentum, decays and shares of the rate are the config's.

    Raises:
        VideozooError: other parameter groups were saved.
    """
    given = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    try:
        optimizer.load_state_dict(saved)
    except ValueError as error:
        raise VideozooError(
            "--resume: the optimizer that was saved has other parameter groups; resume"
            f" with the layer_decay that it was trained with ({error})"
        ) from None
    for group, keys in zip(optimizer.param_groups, given, strict=True):
        group.update(keys)
