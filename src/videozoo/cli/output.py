"""What happens when whoever reads a command's output has gone: printing stops, the work goes on."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

GONE = 141  # exit code: 128 + SIGPIPE, as a shell says it


class _Pipe(io.FileIO):
    """A file whose reader may go: what is written then is dropped."""

    gone = False

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            self.gone = True
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())  # subprocesses too
            os.close(nowhere)
            return memoryview(data).nbytes


def survive_readers() -> _Pipe | None:
    """Lets the work go on when stdout or stderr is read no more; returns the one of stdout.

    None: this is not the process's own stdout.
    """
    found = []
    for name in ("stderr", "stdout"):
        stream = getattr(sys, name)
        if stream is not getattr(sys, f"__{name}__") or not isinstance(stream, io.TextIOWrapper):
            return None
        stream.flush()
        pipe = _Pipe(stream.fileno(), "wb", closefd=False)
        text = io.TextIOWrapper(
            io.BufferedWriter(pipe),
            encoding=stream.encoding,
            # A file or class name that this terminal cannot show must not end a command.
            errors="backslashreplace",
            line_buffering=stream.line_buffering,
            write_through=stream.write_through,
        )
        setattr(sys, name, text)
        found.append(pipe)
    return found[-1]
