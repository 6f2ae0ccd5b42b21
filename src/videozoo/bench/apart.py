"""Calls a function in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from threading import Thread
from typing import TypeVar

from videozoo.errors import VideozooError

A = TypeVar("A")
R = TypeVar("R")


def call_apart(function: Callable[[A], R], argument: A) -> R:
    """Calls a function in a new process, which ends with this one, however this one ends.

    Args:
        function: of a module, so that the new process finds it.
        argument: of it; it and the result are pickled.

    Raises:
        VideozooError: the process was ended from outside. What the function raises comes through.
    """
    context = get_context("spawn")  # a fork would begin with all that this process has in memory
    with ProcessPoolExecutor(1, mp_context=context, initializer=end_with_parent) as pool:
        try:
            return pool.submit(function, argument).result()
        except BrokenProcessPool:
            raise VideozooError(
                "the process was ended from outside: the memory may be too small;"
                " give a smaller --batch-size"
            ) from None


def end_with_parent() -> None:
    """Ends this process as soon as the one that started it has ended."""
    parent = parent_process()
    if parent is None:
        return

    def watch(sentinel: int) -> None:
        wait([sentinel])
        os._exit(1)

    Thread(target=watch, args=(parent.sentinel,), daemon=True).start()
