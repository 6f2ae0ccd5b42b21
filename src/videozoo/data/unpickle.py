"""Reads pickles that hold data, and only data.

A pickle is a program: it may name any function and run it. The original's records are pickles, so
they are read here by an unpickler that knows a handful of names: those with which numpy arrays,
numpy numbers and bytes are written. Any other name ends the reading, before anything has run.
And a pickle of a few bytes can say "this again" without end: what it takes is counted.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np

from videozoo.data.pickled_types import (
    ADMITTED,
    Admitted,
    DType,
    PickledArray,
    check_keys,
)
from videozoo.errors import FileError, SampleError, VideozooError, brief
from videozoo.files import open_regular

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
    unpickler = _Unpickler(_Bounded(file, size), size)
    try:
        while not values or file.tell() < size:
            values.append(_plain(unpickler.load(), {}))
            unpickler.check_frame()
            if not several and file.tell() < size:
                raise pickle.UnpicklingError("something follows its end")
    except _ForbiddenNameError as error:
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


class _Bounded:
    """A file that is asked for no more bytes than it has: Python takes the memory first."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        if count > 4096 and count > self._size - self._file.tell():
            raise EOFError("it says that more follows than it has")
        return self._file.read(count)


class _ForbiddenNameError(Exception):
    """The pickle names something that is not data; the message is that name."""


_Readable: Any = pickle._Unpickler  # its methods and its stack are not in the type stubs


def _counted(call: Callable[[Any], None]) -> Callable[[Any], None]:
    def step(self: Any) -> None:
        self.step()
        call(self)

    return step


class _Unpickler(_Readable):  # type: ignore[misc]
    # The standard library's version in Python, as fast for a few large values: the one in C can
    # take gigabytes for a single damaged number.

    MOST_STEPS = 2_000_000  # 20,000 videos; and 500 MB if each made a list
    MOST_NUMBERS = 10_000  # among the keys

    def __init__(self, file: Any, size: int) -> None:
        # "bytes": text of Python 2 has no known encoding, and its arrays lie in such text
        super().__init__(file, encoding="bytes")
        self._left = 2 * size  # bytes that calls may take: what is written is taken once or twice
        self._steps, self._numbers = self.MOST_STEPS, self.MOST_NUMBERS

    def _spend(self, values: tuple[Any, ...]) -> None:
        for value in values:
            if isinstance(value, (str, bytes, bytearray)):
                self._left -= len(value)
            elif isinstance(value, (list, tuple, dict, set, frozenset)):
                self._steps -= len(value)
        if self._left < 0 or self._steps < 0:
            raise pickle.UnpicklingError("the same values again and again")

    def _check_keys(self, keys: Sequence[Any]) -> None:
        self._numbers -= check_keys(keys)
        if self._numbers < 0:
            raise pickle.UnpicklingError("too many keys that are no text")

    def step(self) -> None:
        """Counts an opcode: each byte of a file can be a list, which takes 60 bytes and more."""
        self._steps -= 1
        if self._steps < 0:
            raise pickle.UnpicklingError(f"more than {self.MOST_STEPS:,} steps")

    def check_frame(self) -> None:
        """Raises UnpicklingError where something follows in the frame of what was loaded."""
        frame = self._unframer.current_frame
        if frame is not None and frame.read(1):
            raise pickle.UnpicklingError("something follows its end")

    def find_class(self, module: str, name: str) -> Any:
        make = ADMITTED.get((module, name))
        if make is None:
            raise _ForbiddenNameError(brief(f"{module}.{name}", 200).strip("'"))
        return Admitted(make, self._spend)

    def load_build(self) -> None:
        """Gives a description its state; the bytes of an array are in it."""
        state = self.stack[-1]
        if not isinstance(state, tuple) or not isinstance(self.stack[-2], (PickledArray, DType)):
            raise pickle.UnpicklingError("a state of something else than an array")
        self._spend(state)
        super().load_build()

    def load_bytearray8(self) -> None:
        """Reads a bytearray as bytes are read: the standard library clears the memory first."""
        self.load_binbytes8()
        self.stack[-1] = bytearray(self.stack[-1])

    def load_setitem(self) -> None:
        """Sets an item of a dict whose key is plain."""
        _check_type(self.stack[-3], dict)
        self._check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Sets items of a dict whose keys are plain."""
        _check_type(self.metastack[-1][-1], dict)
        self._check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        """Makes a dict whose keys are plain."""
        self._check_keys(self.stack[::2])
        super().load_dict()

    def load_additems(self) -> None:
        """Adds to a set what is plain."""
        _check_type(self.metastack[-1][-1], set)
        self._check_keys(self.stack)
        super().load_additems()

    def load_frozenset(self) -> None:
        """Makes a set of what is plain."""
        self._check_keys(self.stack)
        super().load_frozenset()

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: _counted(call)
        for code, call in (
            _Readable.dispatch
            | {
                pickle.BUILD[0]: load_build,
                pickle.BYTEARRAY8[0]: load_bytearray8,
                pickle.SETITEM[0]: load_setitem,
                pickle.SETITEMS[0]: load_setitems,
                pickle.DICT[0]: load_dict,
                pickle.ADDITEMS[0]: load_additems,
                pickle.FROZENSET[0]: load_frozenset,
            }
        ).items()
    }


def _check_type(value: Any, kind: type) -> None:
    # An array takes items too, all of it at once.
    if type(value) is not kind:
        raise pickle.UnpicklingError(f"items of something else than a {kind.__name__}")


class _Inert:
    """Stands for whatever a pickle of PyTorch makes."""

    __slots__ = ()

    def __new__(cls, *_: Any) -> _Inert:
        return object.__new__(cls)

    def append(self, _: Any) -> None:
        """Takes nothing in."""


class _Inspector(_Unpickler):
    """Goes through a pickle of PyTorch, of which it makes nothing."""

    MOST_STEPS = 20_000_000
    MOST_NUMBERS = 1_000_000

    def find_class(self, module: str, name: str) -> Any:
        """Returns what does nothing."""
        if (module, name) == ("collections", "OrderedDict"):
            return super().find_class(module, name)
        return _Inert

    def persistent_load(self, pid: Any) -> Any:
        """Returns what stands for a tensor's values."""
        return _Inert()

    def load_build(self) -> None:
        """Leaves a state away."""
        self.stack.pop()

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **_Unpickler.dispatch,
        pickle.BUILD[0]: _counted(load_build),
    }


def inspect_pickles(file: BinaryIO, count: int) -> None:
    """Checks that PyTorch, which counts nothing, will be done with pickles in good time.

    Args:
        file: holds them, one after another.
        count: how many.

    Raises:
        UnpicklingError, or whatever a damaged pickle raises.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    for _ in range(count):
        _Inspector(_Bounded(file, size), size).load()


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
