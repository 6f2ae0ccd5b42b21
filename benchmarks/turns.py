"""Times peers in turn: each in a process of its own, one round after another.

A peer gets its own process because libraries get in each other's way in one (TensorFlow and
`tfrecord` register the same protocol buffers, every video library brings its own FFmpeg). Only one
process works at a time; the others wait. Rounds go A, B, C, A, B, C, ... so that a machine that
grows slower grows slower for all, and ratios are taken within a round.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, TypeVar

OURS = "videozoo"
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
T = TypeVar("T")


class Bench:
    """One peer made ready in its process. `run` is timed, `check` is not.

    `run(case)` does the work once and drops it; `check(case)` returns what the parent compares.
    """

    def run(self, case: Any) -> None:
        raise NotImplementedError

    def check(self, case: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Peer:
    """What is measured.

    `make(*arguments)` runs in the peer's process: it imports the peer's libraries and gives its
    Bench. `needs` are the modules or distributions without which it is left out.
    """

    name: str
    make: Callable[..., Bench]
    arguments: tuple[Any, ...] = ()
    needs: tuple[str, ...] = ()
    many_threads: bool = False
    floor: bool = False  # no peer, but a part of the work that none can do without


@dataclass
class Times:
    """Seconds of each round, and what checking said of the peer's results."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    remark: str = ""


@dataclass
class Table(Generic[T]):
    """The rounds of all peers at one kind of work: `units` of `unit` a round."""

    title: str
    case: T
    units: int
    unit: str
    times: dict[str, Times] = field(default_factory=dict)

    def rate(self, name: str, *, cpu: bool = False) -> float:
        times = self.times[name]
        return self.units / statistics.median(times.cpu if cpu else times.wall)

    def ours_against(self, name: str, *, cpu: bool = False) -> float:
        """Returns how many times as fast as this peer we are: the median over the rounds."""
        ours, theirs = self.times[OURS], self.times[name]
        if cpu:
            return statistics.median(t / o for o, t in zip(ours.cpu, theirs.cpu, strict=True))
        return statistics.median(t / o for o, t in zip(ours.wall, theirs.wall, strict=True))


class PeerError(Exception):
    """A peer cannot do its work; the message names it."""


class Running:
    """A peer in its own process."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        spawn = multiprocessing.get_context("spawn")
        self._here, there = spawn.Pipe()
        self._process: BaseProcess = spawn.Process(target=_serve, args=(peer, there))
        self._process.start()
        there.close()
        self._receive()

    def ask(self, what: str, case: Any) -> Any:
        self._here.send((what, case))
        return self._receive()

    def stop(self) -> None:
        self._here.close()
        self._process.join()

    def _receive(self) -> Any:
        try:
            good, answer = self._here.recv()
        except EOFError as error:
            raise PeerError(f"{self.peer.name}: its process ended without an answer") from error
        if not good:
            raise PeerError(f"{self.peer.name}: {answer}")
        return answer


def _serve(peer: Peer, pipe: Connection) -> None:
    if not peer.many_threads:
        os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    bench = None
    while True:
        try:
            if bench is None:
                bench, answer = peer.make(*peer.arguments), None
            else:
                what, case = pipe.recv()
                answer = _time(bench, case) if what == "run" else bench.check(case)
        except EOFError:
            return
        except Exception as error:
            pipe.send((False, f"{type(error).__name__}: {error}"))
        else:
            pipe.send((True, answer))
        if bench is None:
            return


def _time(bench: Bench, case: Any) -> tuple[float, float]:
    cpu, wall = _cpu_time(), time.perf_counter()
    bench.run(case)
    return time.perf_counter() - wall, _cpu_time() - cpu


def _cpu_time() -> float:
    """Returns the seconds that this process and its living workers have used so far."""
    total = time.process_time()
    for child in multiprocessing.active_children():
        # user and system time are fields 14 and 15; the name in field 2 may hold spaces
        after_name = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
    return total


@contextlib.contextmanager
def started(peers: Iterable[Peer]) -> Iterator[list[Running]]:
    """Gives the peers that are installed, each in its process; says which are left out."""
    running: list[Running] = []
    try:
        _start(peers, running)
        yield running
    finally:
        for one in running:
            one.stop()


def _start(peers: Iterable[Peer], running: list[Running]) -> None:
    for peer in peers:
        missing = [name for name in peer.needs if version_of(name) is None]
        if missing:
            print(f"left out: {peer.name}: {', '.join(missing)} is not installed", flush=True)
            continue
        try:
            running.append(Running(peer))
        except PeerError as error:
            print(f"left out: {error}", flush=True)
    if OURS not in [one.peer.name for one in running]:
        raise SystemExit(f"{OURS} itself cannot be measured: nothing to compare with")


def compare(
    table: Table[Any], running: Sequence[Running], difference: Callable[[Any, Any], float]
) -> None:
    """Notes of each peer's answer its difference from ours."""
    right = next(one for one in running if one.peer.name == OURS).ask("check", table.case)
    for one in running:
        remark = ""
        if one.peer.name != OURS:
            remark = f"differs by {difference(right, one.ask('check', table.case)):.1g}"
        table.times[one.peer.name] = Times(remark=remark)


def measure(tables: Sequence[Table[Any]], running: Sequence[Running], rounds: int) -> None:
    """Goes through all peers once to warm up, then `rounds` times; fills the tables."""
    for table in tables:
        for one in running:
            one.ask("run", table.case)
            table.times.setdefault(one.peer.name, Times())
        for number in range(rounds):
            _progress(f"{table.title}: round {number + 1} of {rounds}")
            for one in running:
                wall, cpu = one.ask("run", table.case)
                table.times[one.peer.name].wall.append(wall)
                table.times[one.peer.name].cpu.append(cpu)
    _progress("")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def chosen(peers: Sequence[Peer], only: Sequence[str] | None) -> list[Peer]:
    """Returns ours and those peers whose names hold one of the texts."""
    if not only:
        return list(peers)
    return [p for p in peers if p.name == OURS or any(text in p.name for text in only)]


def version_of(name: str) -> str | None:
    """Returns the version of a distribution or of the one that a module comes from."""
    for distribution in [name, *importlib.metadata.packages_distributions().get(name, [])]:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(distribution)
    return None
