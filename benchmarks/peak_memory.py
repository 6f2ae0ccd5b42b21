"""How much memory something takes at its peak."""

from __future__ import annotations

from pathlib import Path

import torch

STATUS = Path("/proc/self/status")  # of Linux


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
            self._before: int | None = torch.cuda.memory_allocated(device)
        else:
            self._before = status_bytes("VmRSS")

    def taken(self) -> int | None:
        """Returns bytes; None where the system does not tell."""
        if self._device.type == "cuda":
            most: int | None = torch.cuda.max_memory_allocated(self._device)
        else:
            most = status_bytes("VmHWM")
        return None if most is None or self._before is None else max(0, most - self._before)


def status_bytes(key: str) -> int | None:
    """Returns an amount of Linux's /proc/self/status, such as VmHWM, in bytes; None elsewhere."""
    if not STATUS.is_file():
        return None
    amounts = dict(line.split(":", 1) for line in STATUS.read_text().splitlines() if ":" in line)
    return int(amounts[key].split()[0]) * 1024  # "   1234 kB"
