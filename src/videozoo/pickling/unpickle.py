"""Reads pickles that hold data, and only data.

A pickle is a program: it may name any function and run it. The original's records are pickles, so
they are read here by an unpickler that knows a handful of names: those with which numpy arrays,
numpy numbers and bytes are written. Any other name ends the reading, before anything has run.
And a pickle of a few bytes can say "this again" without end: what it takes is counted.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from videozoo.errors import FileError, SampleError, VideozooError
from videozoo.pickling.counting import BoundedFile, CountingUnpickler, ForbiddenNameError
from videozoo.pickling.types import PickledArray
from videozoo.reading import open_regular

_PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, bytearray, set, frozenset),
    *(np.generic, np.ndarray),
)
_MOST_BYTES = 2 << 30  # of a file


def load_pickle(
    source: Path | str | bytes, *, what: str, most: int = _MOST_BYTES, several: bool = False
) -> Any:
    """Unpickles plain values and numpy arrays, written by Python 2 or 3.

    Text of Python 2 (`str`) comes as bytes, an OrderedDict as a dict. Everything else comes as it
    was written. A budget of steps and of bytes stops what is small and would grow without end.

    Args:
        source: a file's path, or the pickle itself.
        what: what is being read, for messages: the path, or a phrase such as "the clip".
        most: bytes that a file may have.
        several: the file may hold several pickles, one dumped after another: a list of them comes.

    Raises:
        SampleError: the file cannot be opened, is larger than `most` or is damaged; or something
            follows the pickle.
        VideozooError: the file names anything that is not data: work must stop.
    """
    if isinstance(source, bytes):
        return _load(io.BytesIO(source), what, most, several)
    named = what if str(source) in what else f"{what} {source}"
    try:
        with open_regular(source) as file:
            return _load(file, named, most, several)
    except FileError as error:
        raise SampleError(f"{named}: {error.reason}") from error
    except OSError as error:
        raise SampleError(f"{named}: cannot be read: {error.strerror or error}") from error


def whole_numbers(value: Any) -> list[int] | None:
    """Returns the classes that an unpickled value names, sorted where they come as a set.

    Args:
        value: one whole number; a list, tuple or set of such; or an array of one dimension.

    Returns:
        Numbers that fit into int64; None: the value is none of these.
    """
    if isinstance(value, np.ndarray):
        value = value.reshape(-1).tolist() if value.ndim <= 1 and value.dtype.kind in "iu" else None
    if isinstance(value, (int, np.integer)):
        value = [value]
    if not isinstance(value, (list, tuple, set, frozenset)):
        return None
    whole = [
        int(part)
        for part in value
        if isinstance(part, (int, np.integer)) and not isinstance(part, bool)
    ]
    if len(whole) != len(value) or any(number.bit_length() > 63 for number in whole):
        return None
    return sorted(whole) if isinstance(value, (set, frozenset)) else whole


def _load(file: BinaryIO, named: str, most: int, several: bool) -> Any:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if size > most:
        raise SampleError(
            f"{named}: has {size >> 20:,} MB, and a pickle must be in memory as a whole: at most"
            f" {most >> 20:,} are read; write several"
        )
    values: list[Any] = []
    unpickler = CountingUnpickler(BoundedFile(file, size), size)
    try:
        while not values or file.tell() < size:
            values.append(_plain(unpickler.load(), {}))
            unpickler.check_frame()
            if not several and file.tell() < size:
                raise pickle.UnpicklingError("something follows its end")
    except ForbiddenNameError as error:
        raise VideozooError(
            f"{named} wants to run {error} when it is unpickled: it is not a data file; "
            "do not trust it"
        ) from error
    except OSError:
        raise
    except (Exception, RecursionError, MemoryError) as error:
        # A damaged pickle may raise nearly anything: each opcode has its own way to fail.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SampleError(f"{named}: a damaged or cut off pickle ({reason[:200]})") from error
    return values if several else values[0]


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Puts arrays in the place of their descriptions, inside lists, tuples and dicts too.

    `done` keeps what a container became: a small pickle can hold one list a billion times.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, PickledArray):
        return value.value
    if not isinstance(value, (list, tuple, dict)):
        raise pickle.UnpicklingError("a function among the values")
    if id(value) not in done:
        done[id(value)] = None  # what is inside itself finds this
        if isinstance(value, dict):
            done[id(value)] = {k: _plain(v, done) for k, v in value.items()}
        else:
            done[id(value)] = type(value)(_plain(v, done) for v in value)
    if done[id(value)] is None:
        raise pickle.UnpicklingError("a list inside itself")
    return done[id(value)]
