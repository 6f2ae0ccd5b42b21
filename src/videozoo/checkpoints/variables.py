"""The bytes of one variable of a PaddlePaddle Fluid checkpoint.

A file holds: uint32 0; uint64 number of level-of-detail tables and, for each, a uint64 byte count
and its bytes; uint32 0; int32 n; n bytes of a protobuf (field 1: element type, field 2, repeated:
dimensions); the values, raw and little endian.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from videozoo.errors import VideozooError, brief

Array = npt.NDArray[Any]

_DTYPES = {
    0: "|b1",
    1: "<i2",
    2: "<i4",
    3: "<i8",
    4: "<f2",
    5: "<f4",
    6: "<f8",
    20: "|u1",
    21: "|i1",
}
_MOST_HEAD = 1 << 16  # bytes before the values
_NUMBERS = {np.dtype(text): number for number, text in _DTYPES.items()}


class SupportsRead(Protocol):
    """What gives bytes from where it stands."""

    def read(self, size: int, /) -> bytes:
        """Returns at most so many bytes."""


class NotAVariableError(ValueError):
    """The bytes are not a Fluid variable; the message ends a sentence about the file."""


def parse_variable(data: bytes) -> Array:
    """Reads the bytes of one variable's file.

    Raises:
        NotAVariableError: the bytes are something else or cut short.
    """
    return read_variable(io.BytesIO(data), len(data))


def read_variable(
    file: SupportsRead, size: int, *, wanted: Callable[[tuple[int, ...]], bool] | None = None
) -> Array:
    """Reads one variable's file; no memory is taken before its description has been looked at.

    Args:
        file: from its beginning.
        size: its bytes.
        wanted: says of a shape whether the values are wanted; where they are not, an array of that
            shape comes that takes no memory. None: they always are.

    Raises:
        NotAVariableError: the bytes are something else or cut short.
    """
    head = file.read(min(size, _MOST_HEAD))
    dtype, shape, offset = _parse_head(head)
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if min(shape, default=1) < 0 or size - offset != needed:
        raise NotAVariableError(
            f"is damaged: shape {brief(list(shape))} needs {brief(needed)} bytes of values, it"
            f" holds {size - offset}; copy the checkpoint again"
        )
    try:
        if wanted is not None and not wanted(shape):
            return np.broadcast_to(np.zeros((), dtype), shape)
        values = bytearray(head[offset:])
        while len(values) < needed and (block := file.read(min(needed - len(values), 1 << 20))):
            values += block
        return np.frombuffer(values, dtype).reshape(shape)
    except (ValueError, OverflowError):
        # more dimensions, or longer ones, than numpy has; or the file was cut meanwhile
        raise NotAVariableError("has a damaged description of its shape") from None


def _parse_head(data: bytes) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Returns the type, the shape, and where the values begin."""
    version, offset = _unpack("<I", data, 0)
    levels, offset = _unpack("<Q", data, offset)
    if version != 0 or levels > 8:
        raise NotAVariableError("is not a Fluid variable; take it out of the folder")
    for _ in range(levels):
        size, offset = _unpack("<Q", data, offset)
        offset += size
    version, offset = _unpack("<I", data, offset)
    size, offset = _unpack("<i", data, offset)
    if version != 0 or not 0 < size <= 1024:
        raise NotAVariableError("is not a Fluid variable; take it out of the folder")
    if offset + size > len(data):
        raise NotAVariableError("is cut short; copy the checkpoint again")
    number, shape = _parse_description(data[offset : offset + size])
    if number not in _DTYPES:
        raise NotAVariableError(f"has the unknown element type {number}")
    return np.dtype(_DTYPES[number]), shape, offset + size


def pack_variable(array: Array) -> bytes:
    """Returns the bytes of one variable's file, as Fluid writes them.

    Raises:
        VideozooError: Fluid has no such element type.
    """
    array = np.asarray(array)
    number = _NUMBERS.get(array.dtype.newbyteorder("<"))
    if number is None:
        raise VideozooError(f"Fluid has no element type for {array.dtype}")
    description = b"\x08" + _varint(number)
    for size in array.shape:
        description += b"\x10" + _varint(size)
    head = struct.pack("<IQIi", 0, 0, 0, len(description))
    return head + description + array.astype(_DTYPES[number]).tobytes()


def _unpack(form: str, data: bytes, offset: int) -> tuple[int, int]:
    end = offset + struct.calcsize(form)
    if end > len(data):
        raise NotAVariableError("is cut short or is not a Fluid variable")
    return struct.unpack(form, data[offset:end])[0], end


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while offset < len(data) and shift < 64:
        byte = data[offset]
        value |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 128:
            return value, offset
    raise NotAVariableError("has a damaged description of its shape")


def _parse_description(data: bytes) -> tuple[int, tuple[int, ...]]:
    """Returns the element type's number and the shape."""
    number, shape, offset = -1, [], 0
    while offset < len(data):
        tag, offset = _read_varint(data, offset)
        if tag == 0x12:  # dimensions packed into one field
            size, offset = _read_varint(data, offset)
            end = offset + size
            while offset < end:
                value, offset = _read_varint(data, offset)
                shape.append(value)
            continue
        value, offset = _read_varint(data, offset)
        if tag == 0x08:
            number = value
        elif tag == 0x10:
            shape.append(value)
        else:
            raise NotAVariableError("has a damaged description of its shape")
    return number, tuple(shape)
