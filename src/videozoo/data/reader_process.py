"""A process that reads, and what goes through its pipe."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, Protocol, TypeVar

import torch

from videozoo.data.shared_memory import SharedBlock, SharedBlocks
from videozoo.distributed import ASKING, leave_stopping_to_others
from videozoo.errors import VideozooError

NOWHERE = -1  # no sample is being read
_TICK = 1.0  # seconds between two looks at whether the parent is there

Task_in = TypeVar("Task_in", contravariant=True)
Answer_out = TypeVar("Answer_out", covariant=True)
Begin = Callable[[int], None]
"""Called before each sample of a task is read, with its place in the task."""


class Read(Protocol[Task_in, Answer_out]):
    """What a reader does with a task."""

    def __call__(
        self, task: Task_in, *, lost: Mapping[int, str], begin: Begin, block: SharedBlock | None
    ) -> Answer_out:
        """Reads.

        Args:
            task: what to read.
            lost: by place in the task, why a sample must not be tried again.
            begin: see Begin.
            block: memory for the answer; None: the pipe carries it.
        """


@dataclass(eq=False)
class Job:
    """A task on its way, and what it has cost so far.

    Attributes:
        number: its place among the tasks.
        task: what is read.
        deaths: of readers, by the place of the sample that they were at.
        lost: by place, why a sample is not to be tried again.
        block: memory for the answer.
        of: the iteration that waits for it.
    """

    number: int
    task: Any
    deaths: Counter[int] = field(default_factory=Counter)  # by place
    lost: dict[int, str] = field(default_factory=dict)
    block: SharedBlock | None = None
    of: object = None


class ReaderProcess:
    """One process and what it has to read, the first of which it is at.

    Raises:
        VideozooError: it cannot be started.
    """

    def __init__(
        self, read: Read[Any, Any], blocks: SharedBlocks | None, start: str | None
    ) -> None:
        context = multiprocessing.get_context(start)
        self.jobs: deque[Job] = deque()
        self._shared = context.RawArray("q", [NOWHERE, 0])  # place, samples begun so far
        self._seen, self._still = 0, 0.0
        self.connection, theirs = context.Pipe()
        self._process = context.Process(  # type: ignore[attr-defined]
            target=_serve, args=(read, theirs, self._shared, blocks), daemon=True
        )
        try:
            with _without_signals():
                self._process.start()
        except OSError as error:
            raise VideozooError(
                f"a reader process cannot be started: {error.strerror}; try fewer num_workers, such"
                " as --set MODEL.num_workers=0"
            ) from None
        finally:
            theirs.close()
        self.ends = (self.connection, self._process.sentinel)

    def give(self, job: Job) -> None:
        """Sends a task; that the reader is gone shows when its answer is waited for."""
        self.jobs.append(job)
        block = None if job.block is None else job.block.number
        with suppress(OSError):
            self.connection.send((job.task, job.lost, block))

    def answers(self, *, gone: bool) -> Iterator[tuple[Job, Any]]:
        """Yields what has come.

        Args:
            gone: nothing more will.

        Raises:
            EOFError, OSError: the reader is gone.
            RuntimeError: the reader's own error.
        """
        while self.connection.poll():
            done, answer = pickle.loads(self.connection.recv_bytes())  # noqa: S301
            self._still = 0.0
            job = self.jobs.popleft()
            if not done:
                raise RuntimeError(f"a reader process failed:\n{answer}")
            yield job, answer
        if gone:
            raise EOFError

    def still(self, waited: float) -> float:
        """Returns for how many seconds of waiting nothing has moved here."""
        begun = self._shared[1]
        self._still = self._still + waited if self.jobs and begun == self._seen else 0.0
        self._seen = begun
        return self._still

    def kill(self) -> None:
        """Ends the process, without waiting for its end."""
        self._process.kill()

    def end(self) -> tuple[int, int | None]:
        """Ends the process; returns which sample it was reading, and its exit code."""
        self._process.join(0.5)  # it may be at its end
        self._process.kill()
        self._process.join(5)  # one that waits for a disk ends when that answers
        self.connection.close()
        return self._shared[0], self._process.exitcode


@contextmanager
def _without_signals() -> Iterator[None]:
    """Holds signals back, so that none meets a process before it ignores them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    read: Read[Any, Any], connection: Connection, shared: Any, blocks: SharedBlocks | None
) -> None:
    """What a reader process does, until its parent is gone."""
    leave_stopping_to_others()  # training saves before it ends, and reads until then
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # Readers are the parallelism; torch and BLAS threads inside them only get in each other's way.
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def begin(place: int) -> None:
        shared[0], shared[1] = place, shared[1] + 1

    while True:
        try:
            task, lost, number = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        block = None if blocks is None or number is None else SharedBlock(blocks, number)
        try:
            answer = (True, read(task, lost=lost, begin=begin, block=block))
        except Exception:
            answer = (False, traceback.format_exc())
        shared[0] = NOWHERE
        with suppress(OSError):  # the parent is gone
            connection.send_bytes(ForkingPickler.dumps(answer))


def _end_with_parent() -> None:
    """Ends this process when its parent is gone, whatever it is doing."""
    parent = os.getppid()  # or the server that has forked this process for it
    while os.getppid() == parent:
        time.sleep(_TICK)
    os._exit(0)
