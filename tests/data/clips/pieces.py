"""Work for other processes, which import this file alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from videozoo.data.clips.prepare_clips import Job, PreparedClip
from videozoo.errors import VideozooError


def prepare(job: Job, *, out: Path) -> PreparedClip:
    """Prepares nothing; "deadly" kills the process amid its work, "full" is a fault."""
    name, source = job
    if name == "deadly":
        (out / f".{os.getpid()}.mp4.part").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "full":
        raise VideozooError("the disk is full")
    return PreparedClip(str(source), name, "ok")
