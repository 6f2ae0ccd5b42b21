"""Checkpoints of a training: which are written when, and by whom."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch.optim import Optimizer

from videozoo.classifier import Classifier, native_checkpoint
from videozoo.config import Experiment
from videozoo.distributed import is_first_process
from videozoo.training.averaging import Averaging
from videozoo.training.state import Position, TrainingState, save_training


def checkpoint_path(save_dir: Path, model: str, name: str) -> Path:
    """Returns the weights file of a checkpoint's name: last, best, epoch3."""
    return save_dir / f"{model}_{name}.safetensors"


@dataclass
class Checkpoints:
    """Writes checkpoints: the first process does, where there are several.

    Attributes:
        save_dir: where.
        experiment: the config; [TRAIN] says how often to save within an epoch.
        labels: class names, which ride in the checkpoints.
        learner: the classifier that is trained.
        optimizer: of its parameters.
        averaging: of its weights; None: they are not averaged.
    """

    save_dir: Path
    experiment: Experiment
    labels: list[str] | None
    learner: Classifier
    optimizer: Optimizer
    averaging: Averaging | None = None
    _saved_at: float = field(default_factory=time.monotonic, init=False)

    @property
    def classifier(self) -> Classifier:
        """What is validated and used: the average where there is one."""
        return self.learner if self.averaging is None else self.averaging.classifier

    def is_due(self, position: Position) -> bool:
        """Tells whether to save after this step: every N steps, or every N minutes."""
        settings = self.experiment["TRAIN"]
        steps, minutes = settings.save_every_steps, settings.save_every_minutes
        if steps is not None and position.steps_done % steps == 0:
            return True
        return minutes is not None and time.monotonic() - self._saved_at >= 60 * minutes

    def save(self, names: Sequence[str], position: Position) -> None:
        """Writes weights and training state under every name."""
        self._saved_at = time.monotonic()
        if not is_first_process():
            return
        state = TrainingState(
            position,
            self.learner.model.state_dict(),
            self.optimizer.state_dict(),
            None if self.averaging is None else self.averaging.state(),
        )
        weights = native_checkpoint(self.classifier, self.experiment, self.labels)
        paths = [checkpoint_path(self.save_dir, self.experiment.model, name) for name in names]
        save_training(paths, weights, state)
