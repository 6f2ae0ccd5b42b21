"""The process that looks at videos can be ended, whatever it is doing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from videozoo.errors import VideozooError
from videozoo.web.worker import Worker


def job(task: str) -> Iterator[str]:
    yield f"{task} begins"
    if task == "sleep":
        time.sleep(60)
    if task == "die":
        os._exit(7)
    if task == "refuse":
        raise VideozooError("clip.mp4: is no video")
    if task == "fail":
        raise RuntimeError("a fault")
    yield f"{task} ends"


def open_job(fault: str = "") -> tuple[object, str]:
    if fault:
        raise VideozooError(fault)
    return job, "ready"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker(open_job, 1.0)  # type: ignore[arg-type]
    yield made
    made.end()


def test_what_is_found_comes_part_by_part(worker: Worker) -> None:
    assert worker.info == "ready"
    assert list(worker("look")) == ["look begins", "look ends"]


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("refuse", r"^clip\.mp4: is no video$"),
        ("fail", "RuntimeError: a fault"),
        ("die", r"has died \(exit code 7\)"),
        ("sleep", "took longer than 1 s and was stopped"),
    ],
)
def test_a_task_that_goes_wrong_is_told_and_the_next_one_works(
    worker: Worker, task: str, sentence: str
) -> None:
    parts = worker(task)
    assert next(parts) == f"{task} begins"
    with pytest.raises(VideozooError, match=sentence):
        next(parts)
    assert list(worker("look")) == ["look begins", "look ends"]


def test_a_task_is_stopped_while_it_runs_and_no_other_one(worker: Worker) -> None:
    parts = worker("sleep")
    next(parts)
    worker.stop(lambda task: task == "look")
    threading.Timer(0.1, worker.stop, [lambda task: task == "sleep"]).start()
    start = time.monotonic()
    with pytest.raises(VideozooError, match="has died"):
        next(parts)
    assert time.monotonic() - start < 0.9  # before its time is over


def test_a_job_that_cannot_be_opened_says_why() -> None:
    with pytest.raises(VideozooError, match=r"^no such weights$"):
        Worker(partial(open_job, "no such weights"), 1.0)  # type: ignore[arg-type]
