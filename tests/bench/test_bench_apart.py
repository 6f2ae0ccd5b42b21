"""Processes of their own."""

from __future__ import annotations

import os
import time
from multiprocessing import get_context
from multiprocessing.connection import Connection

import pytest

from videozoo.bench.apart import call_apart, end_with_parent
from videozoo.errors import VideozooError

SPAWN = get_context("spawn")
LONG = 120.0


def _double(number: int) -> int:
    if number < 0:
        raise VideozooError("a negative number")
    return 2 * number if number else os._exit(9)


def test_results_and_errors_come_back() -> None:
    assert call_apart(_double, 21) == 42
    with pytest.raises(VideozooError, match=r"^a negative number$"):
        call_apart(_double, -1)


def test_a_process_that_is_ended_is_a_sentence() -> None:
    with pytest.raises(VideozooError, match="ended from outside: the memory may be too small"):
        call_apart(_double, 0)


def _inner(told: Connection) -> None:
    end_with_parent()
    told.send("begun")
    time.sleep(LONG)


def _outer(told: Connection) -> None:
    SPAWN.Process(target=_inner, args=(told,)).start()
    told.close()
    time.sleep(LONG)


def test_no_process_outlives_the_one_that_started_it() -> None:
    hears, told = SPAWN.Pipe(duplex=False)
    outer = SPAWN.Process(target=_outer, args=(told,))
    outer.start()
    told.close()
    assert hears.poll(LONG / 2)
    assert hears.recv() == "begun"
    outer.kill()
    assert hears.poll(LONG / 4), "it has not ended"
    with pytest.raises(EOFError):  # the end of the last process that could tell something
        hears.recv()
    outer.join()


def test_a_process_without_such_a_parent_goes_on() -> None:
    end_with_parent()
