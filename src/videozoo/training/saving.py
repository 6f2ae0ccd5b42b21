"""Checkpoints of a training: which are written when, and by whom.

A save is one act. It writes one pair of files, gives it all its names, and `last.state` last: only
with that has it happened. After a kill before, training goes on from the save before, and comes to
the same save again; what the killed one left is written over with the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch.optim import Optimizer

from videozoo.checkpoints.native import NativeCheckpoint, write_native
from videozoo.classifier import Classifier, native_checkpoint
from videozoo.config import Experiment
from videozoo.distributed import is_first_process
from videozoo.files import link_or_copy, replacing, sync_file
from videozoo.training.averaging import Averaging
from videozoo.training.save_folder import remove_old_epochs
from videozoo.training.state import Position, TrainingState, state_path, write_state


def checkpoint_path(save_dir: Path, model: str, name: str) -> Path:
    """Returns the weights file of a checkpoint's name: last, best, epoch3."""
    return save_dir / f"{model}_{name}.safetensors"


def save_training(paths: Sequence[Path], weights: NativeCheckpoint, state: TrainingState) -> None:
    """Writes weights and state under every path; the first one's state comes last.

    Args:
        paths: of the weights files; the states lie beside them.
        weights: what a user of the model needs.
        state: what training goes on from.
    """
    first, *others = paths
    with replacing(state_path(first)) as new_state, replacing(first) as new_weights:
        write_native(new_weights, weights)
        write_state(new_state, state)
        sync_file(new_weights)
        sync_file(new_state)
        for path in others:
            link_or_copy(new_weights, path)
            link_or_copy(new_state, state_path(path))


@dataclass
class Checkpoints:
    """Writes checkpoints: the first process does, where there are several.

    Attributes:
        save_dir: where.
        experiment: the config; [TRAIN] says how often to save within an epoch, and what stays.
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
        keep = self.experiment["TRAIN"].keep_epochs
        remove_old_epochs(self.save_dir, self.experiment.model, position.epoch, keep)
