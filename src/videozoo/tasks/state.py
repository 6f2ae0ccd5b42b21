"""Training state: what a run needs beside the weights to go on exactly where it was saved.

`X.safetensors` holds the weights for use, `X.state` beside it what training goes on from: the
weights again (of which the first file may hold the moving average), the average, the optimizer, the
position in the epoch, the best score so far and the samples that could not be read. One file holds
it all, so that a kill between two writes cannot mix two saves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videozoo.checkpoints.native import NativeCheckpoint, save_native
from videozoo.errors import VideozooError
from videozoo.files import link_or_copy, replacing


@dataclass
class Position:
    """Where training stands.

    Attributes:
        epoch: the epoch under way, from 0.
        step: its next step, from 0.
        steps_done: steps since the beginning.
        best: the best validation score so far.
        worse: validations since then.
        videos: videos trained on since the beginning.
        unreadable: name and reason, by index, of the samples that could not be read so far.
        fingerprint: of list, batch size and seed; a resumed run must have the same to be exact.
    """

    epoch: int = 0
    step: int = 0
    steps_done: int = 0
    best: float | None = None
    worse: int = 0
    videos: int = 0
    unreadable: dict[int, tuple[str, str]] = field(default_factory=dict)
    fingerprint: dict[str, Any] = field(default_factory=dict)


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


def save_state(path: Path, state: TrainingState) -> None:
    """Writes the state in one step."""
    values = {
        "position": asdict(state.position),
        "model": state.model,
        "optimizer": state.optimizer,
        "average": state.average,
    }
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save(values, file)


def save_training(paths: Sequence[Path], weights: NativeCheckpoint, state: TrainingState) -> None:
    """Writes weights and state under the first path, and links the others to them.

    Args:
        paths: of the weights files; the states lie beside them.
        weights: what a user of the model needs.
        state: what training goes on from.
    """
    first = paths[0]
    save_native(first, weights)
    save_state(state_path(first), state)
    for path in paths[1:]:
        link_or_copy(first, path)
        link_or_copy(state_path(first), state_path(path))


def load_state(weights: Path) -> TrainingState:
    """Reads the state beside a weights file; runs no code that the file may carry.

    Raises:
        VideozooError: the state is missing or unreadable.
    """
    path = state_path(weights)
    if not path.is_file():
        raise VideozooError(
            f"--resume {weights}: there is no {path.name} beside it, so there is no training to go"
            f" on with; to start a new one from these weights give --pretrain {weights}"
        )
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return TrainingState(
            Position(**saved["position"]),
            saved["model"],
            saved["optimizer"],
            saved.get("average"),
        )
    except Exception as error:  # torch.load fails in many ways; each means an unusable file
        raise VideozooError(
            f"{path}: cannot be read as a training state ({error}); resume from another one"
        ) from error
