"""Reader processes that are killed, crash or stand still cost a sample at the most."""

from __future__ import annotations

import faulthandler
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from videozoo.data import readers
from videozoo.data.readers import Readers
from videozoo.errors import VideozooError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="readers are told by forking")
Tasks = list[tuple[int, ...]]
TASKS: Tasks = [(3 * i, 3 * i + 1, 3 * i + 2) for i in range(8)]


class Read:
    """Reads a task of numbers: some of them do something to their process first."""

    def __init__(self, does: Mapping[int, Callable[[], None]]) -> None:
        self.does = does

    def __call__(
        self, task: tuple[int, ...], *, lost: Mapping[int, str], begin: Any, block: object
    ) -> list[int | str]:
        found: list[int | str] = []
        for place, number in enumerate(task):
            begin(place)
            if place not in lost and number in self.does:
                self.does[number]()
            found.append(lost.get(place, number))
        begin(-1)
        return found


def dies(by: int) -> Callable[[], None]:
    def die() -> None:
        faulthandler.disable()  # else pytest's would print where
        os.kill(os.getpid(), by)

    return die


def once(path: Path, act: Callable[[], None]) -> Callable[[], None]:
    def first_time() -> None:
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            return
        act()

    return first_time


def read(
    does: Mapping[int, Callable[[], None]], count: int = 2, tasks: Tasks = TASKS, **how: Any
) -> tuple[list[list[int | str]], list[str]]:
    said: list[str] = []
    return list(Readers(Read(does), count, say=said.append, **how)(tasks)), said


def test_answers_come_in_the_order_of_the_tasks() -> None:
    slow = {3: lambda: time.sleep(0.2), 0: lambda: time.sleep(0.1)}
    assert read(slow, 3) == ([list(task) for task in TASKS], [])
    assert read({}, 2, tasks=[]) == ([], [])


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSEGV])
def test_what_a_killed_reader_had_is_read_again(tmp_path: Path, by: int) -> None:
    found, said = read({4: once(tmp_path / "done", dies(by))})
    assert found == [list(task) for task in TASKS]
    (line,) = said
    assert "a reader process died" in line
    assert ("memory" in line) == (by == signal.SIGKILL)


@pytest.mark.parametrize(
    ("act", "word"),
    [
        (dies(signal.SIGSEGV), "SIGSEGV"),
        (dies(signal.SIGABRT), "SIGABRT"),
        (dies(signal.SIGKILL), "killed"),
        (lambda: os._exit(3), "exit code 3"),
    ],
)
def test_what_crashes_its_reader_costs_itself_alone(act: Callable[[], None], word: str) -> None:
    found, said = read({4: act})
    flat = [one for answer in found for one in answer]
    assert str(flat.pop(4)).startswith(f"its reader process died ({word}")
    assert flat == [n for n in range(24) if n != 4]
    assert len(said) == 2


def test_many_crashing_samples_in_a_row_end_nothing() -> None:
    found, _ = read(dict.fromkeys(range(2, 11), lambda: os._exit(1)))
    flat = [one for answer in found for one in answer]
    assert [n for n, one in enumerate(flat) if isinstance(one, str)] == list(range(2, 11))


def test_where_all_readers_are_killed_the_run_ends_in_a_sentence() -> None:
    with pytest.raises(VideozooError, match=r"memory.*fewer num_workers"):
        read(dict.fromkeys(range(24), dies(signal.SIGKILL)))


def test_a_reader_that_stands_still_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_TICK", 0.05)
    found, said = read({4: once(tmp_path / "done", dies(signal.SIGSTOP))}, timeout=0.3)
    assert found == [list(task) for task in TASKS]
    assert said == [
        "a reader process stood still for 0.3 s; what it was reading is read again by a new one"
    ]
    found, _ = read({4: lambda: time.sleep(60)}, timeout=0.3)
    assert found[1] == [3, "its reader process stood still for 0.3 s", 5]


def test_samples_that_take_less_than_the_limit_each_are_no_hung_reader(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers, "_TICK", 0.05)
    slow = dict.fromkeys(range(6), lambda: time.sleep(0.3))
    assert read(slow, 1, tasks=[tuple(range(6))], timeout=1.0) == ([list(range(6))], [])


def test_signals_of_a_terminal_or_scheduler_end_no_reader() -> None:
    def signals() -> None:
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
            os.kill(os.getpid(), one)

    assert read({4: signals, 9: signals}) == ([list(task) for task in TASKS], [])


def test_an_iteration_that_is_given_up_leaves_nothing_to_the_next() -> None:
    pool = Readers(Read({}), 2)
    for first in range(3):
        assert next(pool(TASKS)) == [0, 1, 2]
        assert list(pool(TASKS[first:])) == [list(task) for task in TASKS[first:]]


def test_an_error_of_the_program_is_told_with_its_traceback() -> None:
    def wrong() -> None:
        raise ZeroDivisionError("of the program")

    with pytest.raises(RuntimeError, match=r"(?s)in wrong.*ZeroDivisionError: of the program"):
        read({4: wrong})


PARENT = """
import os, sys, time
sys.path[:0] = {path!r}
from test_readers import Read
from videozoo.data.readers import Readers
readers = Readers(Read({{5: lambda: time.sleep(60)}}), 2)
answers = readers([(0,), (1,), (5,)])
next(answers), next(answers)
print(*[r._process.pid for r in readers._readers], flush=True)
{end}
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "sys.exit(0)", "raise KeyError"])
def test_readers_end_with_their_parent(end: str) -> None:
    code = PARENT.format(path=[str(Path(__file__).parent), *sys.path], end=end)
    done = subprocess.run([sys.executable, "-c", code], stdout=-1, stderr=-1, timeout=60)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    start = time.monotonic()
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < start + 20  # it sleeps for a minute
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
