"""The bytes of one variable of a PaddlePaddle Fluid checkpoint.

A file holds: uint32 0; uint64 number of level-of-detail tables and, for each, a uint64 byte count
and its bytes; uint32 0; int32 n; n bytes of a protobuf (field 1: element type, field 2, repeated:
dimensions); the values, raw and little endian.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from videozoo.errors import VideozooError

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
_NUMBERS = {np.dtype(text): number for number, text in _DTYPES.items()}


class NotAVariableError(ValueError):
    """The bytes are not a Fluid variable; the message ends a sentence about the file."""


def parse_variable(data: bytes) -> Array:
    """Reads the bytes of one variable's file.

    Raises:
        NotAVariableError: the bytes are something else or cut short.
    """
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
    offset += size
    if number not in _DTYPES:
        raise NotAVariableError(f"has the unknown element type {number}")
    dtype = np.dtype(_DTYPES[number])
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if min(shape, default=1) < 0 or len(data) - offset != needed:
        found = len(data) - offset
        raise NotAVariableError(
            f"is damaged: shape {list(shape)} needs {needed} bytes of values, it holds {found}; "
            "copy the checkpoint again"
        )
    try:
        return np.frombuffer(data, dtype, offset=offset).reshape(shape).copy()
    except ValueError:  # more dimensions, or longer ones, than numpy has
        raise NotAVariableError("has a damaged description of its shape") from None


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
