"""Training state: what a run needs beside the weights to go on exactly where it was saved.

`X.safetensors` holds the weights for use, `X.state` beside it what training goes on from: the
weights again (of which the first file may hold the moving average), the average, the optimizer, the
position in the epoch, the best score so far and the samples that could not be read. One file holds
it all, so that a kill between two writes cannot mix two saves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from videozoo.checkpoints.native import NativeCheckpoint, save_native, with_todays_keys
from videozoo.checkpoints.torch_files import load_torch
from videozoo.config.keys import Settings
from videozoo.data.dataset import VideoDataset
from videozoo.errors import VideozooError, brief
from videozoo.files import link_or_copy, replacing

FORMAT = 2


@dataclass
class Position:
    """Where training stands; the loop alone moves it.

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

    def advance(self, unreadable: Mapping[int, tuple[str, str]], *, videos: int) -> None:
        """Moves on by a step, of so many videos that could be read and these that could not."""
        self.step += 1
        self.steps_done += 1
        self.videos += videos
        self.unreadable.update(unreadable)

    def take_score(self, score: float) -> bool:
        """Takes in the score of a validation; tells whether it is the best so far."""
        if isnan(score) or (self.best is not None and score <= self.best):
            self.worse += 1
            return False
        self.best, self.worse = score, 0
        return True


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
    """Writes the state; a file of that name is replaced at once or stays whole."""
    values = {
        "format": FORMAT,
        "position": asdict(state.position),
        "model": state.model,
        "optimizer": state.optimizer,
        "average": state.average,
    }
    with replacing(path) as temporary:
        torch.save(values, temporary)


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


def load_state(weights: Path, model: str) -> TrainingState:
    """Reads the state beside a weights file; runs no code that the file may carry.

    Args:
        weights: the weights file.
        model: the model's name: weights that had other names in 0.1.0 get today's.

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
        saved = load_torch(path)
        if fault := state_fault(saved):
            raise VideozooError(fault)
        return TrainingState(
            _position(saved["position"]),
            with_todays_keys(model, saved["model"]),
            saved["optimizer"],
            None if saved.get("average") is None else with_todays_keys(model, saved["average"]),
        )
    except Exception as error:  # torch.load fails in many ways; each means an unusable file
        raise VideozooError(
            f"{path}: cannot be read as a training state ({error}); resume from another one"
        ) from error


def state_fault(saved: Any) -> str | None:
    """Says what is wrong with the types of a saved state; None: nothing."""
    if not isinstance(saved, dict) or not isinstance(saved.get("position"), dict):
        return "it has no position"
    position = saved["position"]
    for key in ("epoch", "step", "steps_done", "worse", "videos"):
        value = position.get(key, 0)
        if type(value) is not int or not 0 <= value < 2**53:
            return f"its {key} is {brief(value)}"
    if not isinstance(position.get("best"), (float, int, type(None))):
        return f"its best is {brief(position['best'])}"
    for key in ("unreadable", "fingerprint"):
        if not isinstance(position.get(key, {}), dict):
            return f"its {key} is {brief(position[key])}"
    for number, pair in position.get("unreadable", {}).items():
        if not isinstance(number, int) or not isinstance(pair, (tuple, list)) or len(pair) != 2:
            return f"its unreadable sample {brief(number)} is {brief(pair)}"
    for key in ("model", "average"):
        tensors = saved.get(key)
        if key == "average" and tensors is None:
            continue
        if not isinstance(tensors, dict) or not all(
            isinstance(name, str) and isinstance(value, Tensor) for name, value in tensors.items()
        ):
            return f"its {key} is no weights"
    optimizer = saved.get("optimizer")
    groups = optimizer.get("param_groups") if isinstance(optimizer, dict) else None
    if not isinstance(groups, list) or not groups or not all(isinstance(g, dict) for g in groups):
        return "its optimizer has no parameter groups"
    return None


def _position(saved: dict[str, Any]) -> Position:
    position = Position(**saved)
    if "chunk_size" in position.fingerprint:  # its name until 0.1.0
        position.fingerprint["group_size"] = position.fingerprint.pop("chunk_size")
    return position


def load_optimizer(optimizer: Optimizer, saved: dict[str, Any]) -> None:
    """Goes on from saved moments; momentum, decays and shares of the rate are the config's.

    Raises:
        VideozooError: other parameter groups, or those of another optimizer, were saved.
    """
    given = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    mine = set(optimizer.state_dict()["param_groups"][0])
    theirs = set(saved["param_groups"][0])
    strange = sorted((theirs ^ mine) & {"betas", "rho", "momentum"})
    if strange:
        raise VideozooError(
            "--resume: the state of another optimizer was saved (they differ in"
            f" {', '.join(strange)}); resume with the optimizer that it was trained with"
        )
    try:
        optimizer.load_state_dict(saved)
    except ValueError as error:
        raise VideozooError(
            "--resume: the optimizer that was saved has other parameter groups; resume with the"
            f" optimizer and layer_decay that it was trained with ({error})"
        ) from None
    for group, keys in zip(optimizer.param_groups, given, strict=True):
        if keys.get("amsgrad") and not group.get("amsgrad"):
            raise VideozooError(
                "--resume: amsgrad needs moments that were not saved; resume without it"
            )
        group.update(keys)


def group_size(settings: Settings) -> int:
    """Returns how many samples go through the model together: the groups that batch norms see.

    Args:
        settings: of TRAIN.
    """
    return settings.micro_batch or -(-settings.batch_size // settings.num_gpus)


def fingerprint(settings: Settings, dataset: VideoDataset) -> dict[str, Any]:
    """Returns what must be the same for a resumed run to be exact.

    Args:
        settings: of TRAIN.
        dataset: the training samples.
    """
    names = hashlib.sha256()
    for index in range(0, len(dataset), max(1, len(dataset) // 1000)):
        names.update(dataset.name(index).encode("utf-8", "surrogateescape") + b"\0")
    free = settings.keys_of("free")
    return {
        "samples": len(dataset),
        "names": names.hexdigest()[:16],
        "batch_size": settings.batch_size,
        "group_size": group_size(settings),
        "seed": settings.seed,
        "settings": {k: v for k, v in settings.model_dump().items() if k not in free},
    }


def changes_since(
    theirs: Mapping[str, Any], mine: Mapping[str, Any], settings: Settings
) -> dict[str, tuple[Any, Any]]:
    """Compares two fingerprints: what was saved, what holds now.

    Args:
        theirs: of the checkpoint.
        mine: of the run that resumes it.
        settings: of TRAIN; a key that the checkpoint does not know yet had its default.

    Returns:
        Both values of every key that differs.
    """
    fields = type(settings).model_fields
    now = mine["settings"]
    before = {key: fields[key].default for key in now} | theirs.get("settings", {})
    changes = {key: (theirs.get(key), mine[key]) for key in mine if key != "settings"}
    changes |= {key: (before.get(key), now.get(key)) for key in {**before, **now}}
    if None in changes["schedule"]:
        del changes["epoch"]  # a model's own schedule may change its length, a cosine may not
    return {key: pair for key, pair in changes.items() if pair[0] != pair[1]}


def check_resume(position: Position, mine: dict[str, Any], settings: Settings) -> str | None:
    """Compares what decides the course of training with that of the checkpoint.

    Args:
        position: the checkpoint's.
        mine: the fingerprint of this run.
        settings: of TRAIN.

    Returns:
        A warning, where something has changed that may.

    Raises:
        VideozooError: within an epoch, what decides the order of the samples has changed.
    """
    changes = changes_since(position.fingerprint, mine, settings)
    if not changes:
        return None
    what = ", ".join(f"{key} was {was} and is {is_}" for key, (was, is_) in changes.items())
    deciding = {"samples", "names"} | settings.keys_of("order")  # which samples a step has
    if position.step and deciding & set(changes):
        raise VideozooError(
            f"--resume: the checkpoint was saved within an epoch of another training ({what});"
            " resume with the list, batch size, seed and sampler it was trained with"
        )
    return f"warning: resuming a training that has changed: {what}"
