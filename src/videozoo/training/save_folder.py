"""A training's save folder: one training at a time, what killed ones left, and its room."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor
from torch.optim import Optimizer

from videozoo.distributed import gathered, is_first_process
from videozoo.errors import VideozooError
from videozoo.files import is_temporary, only_run

Keep = int | Literal["all"]
FOLDER = "folder"  # what a training is called that writes lists for all models
_UNIT = 1e9  # bytes of a GB


@contextmanager
def one_training(save_dir: Path, name: str) -> Iterator[None]:
    """Keeps other trainings of the same name out of a folder.

    What killed trainings have left half written is removed first.

    Args:
        save_dir: the folder, which there is.
        name: the model's, or FOLDER.

    Raises:
        VideozooError: another training is at work there.
    """
    taken = VideozooError(
        f"{save_dir}: another training of {_words(name)} is at work there; wait for it, or give"
        " --save-dir another folder"
    )
    fault = None
    with ExitStack() as stack:
        if is_first_process():
            try:
                stack.enter_context(only_run(save_dir / f".{name}.lock", taken))
            except VideozooError as error:
                fault = str(error)
            except OSError:
                pass  # no lock can be made: nobody can be kept out
            if fault is None:
                _remove_leftovers(save_dir, name)
        fault = gathered(fault)[0]
        if fault is not None:
            raise VideozooError(fault)
        yield


def _words(name: str) -> str:
    return "a folder of videos" if name == FOLDER else name


def _remove_leftovers(save_dir: Path, model: str) -> None:
    own = re.compile(rf"\.({re.escape(model)}_(?:last|best|epoch\d+|curves|config)\.\w+)\.\w+\.tmp")
    for file in save_dir.glob(f".{model}_*.tmp"):
        found = own.fullmatch(file.name)
        if found is not None and is_temporary(file, found[1]):
            file.unlink(missing_ok=True)


def remove_old_epochs(save_dir: Path, model: str, epoch: int, keep: Keep) -> None:
    """Removes checkpoints of epochs up to this one, but for those of the newest `keep` ones."""
    if keep == "all":
        return
    name = re.compile(rf"{re.escape(model)}_epoch(\d+)\.(?:safetensors|state)")
    files: dict[int, list[Path]] = {}
    for file in save_dir.glob(f"{model}_epoch*"):
        found = name.fullmatch(file.name)
        if found is not None and int(found[1]) <= epoch:
            files.setdefault(int(found[1]), []).append(file)
    for old in sorted(files)[:-keep]:
        for file in files[old]:
            file.unlink(missing_ok=True)


def state_files(save_dir: Path, model: str) -> list[Path]:
    """Returns the states of a model's trainings but the last one's, the newest first."""
    name = re.compile(rf"{re.escape(model)}_(?:best|epoch\d+)\.state")
    files = [file for file in save_dir.glob(f"{model}_*.state") if name.fullmatch(file.name)]
    return sorted(files, key=lambda file: (file.stat().st_mtime_ns, file.name), reverse=True)


@dataclass(frozen=True)
class Room:
    """What the checkpoints of a training will take on the disk.

    Attributes:
        save_dir: where.
        bytes: at most, those that lie there included.
        there: bytes that lie there.
        free: bytes that are free.
        keep: see the key keep_epochs.
    """

    save_dir: Path
    bytes: int
    there: int
    free: int
    keep: Keep

    def __str__(self) -> str:
        stay = "every epoch's stay" if self.keep == "all" else f"the last {self.keep} epochs' stay"
        return (
            f"checkpoints will take up to {_size(self.bytes)} in {self.save_dir}, where"
            f" {_size(self.free + self.there)} are free or theirs; {stay} beside last and best"
            " (keep_epochs)"
        )

    @property
    def fault(self) -> str | None:
        """What to say where there is too little."""
        if self.bytes - self.there <= self.free:
            return None
        return (
            f"{self.save_dir}: too little room: the checkpoints of this training take up to"
            f" {_size(self.bytes - self.there)} more, and {_size(self.free)} are free; free some,"
            " give --save-dir a folder on another disk, or keep fewer epochs (--set"
            " TRAIN.keep_epochs=1)"
        )


def room_for(
    save_dir: Path,
    model: str,
    *,
    weights: Mapping[str, Tensor],
    optimizer: Optimizer,
    averaged: bool,
    pairs: int,
    keep: Keep,
) -> Room:
    """Returns what the checkpoints of a training will take.

    Args:
        save_dir: where they go.
        model: its name.
        weights: its state dict.
        optimizer: of its parameters.
        averaged: the average of the weights is saved too.
        pairs: of weights and state that lie there at once, at most.
        keep: see the key keep_epochs.
    """
    own = sum(value.nbytes for value in weights.values())
    learnt = sum(p.nbytes for group in optimizer.param_groups for p in group["params"])
    state = own + _moments(optimizer) * learnt + (own if averaged else 0)
    name = re.compile(rf"{re.escape(model)}_(?:last|best|epoch\d+)\.(?:safetensors|state)")
    there = {}
    for file in save_dir.glob(f"{model}_*"):
        if name.fullmatch(file.name):
            found = file.stat()
            there[found.st_dev, found.st_ino] = found.st_size
    free = shutil.disk_usage(save_dir).free
    return Room(save_dir, pairs * (own + state), sum(there.values()), free, keep)


def _moments(optimizer: Optimizer) -> int:
    """Returns how many values an optimizer keeps of each weight."""
    has = optimizer.defaults
    means = 2 if "betas" in has or "rho" in has else 0
    return means + bool(has.get("momentum")) + bool(has.get("amsgrad"))


def _size(number: int) -> str:
    if number < _UNIT / 10:
        return f"{max(1, round(number / 1e6))} MB"
    return f"{number / _UNIT:.1f} GB"
