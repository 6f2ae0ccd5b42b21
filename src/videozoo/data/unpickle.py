"""Reads pickles that hold data, and only data.

A pickle is a program: it may name any function and run it. The original's records are pickles, so
they are read here by an unpickler that knows a handful of names: those with which numpy arrays,
numpy numbers and bytes are written. Any other name ends the reading, before anything has run.
numpy's own functions are not called either: a data type that a pickle describes freely can corrupt
memory, so arrays are rebuilt from their shape, a plain data type and a buffer of just that size.
"""

from __future__ import annotations

import codecs
import io
import math
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from videozoo.errors import SampleError, VideozooError

_SCALARS = (type(None), bool, int, float, str, bytes)
_PLAIN = (*_SCALARS, bytearray, np.generic, np.ndarray)
_KINDS = "biufcSU"  # booleans, numbers and strings of fixed size: nothing that holds references


def load_pickle(source: Path | str | bytes, *, what: str) -> Any:
    """Unpickles plain values and numpy arrays, written by Python 2 or 3.

    Text of Python 2 (`str`) comes as bytes. Everything else comes as it was written.

    Args:
        source: a file's path, or the pickle itself.
        what: what is being read, for messages: the path, or a phrase such as "the clip".

    Raises:
        SampleError: the file cannot be opened or is damaged.
        VideozooError: the file names anything that is not data: work must stop.
    """
    if isinstance(source, bytes):
        return _load(io.BytesIO(source), what)
    named = what if str(source) in what else f"{what} {source}"
    try:
        with open(source, "rb") as file:
            return _load(file, named)
    except OSError as error:
        raise SampleError(f"{named}: cannot be read: {error.strerror or error}") from error


def _load(file: BinaryIO, named: str) -> Any:
    try:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        return _plain(_Unpickler(file, size).load(), {})
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
        raise SampleError(f"{named}: a damaged or cut off pickle ({reason})") from error


class _ForbiddenNameError(Exception):
    """The pickle names something that is not data; the message is that name."""


class _Admitted:
    """A callable that a pickle may name, and that the pickle cannot change."""

    __slots__ = ("_make", "_spend")

    def __init__(self, make: Callable[..., Any], spend: Callable[[int], None]) -> None:
        self._make, self._spend = make, spend

    def __call__(self, *args: Any) -> Any:
        self._spend(sum(len(arg) for arg in args if isinstance(arg, (str, bytes, bytearray))))
        return self._make(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a function with a state")


class _DType:
    """A numpy data type while the pickle describes it: first its code, then its byte order."""

    __slots__ = ("value",)

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, (str, bytes)):
            raise pickle.UnpicklingError("a data type that is not plain")
        self.value = np.dtype(code.decode("ascii") if isinstance(code, bytes) else code)
        if self.value.kind not in _KINDS or self.value.subdtype is not None:
            raise pickle.UnpicklingError(f"an array of {self.value}, which is not plain data")

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1])
        if any(part is not None for part in state[2:5]):  # sub-array, field names, fields
            raise pickle.UnpicklingError("a data type with fields")
        if order in ("<", ">"):
            self.value = self.value.newbyteorder("<" if order == "<" else ">")


class _Array:
    """A numpy array while the pickle describes it; `_plain` puts the array in its place."""

    __slots__ = ("value",)

    def __init__(self, *_: Any) -> None:
        self.value: npt.NDArray[Any] = np.empty(0, dtype=np.uint8)

    def __setstate__(self, state: Any) -> None:
        shape, dtype, fortran, raw = state[-4:]  # before them: a version
        self.value = _array(raw, dtype, shape, "F" if fortran else "C")


def _array(raw: Any, dtype: _DType, shape: Any, order: Any) -> npt.NDArray[Any]:
    data = raw.encode("latin1") if isinstance(raw, str) else raw
    if not isinstance(dtype, _DType) or not isinstance(data, (bytes, bytearray)):
        raise pickle.UnpicklingError("an array that is not plain data")
    sizes = tuple(int(n) for n in (shape if isinstance(shape, tuple) else (shape,)))
    if min(sizes, default=0) < 0 or math.prod(sizes) * dtype.value.itemsize != len(data):
        raise pickle.UnpicklingError(f"an array of shape {sizes} with {len(data)} bytes")
    flat = np.frombuffer(bytearray(data), dtype=dtype.value) if data else np.empty(0, dtype.value)
    return flat.reshape(sizes, order="F" if _text(order) == "F" else "C")


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> npt.NDArray[Any]:
    array = _array(raw, dtype, shape, order)
    return array if axes is None else array.transpose(axes)


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (1,), "C")[0]


def _encode(text: Any, encoding: Any) -> bytes:
    # Python 3 writes bytes so in protocols 0 to 2: text, and the one code that gives them back.
    if not isinstance(text, str) or codecs.lookup(_text(encoding)).name != "iso8859-1":
        raise pickle.UnpicklingError("bytes that are not written as latin1")
    return text.encode("latin1")


def _bytes(*args: Any) -> bytes:
    if args:
        raise pickle.UnpicklingError("bytes made from something else")
    return b""


def _bytearray(*args: Any) -> bytearray:
    if len(args) > 1 or not isinstance(args[0] if args else b"", bytes):
        raise pickle.UnpicklingError("a bytearray made from something else")
    return bytearray(*args)


def _text(value: Any) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _not_called(*_: Any) -> Any:
    raise pickle.UnpicklingError("numpy.ndarray called by itself")


_NUMPY = ("numpy.core", "numpy._core")  # before and since numpy 2
_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _not_called,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
    ("builtins", "bytes"): _bytes,
    ("__builtin__", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytearray,
    ("__builtin__", "bytearray"): _bytearray,
    **{(f"{core}.multiarray", "_reconstruct"): _Array for core in _NUMPY},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _NUMPY},
    **{(f"{core}.numeric", "_frombuffer"): _frombuffer for core in _NUMPY},
}


_Readable: Any = pickle._Unpickler  # its methods and its stack are not in the type stubs


class _Unpickler(_Readable):  # type: ignore[misc]
    # The standard library's version in Python, as fast for a few large values: the one in C can
    # take gigabytes for a single damaged number.

    def __init__(self, file: BinaryIO, size: int) -> None:
        # "bytes": text of Python 2 has no known encoding, and its arrays lie in such text
        super().__init__(file, encoding="bytes")
        self._left = 2 * size  # bytes that calls may take: what is written is taken once or twice

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise pickle.UnpicklingError("the same bytes again and again")

    def find_class(self, module: str, name: str) -> Any:
        make = _ADMITTED.get((module, name))
        if make is None:
            raise _ForbiddenNameError(f"{module}.{name}")
        return _Admitted(make, self._spend)

    def load_build(self) -> None:
        """Gives a description its state; the bytes of an array are in it."""
        state = self.stack[-1]
        if isinstance(state, tuple):
            self._spend(sum(len(part) for part in state if isinstance(part, (str, bytes))))
        super().load_build()

    def load_bytearray8(self) -> None:
        """Reads a bytearray as bytes are read: the standard library clears the memory first."""
        self.load_binbytes8()
        self.stack[-1] = bytearray(self.stack[-1])

    def load_setitem(self) -> None:
        """Sets an item of a dict whose key is plain."""
        _check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Sets items of a dict whose keys are plain."""
        _check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        """Makes a dict whose keys are plain."""
        _check_keys(self.stack[::2])
        super().load_dict()

    dispatch = {
        code: call
        for code, call in _Readable.dispatch.items()
        if code not in (*pickle.EMPTY_SET, *pickle.ADDITEMS, *pickle.FROZENSET)
    } | {
        pickle.BUILD[0]: load_build,
        pickle.BYTEARRAY8[0]: load_bytearray8,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        pickle.DICT[0]: load_dict,
    }


def _check_keys(keys: Sequence[Any]) -> None:
    # Tuples in tuples may be the same ones again and again, and hashing them take for ever.
    for key in keys:
        for part in key if isinstance(key, tuple) else (key,):
            if not isinstance(part, (*_SCALARS, np.generic)):
                raise pickle.UnpicklingError("a key that is not plain")


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Puts arrays in the place of their descriptions, inside lists, tuples and dicts too.

    `done` keeps what a container became: a small pickle can hold one list a billion times.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, _Array):
        return value.value
    if not isinstance(value, (list, tuple, dict)):
        raise pickle.UnpicklingError("a function or a set among the values")
    if id(value) not in done:
        done[id(value)] = None  # what is inside itself finds this
        if isinstance(value, dict):
            done[id(value)] = {_plain(k, done): _plain(v, done) for k, v in value.items()}
        else:
            done[id(value)] = type(value)(_plain(v, done) for v in value)
    if done[id(value)] is None:
        raise pickle.UnpicklingError("a list inside itself")
    return done[id(value)]
