"""Training state: what a run needs beside the weights to go on exactly where it was saved.

`X.safetensors` holds the weights for use, `X.state` beside it what training goes on from: the
weights again (of which the first file may hold the moving average), the average, the optimizer, the
position in the epoch, the best score so far and the samples that could not be read. One file holds
it all, so that a kill between two writes cannot mix two saves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isnan
from pathlib import Path
from types import NoneType
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from videozoo.checkpoints import checksum
from videozoo.checkpoints.native import with_todays_keys
from videozoo.checkpoints.torch_files import load_torch
from videozoo.config.keys import Settings
from videozoo.errors import FileError, VideozooError

FORMAT = 2
ANOTHER = "; resume from another one"  # ends what is said of a damaged one


@dataclass
class Position:
    """Where training stands; the loop alone moves it.

    Attributes:
        epoch: the epoch under way, from 0.
        step: its next step, from 0.
        steps_done: steps since the beginning.
        best: the best validation score so far.
        best_loss: the lowest loss of a validation with that score.
        worse: validations since then.
        videos: videos trained on since the beginning.
        skipped: samples of this epoch that could not be read, over all processes.
        unreadable: name and reason, by index, of the samples that could not be read so far.
        damaged: likewise of those that were read though something is known to be missing of them.
        fingerprint: of list, batch size and seed; a resumed run must have the same to be exact.
    """

    epoch: int = 0
    step: int = 0
    steps_done: int = 0
    best: float | None = None
    best_loss: float | None = None
    worse: int = 0
    videos: int = 0
    skipped: int = 0
    unreadable: dict[int, tuple[str, str]] = field(default_factory=dict)
    damaged: dict[int, tuple[str, str]] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)

    def advance(
        self, unreadable: Mapping[int, tuple[str, str]], *, videos: int, skipped: int = 0
    ) -> None:
        """Moves on by a step, of so many videos that could be read and so many that could not."""
        self.step += 1
        self.steps_done += 1
        self.videos += videos
        self.skipped += skipped
        self.unreadable.update(unreadable)

    def end_epoch(self) -> None:
        """Moves on to the next epoch."""
        self.epoch, self.step, self.skipped = self.epoch + 1, 0, 0

    def take_score(self, score: float, loss: float | None = None) -> bool:
        """Takes in the score of a validation; tells whether it is the best so far.

        Of equal scores the one with the lower loss is better.
        """
        known = loss is not None and self.best_loss is not None
        lower = known and score == self.best and loss < self.best_loss  # type: ignore[operator]
        if isnan(score) or not (self.best is None or score > self.best or lower):
            self.worse += 1
            return False
        self.best, self.best_loss, self.worse = score, loss, 0
        return True


class DamagedStateError(VideozooError):
    """A training state cannot be read; another one may be."""


def state_path(weights: Path) -> Path:
    """Returns the state file that belongs to a weights file."""
    return weights.with_suffix(".state")


@dataclass
class TrainingState:
    """All that a run goes on from: position, weights, the optimizer's state, averaged weights."""

    position: Position
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    average: dict[str, Tensor] | None = None


def write_state(path: Path, state: TrainingState) -> None:
    """Writes the state under its name at once."""
    values = {
        "format": FORMAT,
        "position": asdict(state.position),
        "model": state.model,
        "optimizer": state.optimizer,
        "average": state.average,
    }
    with path.open("wb") as file:
        noting = _Noting(file)
        try:
            torch.save(values, cast(BinaryIO, noting))
        except RuntimeError:  # which hides an OSError
            if noting.error is not None:
                raise noting.error from None
            raise
    checksum.seal(path)


class _Noting:
    """A file that keeps the error that writing to it has raised."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            return self.file.write(data)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self.file.flush()


def load_state(weights: Path, model: str) -> TrainingState:
    """Reads the state beside a weights file; runs no code that the file may carry.

    Args:
        weights: the weights file.
        model: the model's name: weights that had other names in 0.1.0 get today's.

    Raises:
        DamagedStateError: the state is unreadable.
        VideozooError: it is missing.
    """
    path = state_path(weights)
    if not path.is_file():
        raise VideozooError(
            f"--resume {weights}: there is no {path.name} beside it, so there is no training to go"
            f" on with; to start a new one from these weights give --pretrain {weights}"
        )
    try:
        checksum.check_seal(path)
        saved = load_torch(path)
        average = saved.get("average")
        return TrainingState(
            _position(saved["position"]),
            with_todays_keys(model, _tensors(saved["model"])),
            _optimizer_state(saved["optimizer"]),
            None if average is None else with_todays_keys(model, _tensors(average)),
        )
    except Exception as error:  # damaged, of another form, or with values of other types
        reason = error.reason if isinstance(error, FileError) else str(error).partition("\n")[0]
        raise DamagedStateError(
            f"{path}: cannot be read as a training state ({reason}){ANOTHER}"
        ) from None


def _position(saved: Mapping[str, Any]) -> Position:
    position = Position(**saved)
    counts = (position.epoch, position.step, position.steps_done, position.worse, position.videos)
    if any(type(n) is not int or not 0 <= n < 2**53 for n in (*counts, position.skipped)):
        raise ValueError("a number of its position is none")
    if any(type(n) not in (int, float, NoneType) for n in (position.best, position.best_loss)):
        raise ValueError("its best score is no number")
    for index, (name, why) in position.unreadable.items():
        if not (isinstance(index, int) and isinstance(name, str) and isinstance(why, str)):
            raise ValueError("its unreadable samples are none")
    if "chunk_size" in position.fingerprint:  # its name until 0.1.0
        position.fingerprint["group_size"] = position.fingerprint.pop("chunk_size")
    return position


def _tensors(saved: Any) -> dict[str, Tensor]:
    if not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in saved.items()):
        raise ValueError("its weights are no tensors")
    return dict(saved)


def _optimizer_state(saved: Any) -> dict[str, Any]:
    groups = saved["param_groups"]
    if not groups or not all(isinstance(one, dict) for one in [saved["state"], *groups]):
        raise ValueError("it holds no optimizer")
    return dict(saved)


def group_size(settings: Settings) -> int:
    """Returns how many samples go through the model together: the groups that batch norms see.

    Args:
        settings: of TRAIN.
    """
    return settings.micro_batch or -(-settings.batch_size // settings.num_gpus)
