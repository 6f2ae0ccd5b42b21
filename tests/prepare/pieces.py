"""Pieces of work for other processes, which import this file alone."""

from __future__ import annotations

import os
import signal
import time

from videozoo.errors import VideozooError


def square(item: int) -> int:
    """Returns the square; 3 kills the process, 9 is a fault, and 60 takes a minute."""
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 9:
        raise VideozooError("the disk is full")
    if item == 60:
        time.sleep(item)
    return item * item
