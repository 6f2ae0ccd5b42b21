"""Signals that ask work to stop: Ctrl-C, and those of a scheduler that takes the machine back.

Work that is asked to stop comes to a point from which it can go on, keeps that, and ends with
exit code 75 (Ctrl-C: 130). A second Ctrl-C stops at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from videozoo.distributed import ASKING, gathered, is_first_process, is_worker
from videozoo.errors import VideozooError

RESUMABLE, INTERRUPTED = 75, 130  # exit codes; 75 is EX_TEMPFAIL of sysexits.h


class StoppedError(SystemExit):
    """Work was asked to stop, and can go on; ends a command with RESUMABLE."""

    def __init__(self) -> None:
        super().__init__(RESUMABLE)


class Stop:
    """Whether this process has been asked to stop, and by what.

    Attributes:
        signal: which one asked; 0: none has.
        waits: work goes on until it looks at `signal`; else a signal is an error where it comes.
        told: the user knows what is saved.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.waits = self.told = False

    def check(self) -> None:
        """Breaks off work whose result is not needed.

        Raises:
            VideozooError: the process has been asked to stop.
        """
        if self.signal:
            raise VideozooError(f"stopped by {self.name}")

    @property
    def name(self) -> str:
        """What asked, in words."""
        asked = self.signal or signal.SIGINT  # outside of the main thread nobody notes it
        return "Ctrl-C" if asked == signal.SIGINT else signal.Signals(asked).name

    def agreed(self) -> bool:
        """Whether any of the processes that have joined was asked; all of them then know."""
        self.signal = max(gathered(self.signal))
        return self.signal != 0

    def end(self) -> BaseException:
        """Returns the error that ends stopped work."""
        return KeyboardInterrupt() if self.signal == signal.SIGINT else StoppedError()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Lets signals that come within the block wait for the work to look."""
        self.waits = True
        try:
            yield
        finally:
            self.waits = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Takes in a signal, as its handler."""
        again, self.signal = self.signal, self.signal or number
        # A launcher passes on what the terminal has sent to its workers already.
        if again == number == signal.SIGINT and not is_worker():
            end_at_once()
        if again:
            return
        if not self.waits:
            raise self.end()
        if number == signal.SIGINT and is_first_process():
            # not by a console, in whose middle the signal may have come
            os.write(2, b"\nfinishing the step, then saving; Ctrl-C again stops at once\n")


def end_at_once() -> None:
    """Ends this process, whatever it is doing."""
    if sys.stdout is not None and sys.stdout.isatty():
        os.write(1, b"\x1b[?25h")  # a progress bar hides the cursor
    os._exit(INTERRUPTED)


@contextmanager
def stoppable(*, whole_process: bool = False) -> Iterator[Stop]:
    """Takes in the signals that ask to stop, within the block; in the main thread only.

    One that is ignored, as nohup and shells let processes in their background do, stays ignored.

    Args:
        whole_process: nothing comes behind the block but the end of the process: once it has been
            asked to stop, further signals do not disturb that.
    """
    stop = Stop()
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.getsignal(n) for n in ASKING if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    try:
        yield stop
    finally:
        if not (whole_process and stop.signal):
            for number, handler in before.items():
                signal.signal(number, handler)
