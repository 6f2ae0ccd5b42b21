"""How far indexing, test, infer and scan are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from videozoo.distributed import is_first_process
from videozoo.forecast import Forecast

if TYPE_CHECKING:
    from videozoo.data.dataset import Report


_SILENT = 3.0  # seconds without a word
RELAY: ContextVar[Callable[[str, int, int], None] | None] = ContextVar("RELAY", default=None)
"""Told what is done, and how much of how much, in a process that shows nothing itself."""


def indexing(console: Console) -> Callable[[int, int], None]:
    """Returns what tells, of indexing that takes long, how far it is."""
    said = time.perf_counter()

    def line(done: int, total: int) -> None:
        nonlocal said
        now = time.perf_counter()
        if now - said > _SILENT and is_first_process():
            console.print(f"indexing shards: {done:,} of {total:,}")
            said = now

    return line


@contextmanager
def downloading(console: Console, what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Gives a report function that shows bytes: a bar, or lines where there is no terminal."""
    if not console.is_terminal or not is_first_process():
        said = time.perf_counter()

        def line(done: int, total: int | None) -> None:
            nonlocal said
            if time.perf_counter() - said > _SILENT and is_first_process():
                of = "" if total is None else f" of {total / 1e6:,.1f}"
                console.print(f"{what}: {done / 1e6:,.1f}{of} MB")
                said = time.perf_counter()

        yield line
        return
    bar = Progress(
        TextColumn(what),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=None, visible=False)
    with bar:
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


@contextmanager
def progress(
    console: Console,
    what: str,
    log_interval: int,
    unit: str = "videos",
    *,
    done: int = 0,
    forecast: bool = False,
) -> Iterator[Report]:
    """Gives a report function that shows progress: a bar, or lines where there is no terminal.

    Args:
        console: where to show it.
        what: is done.
        log_interval: calls between two lines.
        unit: of what is counted.
        done: before; speed and time left are those of what is done now.
        forecast: say first how long it takes, see videozoo.forecast.
    """
    before = done
    if (relay := RELAY.get()) is not None:
        yield partial(relay, what) if unit == "videos" else lambda done, total: None
        return
    foretell = (
        Forecast(lambda text: console.print(text, highlight=False, soft_wrap=True))
        if forecast and is_first_process()
        else lambda done, total: None
    )
    start = time.perf_counter()
    if not is_first_process():
        yield lambda done, total: None
        return
    if not console.is_terminal:
        calls = 0

        def line(done: int, total: int) -> None:
            nonlocal calls
            calls += 1
            foretell(done, total)
            if calls % log_interval == 0 or done == total:
                speed = (done - before) / (time.perf_counter() - start)
                console.print(f"{what} {done}/{total}  {speed:.3g} {unit}/s", highlight=False)

        yield line
        return
    bar = Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[speed]}"),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=None, speed="")

    def move(done: int, total: int) -> None:
        foretell(done, total)
        speed = (done - before) / (time.perf_counter() - start)
        bar.update(task, completed=done, total=total, speed=f"{speed:.3g} {unit}/s")

    with bar:
        yield move
