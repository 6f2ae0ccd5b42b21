"""The process that looks at videos: it can be ended, whatever it is doing.

A decoder that hangs or crashes, and work that takes too long, cost one video and not the page.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from videozoo.distributed import leave_stopping_to_others, settle_process
from videozoo.errors import VideozooError

Job = Callable[[Any], Iterator[Any]]
_READY, _PART, _DONE, _FAULT = range(4)


class Worker:
    """Does one task after another in a process of its own.

    Args:
        open_job: called in that process once; gives what does a task, and what `info` is to be.
        max_time: seconds that a task may take.

    Attributes:
        info: what `open_job` said.

    Raises:
        VideozooError: that of `open_job`.
    """

    def __init__(self, open_job: Callable[[], tuple[Job, Any]], max_time: float) -> None:
        self._open, self._max_time = open_job, max_time
        self._turn, self._is_over = threading.Lock(), False
        self._task: Any = None
        self._start()
        self.info = self._opened()

    def __call__(self, task: Any) -> Iterator[Any]:
        """Yields what the job does of a task, as it comes; who stops listening stops the work.

        Raises:
            VideozooError: that of the job; or it took too long, or its process has died.
        """
        with self._turn:
            self._opened()
            self._task, over = task, False
            try:
                with suppress(OSError):  # that the process is gone shows when its answer is due
                    self._pipe.send(task)
                end = time.monotonic() + self._max_time
                while (message := self._received(end))[0] == _PART:
                    yield message[1]
                over = True
            finally:
                self._task = None
                if not over and not self._is_over:
                    self._kill()
                    self._start()
            if message[0] == _FAULT:
                raise VideozooError(message[1])

    def stop(self, meant: Callable[[Any], bool]) -> None:
        """Stops the task that is being done, if it is meant; whoever waits for it is told."""
        if self._task is not None and meant(self._task):
            self._process.kill()

    def end(self) -> None:
        """Ends the process for good."""
        self._is_over = True
        self._kill()

    def _kill(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")  # threads and GPUs bear no fork
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._open), daemon=True)
        self._process.start()
        theirs.close()
        self._is_open = False

    def _opened(self) -> Any:
        """Waits for the process to be ready."""
        if self._is_open:
            return self.info
        kind, value = self._received(None)
        if kind == _FAULT:
            raise VideozooError(value)
        self._is_open = True
        return value

    def _received(self, end: float | None) -> tuple[int, Any]:
        try:
            if end is not None and not self._pipe.poll(max(0.0, end - time.monotonic())):
                raise VideozooError(
                    f"took longer than {self._max_time:g} s and was stopped; try a shorter video"
                )
            message: tuple[int, Any] = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(5)
            raise VideozooError(
                f"the process that reads videos has died (exit code {self._process.exitcode});"
                " there was too little memory, or this video crashes the decoder"
            ) from None
        return message


def _serve(pipe: Connection, open_job: Callable[[], tuple[Job, Any]]) -> None:
    """What the process does, until its parent is gone."""
    settle_process()
    leave_stopping_to_others()  # the parent ends it
    with suppress(EOFError, BrokenPipeError):
        try:
            job, info = open_job()
        except Exception as error:
            pipe.send((_FAULT, _sentence_of(error)))
            return
        pipe.send((_READY, info))
        while True:
            task = pipe.recv()
            try:
                for part in job(task):
                    pipe.send((_PART, part))
                pipe.send((_DONE, None))
            except Exception as error:
                pipe.send((_FAULT, _sentence_of(error)))


def _sentence_of(error: Exception) -> str:
    if isinstance(error, VideozooError):
        return str(error)
    traceback.print_exception(error)
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said:.200}; the terminal of videozoo app shows where"
