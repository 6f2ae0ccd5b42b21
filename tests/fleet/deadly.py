"""Workers that note what they do, and die of it, as tests of clusters want it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videozoo import parts
from videozoo.cli import cluster
from videozoo.fleet.workers import Tell
from videozoo.reports import scan
from videozoo.shards import Shard

do_shard = cluster.do_shard  # before tests put others in its place
NOTES = Path("notes")  # a line for each thing that a worker told


def noted(words: Any, shard: Shard, tell: Tell, die: Callable[[int], bool]) -> str | None:
    """Does a shard, notes who does what, and kills its process where `die` says so."""
    parts._SECONDS = 0.0  # a part for each step

    def told(what: str, done: int, total: int) -> None:
        note(shard, done)
        tell(what, done, total)
        if die(done):
            time.sleep(0.5)  # for the word to arrive
            os.kill(os.getpid(), signal.SIGKILL)

    return do_shard(words, shard, told)


def dies_once(words: Any, shard: Shard, tell: Tell) -> str | None:
    """Does a shard; the worker of the second one is killed in its middle, once."""
    once = Path("killed")

    def die(done: int) -> bool:
        if shard.number != 2 or once.exists() or done < 4:
            return False
        once.touch()
        return True

    return noted(words, shard, tell, die)


def dies_always(words: Any, shard: Shard, tell: Tell) -> str | None:
    """Scans a shard; each worker dies of sample 15."""
    check = scan._Check.__call__

    def deadly(self: Any, task: int, **how: Any) -> Any:
        if task == 15:
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGKILL)
        return check(self, task, **how)

    scan._Check.__call__ = deadly  # type: ignore[method-assign, assignment]
    scan.readers_can_be_made = lambda: False  # type: ignore[attr-defined]
    return noted(words, shard, tell, lambda done: False)


def waits(words: Any, shard: Shard, tell: Tell) -> str | None:
    """Does a shard when there is a file `go`."""
    note(shard, 0)
    while not Path("go").exists():
        time.sleep(0.1)
    return noted(words, shard, tell, lambda done: False)


def note(shard: Shard, done: int) -> None:
    import ray

    node = ray.get_runtime_context().get_node_id()
    with NOTES.open("a") as file:
        file.write(f"{shard.number} {os.getpid()} {done} {node}\n")


def notes() -> list[tuple[int, int, int, str]]:
    """Returns what was noted: shard, process, samples done, node."""
    lines = [line.split() for line in NOTES.read_text().splitlines()]
    return [(int(shard), int(pid), int(done), node) for shard, pid, done, node in lines]
