"""Plain reading of bytes, and what of them the system keeps in memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby

from videozoo.bench.blocks import Span
from videozoo.errors import VideozooError

_PIECE = 2**20  # bytes read at once: enough that the calls themselves cost nothing
_PAGE = 4096


def read_plainly(spans: Sequence[Span]) -> int:
    """Reads bytes in order, into the same piece of memory again and again.

    Returns:
        How many were read.
    """
    piece = memoryview(bytearray(_PIECE))
    read = 0
    for path, run in groupby(spans, key=lambda span: span.path):
        with open(path, "rb", buffering=0) as file:
            for span in run:
                file.seek(span.start)
                left = span.stop - span.start
                while left and (got := file.readinto(piece[: min(left, _PIECE)])):
                    left -= got
                    read += got
    return read


def can_drop() -> bool:
    """Whether this system lets a program drop files from its memory."""
    return hasattr(os, "posix_fadvise")


def drop(spans: Sequence[Span]) -> None:
    """Asks the system to forget what it keeps in memory of these bytes.

    A file system that lies in memory cannot; `kept_share` tells.

    Raises:
        VideozooError: this system has no such call.
    """
    if not can_drop():
        raise VideozooError("--cold: this system cannot drop files from memory; leave it away")
    for path, run in groupby(spans, key=lambda span: span.path):
        with open(path, "rb") as file:
            for span in run:
                # A page is dropped only where all of it is named.
                start = span.start // _PAGE * _PAGE
                length = -(-span.stop // _PAGE) * _PAGE - start
                os.posix_fadvise(file.fileno(), start, length, os.POSIX_FADV_DONTNEED)


def kept_share(spans: Sequence[Span]) -> float | None:
    """Returns the share of these bytes that the system has in memory, from a page in each MiB.

    Asking makes the system read on from there: what is to be cold must be dropped again.

    Returns:
        0..1; None where the system does not tell.
    """
    if not hasattr(os, "preadv") or not hasattr(os, "RWF_NOWAIT"):
        return None
    page = [bytearray(1)]
    asked = kept = 0
    for path, run in groupby(spans, key=lambda span: span.path):
        with open(path, "rb") as file:
            for span in run:
                for at in range(span.start, span.stop, _PIECE):
                    asked += 1
                    try:
                        kept += os.preadv(file.fileno(), page, at, os.RWF_NOWAIT)
                    except BlockingIOError:
                        continue  # the answer: reading it would mean waiting for the disk
                    except OSError:
                        return None  # a file system that does not know the question
    return kept / asked if asked else None
