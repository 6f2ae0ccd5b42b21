"""What a long run takes, told from its first seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import TypeVar

from rich.filesize import decimal

from videozoo.distributed import is_worker
from videozoo.errors import VideozooError

MEASURED = 5.0  # seconds, behind the first report
WORTH_TELLING = 60.0  # seconds that are left
DRY_RUN: ContextVar[bool] = ContextVar("DRY_RUN", default=False)
"""Whether work ends when it is known how long it takes."""
T = TypeVar("T")


class DryRunEndedError(Exception):
    """It is known how long the work takes, and nothing else was asked for."""


def timed(items: Iterable[T], wait: Callable[[float], None]) -> Iterator[T]:
    """Yields items; `wait` is told how many seconds each took to come."""
    source = iter(items)
    while True:
        start = time.perf_counter()
        try:
            item = next(source)
        except StopIteration:
            return
        wait(time.perf_counter() - start)
        yield item
        del item  # the next one comes without it in memory


class Meter:
    """What this process has done so far.

    Attributes:
        waited: seconds for what is read.
        written: bytes of results, or of rows.
    """

    waited = 0.0
    written = 0

    def watched(self, items: Iterable[T]) -> Iterator[T]:
        """Yields what is read, and counts the seconds that it takes to come."""
        return timed(items, self._wait)

    def _wait(self, seconds: float) -> None:
        self.waited += seconds


METER = Meter()


class Forecast:
    """Says once how long a run takes, and what bounds it.

    Args:
        say: prints a line.
        unit: what is counted.

    Raises:
        VideozooError: a dry run is asked of several processes.
    """

    def __init__(self, say: Callable[[str], None], unit: str = "videos") -> None:
        if DRY_RUN.get() and is_worker():
            raise VideozooError("--dry-run: measures one process; start it without a launcher")
        self._say = say
        self._unit = unit
        self._told = False
        self._first: tuple[float, int, float, int] | None = None
        self._opened = time.perf_counter(), 0, METER.waited, METER.written

    def __call__(self, done: int, total: int) -> None:
        """Takes in that so many are done; the first time starts the clock, as it warms up.

        Raises:
            DryRunEndedError: what was asked for is said.
        """
        if self._told:
            return
        now = time.perf_counter(), done, METER.waited, METER.written
        if self._first is None:
            self._first = now
        if done < total and (now[0] - self._first[0] < MEASURED or done == self._first[1]):
            return
        self._told = True
        since = self._opened if done == self._first[1] else self._first
        seconds, count, waited, size = (b - a for a, b in zip(since, now, strict=True))
        rate = max(count, 1) / seconds
        if (total - done) / rate > WORTH_TELLING or DRY_RUN.get():
            by = "reading and decoding" if waited > seconds / 2 else "the model"
            text = f"about {spoken(total / rate)} for {total:,} {self._unit}: {rate:.3g} a second"
            text += f", bound by {by}" if waited else ""
            text += f"; results {decimal(round(size / max(count, 1) * total))}" if size else ""
            self._say(text)
        if DRY_RUN.get():
            raise DryRunEndedError


def spoken(seconds: float) -> str:
    """Returns a time in the two units that tell most: 3 h 20 min."""
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    left, words = max(1, round(seconds)), []
    for name, size in units:
        if left >= size:
            words.append(f"{left // size} {name}")
            left %= size
    return " ".join(words[:2])
