"""Processes that each do one piece of work at a time; one that dies costs one piece."""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 5.0  # seconds in which a process that is told to end may clean up


@dataclass(frozen=True)
class Died:
    """What is left of a process that ended within its work.

    Attributes:
        process: its id.
        how: in words.
    """

    process: int
    how: str


@dataclass
class _Worker(Generic[T]):
    process: SpawnProcess
    item: T


def in_processes(
    work: Callable[[T], R], items: Sequence[T], processes: int
) -> Generator[tuple[T, R | Died], None, None]:
    """Applies a function to all items, side by side.

    Args:
        work: can be pickled, as its results can.
        items: in the order in which they are begun.
        processes: how many; 1 stays in this process.

    Yields:
        Each item with its result, as soon as it is there.

    Raises:
        Exception: what `work` raised; nothing new is begun then.
    """
    if processes == 1:
        for item in items:
            yield item, work(item)
        return
    waiting = iter(items)
    busy: dict[Connection, _Worker[T]] = {}
    try:
        for item in islice(waiting, processes):
            _start(work, item, busy)
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                yield from _next(connection, work, waiting, busy)
    finally:
        for connection, worker in busy.items():
            worker.process.terminate()
            connection.close()
        for worker in busy.values():
            worker.process.join(_PATIENCE)
            worker.process.kill()  # of no effect on one that has ended
            worker.process.join()


def _next(
    connection: Connection,
    work: Callable[[T], R],
    waiting: Iterator[T],
    busy: dict[Connection, _Worker[T]],
) -> Iterator[tuple[T, R | Died]]:
    """Yields what a worker has to tell and gives it the next item."""
    worker = busy[connection]
    done = worker.item
    try:
        result = connection.recv()
    except (EOFError, ConnectionError):
        result = _died(worker.process)
        connection.close()
        del busy[connection]
    if isinstance(result, BaseException):
        raise result
    item = next(waiting, None)
    if isinstance(result, Died):
        if item is not None:
            _start(work, item, busy)
    elif item is not None:
        worker.item = item
        connection.send(item)
    else:
        connection.close()  # it ends by itself
        worker.process.join()
        del busy[connection]
    yield done, result


def _start(work: Callable[[T], R], item: T, busy: dict[Connection, _Worker[T]]) -> None:
    context = multiprocessing.get_context("spawn")  # decoders' threads and locks bear no fork
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, work), daemon=True)
    process.start()
    there.close()  # or the end of the process would not be seen here
    here.send(item)
    busy[here] = _Worker(process, item)


def _died(process: SpawnProcess) -> Died:
    process.join()
    code = process.exitcode or 0
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return Died(process.pid or 0, how)


def _serve(connection: Connection, work: Callable[[T], R]) -> None:
    """Works until there is nothing more to do, or nobody to do it for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first process to answer
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # clean up on the way out
    while True:
        try:
            item = connection.recv()
        except (EOFError, ConnectionError):
            return
        result: R | Exception
        try:
            result = work(item)
        except Exception as error:
            error.add_note(traceback.format_exc())
            result = error
        try:
            connection.send(result)
        except (BrokenPipeError, ConnectionError):
            return
