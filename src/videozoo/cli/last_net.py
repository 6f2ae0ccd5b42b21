"""The last net: errors that nothing below has put into words, in one sentence each."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback

# How PyTorch begins to say that there is no memory, where it raises no error of its own for it.
_NO_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "out of memory", "not enough memory")


def sentence_of(error: Exception) -> str | None:
    """Returns what to say of an error that is no fault of videozoo's; None: it is one."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError) or _is_out_of_memory(error, text):
        told = f" ({text:.200})" if text else ""
        return (
            f"there is not enough memory{told}; a smaller batch_size and fewer num_workers need"
            " less of it"
        )
    if isinstance(error, RecursionError):
        return "a file is nested too deep to be read"
    if isinstance(error, OSError):
        reason = error.strerror or text or type(error).__name__
        return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"
    return None


def fault_of_ours(error: Exception) -> str:
    """Saves the traceback and returns what to say of a fault of videozoo's."""
    lines = traceback.format_exception(error)
    kept = "--traceback before the command shows where"
    try:
        # Its name cannot be guessed, and nobody else may read it.
        number, path = tempfile.mkstemp(prefix="videozoo-traceback-", suffix=".txt")
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"videozoo {' '.join(sys.argv[1:])}\n\n{''.join(lines)}")
        kept = f"the traceback was saved in {path}"
    except OSError:  # the disk is full, perhaps
        pass
    # What libraries advise, such as to load a file unsafely, is in the traceback alone.
    said = " ".join(str(error).split()).partition(". ")[0]
    told = f"{type(error).__name__}{f': {said:.200}' if said else ''}"
    return f"this is a fault of videozoo: {told}; {kept}; please report it with that"


def _is_out_of_memory(error: Exception, text: str) -> bool:
    of_torch = isinstance(error, RuntimeError) and any(words in text for words in _NO_MEMORY)
    return of_torch or type(error).__name__ == "OutOfMemoryError"
