"""What a pickle may name: how numpy arrays, numbers, bytes and plain containers are written.

numpy's own functions are not called: a data type that a pickle describes freely can corrupt memory,
so arrays are rebuilt from their shape, a plain data type and a buffer of just that size.
"""

from __future__ import annotations

import codecs
import math
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

_KINDS = "biufcSU"  # booleans, numbers and strings of fixed size: nothing that holds references
_LONGEST_KEY, _LONGEST_TUPLE = 1024, 16


def check_keys(keys: Sequence[Any]) -> int:
    """Checks that hashing and comparing keys costs next to nothing.

    One key may be used again and again; tuples in tuples may be the same ones a billion times, and
    a number may have a million digits.

    Returns:
        How many of them are no text: numbers can be chosen so that a dict of many is slow.

    Raises:
        UnpicklingError: one is not plain, or large.
    """
    for key in keys:
        parts = key if isinstance(key, tuple) and len(key) <= _LONGEST_TUPLE else (key,)
        for part in parts:
            if not _is_plain_key(part):
                raise pickle.UnpicklingError("a key that is not plain")
    return sum(not isinstance(key, (str, bytes)) for key in keys)


def _is_plain_key(key: Any) -> bool:
    if isinstance(key, (str, bytes)):
        return len(key) <= _LONGEST_KEY
    if isinstance(key, (int, np.integer)):
        return int(key).bit_length() <= 64
    return key is None or isinstance(key, (float, np.floating, np.bool_))


class Admitted:
    """A callable that a pickle may name, and that the pickle cannot change.

    Args:
        make: what is called.
        spend: told the arguments before.
    """

    __slots__ = ("_make", "_spend")

    def __init__(self, make: Callable[..., Any], spend: Callable[[tuple[Any, ...]], None]) -> None:
        self._make, self._spend = make, spend

    def __call__(self, *args: Any) -> Any:
        """Calls it, where the budget allows."""
        self._spend(args)
        return self._make(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a function with a state")


class DType:
    """A numpy data type while the pickle describes it: first its code, then its byte order."""

    __slots__ = ("value",)

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, (str, bytes)):
            raise pickle.UnpicklingError("a data type that is not plain")
        if len(code) > 16:  # numpy reads long ones as tables of fields, for minutes
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


class PickledArray:
    """A numpy array while the pickle describes it; `load_pickle` puts the array in its place."""

    __slots__ = ("value",)

    def __init__(self, *_: Any) -> None:
        self.value: npt.NDArray[Any] = np.empty(0, dtype=np.uint8)

    def __setstate__(self, state: Any) -> None:
        shape, dtype, fortran, raw = state[-4:]  # before them: a version
        self.value = _array(raw, dtype, shape, "F" if fortran else "C")


def _array(raw: Any, dtype: DType, shape: Any, order: Any) -> npt.NDArray[Any]:
    data = raw.encode("latin1") if isinstance(raw, str) else raw
    if not isinstance(dtype, DType) or not isinstance(data, (bytes, bytearray)):
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


def _dict(*args: Any) -> dict[Any, Any]:
    # An OrderedDict: empty, its items come later; by Python 2 as a list of pairs.
    pairs = args[0] if args else []
    check_keys([key for key, _ in pairs])
    return {key: value for key, value in pairs}  # noqa: C416 (pairs of two, nothing longer)


def _default_dict(*_: Any) -> dict[Any, Any]:
    return {}  # its items come later


def _set(*args: Any) -> set[Any]:
    check_keys(list(args[0]) if args else [])
    return set(*args)


def _text(value: Any) -> str:
    if not isinstance(value, (str, bytes)):  # a nested list would take for ever to be written out
        raise pickle.UnpicklingError("a word that is no text")
    return value.decode("ascii") if isinstance(value, bytes) else value


def _not_called(*_: Any) -> Any:
    raise pickle.UnpicklingError("a class called by itself")


_NUMPY = ("numpy.core", "numpy._core")  # before and since numpy 2
ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _not_called,
    ("numpy", "dtype"): DType,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): _dict,
    ("collections", "defaultdict"): _default_dict,
    **{
        (builtins, name): make
        for builtins in ("builtins", "__builtin__")  # of Python 3 and 2
        for name, make in {
            "bytes": _bytes,
            "bytearray": _bytearray,
            "set": _set,
            "frozenset": _set,
            **dict.fromkeys(("list", "dict", "int", "float", "str"), _not_called),  # of defaultdict
        }.items()
    },
    **{(f"{core}.multiarray", "_reconstruct"): PickledArray for core in _NUMPY},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in _NUMPY},
    **{(f"{core}.numeric", "_frombuffer"): _frombuffer for core in _NUMPY},
}
