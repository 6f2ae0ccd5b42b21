"""Runs trainings in forks of one process, since importing PyTorch takes seconds.

python forked_training.py '[{"arguments": ["train", ...], "place": "step", "at": 5}, ...]'

With a place, a training ends itself there by SIGKILL: nothing that a clean exit would do is done.

    place "step":       after step `at` and the save that may have followed it
    place "validated":  at the end of the epoch that ends with step `at`, validated but not saved
    place "rename":     before rename, replacement or link number `at`
    place "second":     after so many seconds of training

"signal" instead of "place" sends that signal to the process itself after step `at`. With "copies",
links cannot be made, so files are copied. With "full", writing fails when so many bytes are there.

"reads" is a folder in which each process names, in a file by its rank, what its data sets read.

With "processes", so many forks train together, as torchrun would start them. Prints
the exit codes of all forks, one list a training; a killed one has minus the signal.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from torchmetrics import Metric

import videozoo.training.train
from videozoo.cli.main import main
from videozoo.data.clips.dataset import ClipDataset
from videozoo.data.sample import ClipSample
from videozoo.data.youtube8m.tfrecord import RecordReader
from videozoo.training.saving import Checkpoints
from videozoo.training.state import Position
from videozoo.training.step import MicroBatches, Stepper, StepResult

# What trainings import when they need it: once here, not in every fork.
PREPARED = (SummaryWriter, Metric, videozoo.training.train)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(place: str, at: int) -> None:
    """Lets the training that follows kill itself."""
    is_due, save = Checkpoints.is_due, Checkpoints.save

    def killing_is_due(self: Checkpoints, position: Position) -> bool:
        """After the step, and behind the save where one is due."""
        due = is_due(self, position)
        if place == "step" and position.steps_done == at:
            if due:
                save(self, ["last"], position)
            die()
        return due

    def killing_save(self: Checkpoints, names: list[str], position: Position) -> None:
        at_the_end = position.step == 0  # of the next epoch: this one is validated
        if place == "validated" and at_the_end and position.steps_done == at:
            die()
        save(self, names, position)

    Checkpoints.is_due = killing_is_due  # type: ignore[method-assign]
    Checkpoints.save = killing_save  # type: ignore[method-assign,assignment]


def die_at_rename(at: int) -> None:
    """Lets this process kill itself before the rename or link of this number, from 0."""
    count = 0

    def killing(call: Callable[..., None]) -> Callable[..., None]:
        def counted(*given: Any, **named: Any) -> None:
            nonlocal count
            if count == at:
                die()
            count += 1
            call(*given, **named)

        return counted

    for name in ("replace", "rename", "link"):
        setattr(os, name, killing(getattr(os, name)))


def copies_only() -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    os.link = refuse


def signal_at(number: int, at: int) -> None:
    step = Stepper.__call__

    def signalling(self: Stepper, batches: MicroBatches, steps_done: int) -> StepResult:
        result = step(self, batches, steps_done)
        if steps_done + 1 == at:
            os.kill(os.getpid(), number)
        return result

    Stepper.__call__ = signalling  # type: ignore[method-assign]


def train(training: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    if training.get("copies"):
        copies_only()
    if "full" in training:
        resource.setrlimit(resource.RLIMIT_FSIZE, (training["full"], resource.RLIM_INFINITY))
    if "reads" in training:
        note_reads(training["reads"])
    if "signal" in training and int(os.environ.get("RANK", "0")) in training.get("ranks", [0, 1]):
        signal_at(training["signal"], training["at"])
    elif training.get("place") == "rename":
        die_at_rename(training["at"])
    elif training.get("place") == "second":
        threading.Timer(training["at"], die).start()
    elif "place" in training:
        die_at(training["place"], training["at"])
    main(training["arguments"])


def note_reads(folder: str) -> None:
    """Lets this process write down the records and clips that it reads from here on."""
    reads = open(os.path.join(folder, os.environ.get("RANK", "0")), "w", buffering=1)  # noqa: SIM115
    record, clip = RecordReader.read, ClipDataset.read

    def read_record(self: RecordReader, path: Path, offset: int, length: int) -> bytes:
        reads.write(f"{path}#{offset}\n")
        return record(self, path, offset, length)

    def read_clip(self: ClipDataset, index: int, *given: Any) -> ClipSample:
        reads.write(f"{self.name(index)}\n")
        return clip(self, index, *given)

    RecordReader.read = read_record  # type: ignore[method-assign]
    ClipDataset.read = read_clip  # type: ignore[method-assign,assignment]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def run(training: dict[str, Any]) -> list[int]:
    """Returns the exit codes of a training's forks."""
    count = training.get("processes", 1)
    port = str(free_port())
    children = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            if count > 1:
                os.environ.update(
                    RANK=str(rank),
                    LOCAL_RANK=str(rank),
                    WORLD_SIZE=str(count),
                    MASTER_ADDR="127.0.0.1",
                    MASTER_PORT=port,
                )
            code = 0
            try:
                train(training)
            except SystemExit as end:
                code = int(end.code or 0)
            sys.stdout.flush()
            os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


if __name__ == "__main__":
    ends = [run(training) for training in json.loads(sys.argv[1])]
    print(json.dumps(ends))
