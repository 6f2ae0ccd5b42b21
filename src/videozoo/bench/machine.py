"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from videozoo.processes import usable_cores


@dataclass(frozen=True)
class Machine:
    """A computer and the libraries that read.

    Attributes:
        cpu: its name.
        cores: those that this process may use.
        load: processes that wanted to run in the last minute, on average; None where not told.
        versions: of Python and the libraries, by name.
    """

    cpu: str
    cores: int
    load: float | None
    versions: dict[str, str]


def this_machine() -> Machine:
    """Looks up what this is."""
    import google_crc32c
    import numpy as np
    import torch

    from videozoo import __version__
    from videozoo.data.clips.video import decoder_version

    decoder = (part.rsplit(" ", 1) for part in decoder_version().split(", "))
    return Machine(
        cpu=_cpu(),
        cores=usable_cores(),
        load=round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        versions={
            "videozoo": __version__,
            "Python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            **dict(decoder),
            "google-crc32c": str(google_crc32c.implementation),
        },
    )


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name" and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()
