"""Processes that read: one that is killed, crashes or stands still costs its sample at the most.

Each reader has a pipe of its own: tasks go in, answers come out, in the order of the tasks. At most
PREFETCH tasks lie in a pipe, and what a reader is at is told by two numbers of shared memory.

    tasks 0 1 2 3 ...  ->  reader a: 0 2    reader b: 1 3    ->  answers 0 1 2 3 ...

When a reader ends, a new one takes its tasks, and the run goes on. A sample that a reader died of
twice is left out, with its reason. Readers that die again and again with nothing read between them
stop the run. Readers ignore the signals of a terminal or scheduler and end with their parent.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from multiprocessing.connection import wait
from multiprocessing.util import Finalize
from typing import Any, Generic, TypeVar

from videozoo.data.reader_process import NOWHERE, Job, Read, ReaderProcess
from videozoo.data.shared_memory import SharedBlocks
from videozoo.errors import VideozooError

PREFETCH = 2  # tasks that wait in a reader's pipe
TRIES = 2  # deaths of readers that a sample may cost
MOST_DEATHS = 8  # in a row
_TICK = 1.0  # seconds between two looks at readers that say nothing

Task = TypeVar("Task")
Answer = TypeVar("Answer")


def readers_can_be_made() -> bool:
    """Says whether this process may have children: a worker of multiprocessing.Pool may not."""
    return not multiprocessing.current_process().daemon


class _Jobs:
    """The tasks of an iteration, and their answers."""

    def __init__(self, tasks: Iterable[Any]) -> None:
        self._tasks = iter(tasks)
        self.given, self.ended = 0, False
        self.again: list[Job] = []  # of readers that are gone
        self.answers: dict[int, Any] = {}

    def next(self, below: int) -> Job | None:
        """Returns what is to be read next: of new tasks only those with numbers below that."""
        if self.again:
            return self.again.pop(0)
        if self.ended or self.given >= below:
            return None
        try:
            job = Job(self.given, next(self._tasks), of=self)
        except StopIteration:
            self.ended = True
            return None
        self.given += 1
        return job


class Readers(Generic[Task, Answer]):
    """Reader processes; they are started when there are tasks, and stay for the next ones.

    Args:
        read: what they do.
        count: how many.
        timeout: seconds that a sample may take before its reader counts as hung; 0: any time.
        say: prints a line.
        blocks: memory in which answers come back; None: they come through the pipes.
        start: how processes start: "fork", "spawn", "forkserver"; None: as is usual here.
    """

    def __init__(
        self,
        read: Read[Task, Answer],
        count: int,
        *,
        timeout: float = 0,
        say: Callable[[str], None] = print,
        blocks: SharedBlocks | None = None,
        start: str | None = None,
    ) -> None:
        self._read, self._count, self._timeout = read, count, timeout
        self._say, self._blocks, self._start = say, blocks, start
        self._readers: list[ReaderProcess] = []
        self._jobs = _Jobs(())
        self._deaths = 0  # in a row
        Finalize(self, _end, args=(self._readers,), exitpriority=10)

    def __call__(
        self, tasks: Iterable[Task], arrived: Callable[[Answer], Any] = lambda answer: answer
    ) -> Iterator[Any]:
        """Yields what `arrived` makes of each answer, in the order of the tasks.

        Args:
            tasks: taken a few ahead of the answers.
            arrived: called as soon as an answer is seen, which may be before its turn.

        Raises:
            VideozooError: readers die again and again, or none can be started.
            RuntimeError: `read` raised an error; it is told with its traceback.
        """
        jobs = self._jobs = _Jobs(tasks)  # what an iteration that was given up left is dropped
        for number in count():
            below = number + PREFETCH * self._count
            self._receive(arrived, patience=0)
            self._hand_out(below)
            while number not in jobs.answers:
                if jobs.ended and number == jobs.given:
                    return
                self._receive(arrived, patience=_TICK)
                self._hand_out(below)
            yield jobs.answers.pop(number)

    def _hand_out(self, below: int) -> None:
        """Gives tasks to readers that have room, new ones only with numbers below that."""
        while self._has_room() and (job := self._jobs.next(below)) is not None:
            job.block = None if self._blocks is None else self._blocks.take()
            idle = next((reader for reader in self._readers if not reader.jobs), None)
            if idle is None and len(self._readers) < self._count:
                idle = ReaderProcess(self._read, self._blocks, self._start)
                self._readers.append(idle)
            (idle or min(self._readers, key=lambda reader: len(reader.jobs))).give(job)

    def _has_room(self) -> bool:
        busy = sum(len(reader.jobs) >= PREFETCH for reader in self._readers)
        return busy < self._count

    def _receive(self, arrived: Callable[[Answer], Any], patience: float) -> None:
        """Takes in what readers have sent, and replaces those that are gone."""
        start = time.monotonic()
        ready = wait([end for r in self._readers for end in r.ends], patience)
        waited = min(time.monotonic() - start, 2 * patience)  # not while this process was stopped
        for reader in list(self._readers):
            if not any(end in ready for end in reader.ends):
                if reader.still(waited) > self._timeout > 0:
                    self._replace(reader, f"stood still for {self._timeout:g} s")
                continue
            try:
                for job, answer in reader.answers(gone=reader.ends[1] in ready):
                    self._deaths = 0
                    if job.of is self._jobs:
                        self._jobs.answers[job.number] = arrived(answer)
            except (EOFError, OSError):
                self._replace(reader)

    def _replace(self, reader: ReaderProcess, why: str = "") -> None:
        """Ends a reader; what it had to read is for others, but for a sample it died of twice.

        Raises:
            VideozooError: too many have died in a row.
        """
        self._readers.remove(reader)
        place, code = reader.end()
        killed = not why and code == -signal.SIGKILL
        why = why or f"died ({_reason(code)})"
        for job in reader.jobs:
            if job.block is not None and code is not None:  # else it may still write there
                job.block.give_back()
        self._deaths += 1
        if reader.jobs and place != NOWHERE:
            first = reader.jobs[0]
            first.deaths[place] += 1
            if first.deaths[place] == TRIES:
                first.lost[place] = f"its reader process {why}"
                self._deaths = self._deaths if killed else 0  # it is the sample's fault
        again = [job for job in reader.jobs if job.of is self._jobs]
        self._jobs.again = sorted(again + self._jobs.again, key=lambda job: job.number)
        if self._deaths >= MOST_DEATHS:
            raise VideozooError(
                f"{MOST_DEATHS} reader processes in a row have ended before they had read anything;"
                f" the last one {why}; try fewer num_workers, such as --set MODEL.num_workers=1"
            )
        what = "what it was reading is read again by a new one" if again else "a new one goes on"
        self._say(f"a reader process {why}; {what}")


def _reason(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "killed, often for a lack of memory"
    if code is not None and code < 0:
        with suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def _end(readers: list[ReaderProcess]) -> None:
    for reader in readers:
        reader.kill()
    for reader in readers:
        reader.end()
    readers.clear()
