"""How much memory something takes at its peak."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")


def status_bytes(text: str, key: str) -> int | None:
    """Reads an amount out of Linux's /proc/self/status.

    Args:
        text: of that file, with lines such as "VmHWM:   1234 kB".
        key: such as VmHWM.

    Returns:
        Bytes; None where the text does not tell.
    """
    for line in text.splitlines():
        name, _, amount = line.partition(":")
        if name == key:
            return int(amount.split()[0]) * 1024
    return None


class PeakMemory:
    """Watches what this process takes from now on.

    On a GPU: what PyTorch has allocated at most. On the CPU: the most that was ever resident, less
    what is now; a process of its own tells that, for the most is never forgotten.

    Args:
        device: where the work will be done.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self._before = torch.cuda.memory_allocated(device)
            return
        self._before = _now() or 0

    def taken(self) -> int | None:
        """Returns bytes; None where the system does not tell."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) - self._before
        most = _most()
        return None if most is None else max(0, most - self._before)


def _now() -> int | None:
    if _STATUS.is_file():
        return status_bytes(_STATUS.read_text(), "VmRSS")
    return _most()


def _most() -> int | None:
    # The peak that getrusage tells begins on Linux with that of the process that started this one.
    if _STATUS.is_file():
        return status_bytes(_STATUS.read_text(), "VmHWM")
    if os.name != "posix":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
