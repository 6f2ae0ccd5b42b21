"""What the workers of a cluster are, what they do, and what they tell."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from videozoo.errors import VideozooError
from videozoo.shards import Shard

DEATHS = 3  # of workers in a row, with nothing more done of a shard
CORES_A_WORKER = 2  # without a GPU: one for the model, one that reads ahead
TOLD = 0.1  # seconds between two words of a worker
DIED = "died"  # a worker's answer for a shard that too many have died of
Tell = Callable[[str, int, int], None]
"""Told what is done, and how much of how much."""
DoShard = Callable[[Shard, Tell], str | None]
"""Does a shard in a worker; returns why it cannot be done, in a sentence."""


@dataclass(frozen=True)
class Sizes:
    """What workers are given, and how many there is room for now."""

    workers: int
    cores: int
    gpus: int

    @classmethod
    def of(cls, nodes: Sequence[Mapping[str, Any]], use_gpu: bool) -> Sizes:
        """Returns what suits a cluster.

        Args:
            nodes: as ray.nodes() has them.
            use_gpu: take GPUs, where it has any.

        Raises:
            VideozooError: it has no cores.
        """
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        rooms = [(int(r.get("CPU", 0)), int(r.get("GPU", 0))) for r in alive]
        if not any(cores for cores, _ in rooms):
            raise VideozooError("--cluster ray: the cluster has no cores for workers")
        with_gpu = [(cores, gpus) for cores, gpus in rooms if gpus and cores >= gpus]
        if use_gpu and with_gpu:
            cores = min(cores // gpus for cores, gpus in with_gpu)
            return cls(sum(gpus for _, gpus in with_gpu), cores, 1)
        cores = min(CORES_A_WORKER, max(cores for cores, _ in rooms))
        return cls(sum(own // cores for own, _ in rooms), cores, 0)


class Board:
    """What workers have told of their shards: one of its kind, on the machine of the command.

    Args:
        sizes: samples of each shard.
        many: they are of several lists, which a worker does one after the other.
    """

    def __init__(self, sizes: Sequence[int], many: bool) -> None:
        self._sizes, self._many = sizes, many
        self._told: dict[int, dict[str, tuple[int, int]]] = {}  # left, total
        self._begun: dict[int, int] = {}
        self._deaths = 0

    def begin(self, number: int) -> bool:
        """Says whether a shard may be begun: too many workers may have died of it."""
        self._deaths += number in self._begun
        self._begun[number] = self._begun.get(number, 0) + 1
        return self._begun[number] <= DEATHS

    def tell(self, number: int, what: str, done: int, total: int) -> None:
        """Takes in how much is done of a shard; what comes again after a death is no news."""
        told, left = self._told.setdefault(number, {}), total - done
        if what not in told or left < told[what][0]:
            told[what] = left, total
            self._begun[number] = 1

    def done(self) -> tuple[int, int]:
        """Returns how many samples are done, and how many workers have died of theirs."""
        return sum(map(self.done_of, self._told)), self._deaths

    def done_of(self, number: int) -> int:
        """Returns how many samples of a shard are done."""
        told = self._told.get(number, {}).values()
        if self._many:
            return sum(total - left for left, total in told)
        return max((self._sizes[number - 1] - left for left, _ in told), default=0)


class Worker:
    """Does shards, one after the other, in a process of its own.

    Args:
        do: does one.
        count: of the shards.
        board: the actor that is told.
        folder: where the command was typed.
        environment: variables of the command's that are for its workers too.
    """

    def __init__(
        self, do: DoShard, count: int, board: Any, folder: str, environment: Mapping[str, str]
    ) -> None:
        os.chdir(folder)
        os.environ.update(environment)
        self._do, self._count, self._board = do, count, board

    def __call__(self, rows: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Does the shard of a row; returns its number and what went wrong, "" where nothing did."""
        import ray

        (number,) = map(int, rows["number"])
        said = 0.0

        def tell(what: str, done: int, total: int) -> None:
            nonlocal said
            if done == total or time.monotonic() - said > TOLD:
                self._board.tell.remote(number, what, done, total)
                said = time.monotonic()

        fault: str | None = DIED
        if ray.get(self._board.begin.remote(number)):
            fault = self._do(Shard(number, self._count), tell)
        return {"number": [number], "fault": [fault or ""]}
