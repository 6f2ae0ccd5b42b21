"""Files of strangers that are small and would take memory or time without end."""

from __future__ import annotations

import struct

# a list in lists, and a tuple in tuples: 40 levels, each of which holds the one below twice
NESTED_LIST = b"]q\x00" + b"".join(b"0](h%ch%ceq%c" % (i, i, i + 1) for i in range(40))
NESTED_TUPLE = b")q\x00" + b"".join(b"0h%ch%c\x86q%c" % (i, i, i + 1) for i in range(40))


def text(data: bytes) -> bytes:
    """Returns the opcode that pushes a text."""
    return b"X" + struct.pack("<I", len(data)) + data


def _called(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


ARRAY = _called("numpy.core.multiarray", "_reconstruct")
DTYPE = _called("numpy", "dtype") + text(b"u1") + b"K\x00K\x01\x87R"
BIG = b"B" + struct.pack("<I", 1 << 17) + b"x" * (1 << 17) + b"r\x00\x01\x00\x00"  # memo 256
AGAIN = b"j\x00\x01\x00\x00"

PICKLES = {
    "a bytearray of 3 GB": b"\x80\x05\x96" + struct.pack("<Q", 3 << 30) + b".",
    "a bytearray of 2^60": b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b".",
    "bytes of 3 GB": b"\x80\x04\x8e" + struct.pack("<Q", 3 << 30) + b"a.",
    "text of 3 GB": b"\x80\x04\x8d" + struct.pack("<Q", 3 << 30) + b"a.",
    "a number of 2 GB": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"a.",
    "a frame of 3 GB": b"\x80\x04\x95" + struct.pack("<Q", 3 << 30) + b"].",
    "a nested key": b"\x80\x04}" + NESTED_TUPLE + b"K\x01s.",
    "a nested key of many": b"\x80\x04}(" + NESTED_TUPLE + b"K\x01u.",
    "a nested key of a dict": b"\x80\x04(" + NESTED_TUPLE + b"K\x01d.",
    "a nested tuple in a set": b"\x80\x04\x8f(" + NESTED_TUPLE + b"\x90.",
    "a nested tuple in a frozenset": b"\x80\x04(" + NESTED_TUPLE + b"\x91.",
    "a nested tuple in a set by a call": (
        b"\x80\x02" + _called("__builtin__", "set") + b"]" + NESTED_TUPLE + b"a\x85R."
    ),
    "a nested key of an OrderedDict": (
        b"\x80\x02" + _called("collections", "OrderedDict") + b"]" + NESTED_TUPLE
        + b"K\x01\x86a\x85R."
    ),
    "one long key again and again": (
        b"\x80\x02}(" + BIG + b"K\x01" + (AGAIN + b"K\x01") * 200_000 + b"u."
    ),
    "one long number again and again": (
        b"\x80\x02}(\x8b" + struct.pack("<i", 1 << 17) + b"\x7f" * (1 << 17) + b"r\x00\x01\x00\x00"
        + b"K\x01" + (AGAIN + b"K\x01") * 200_000 + b"u."
    ),
    "a text encoded 50,000 times": (
        b"\x80\x02" + _called("_codecs", "encode") + b"r\x01\x01\x00\x000"
        + text(b"a" * (1 << 16)) + b"r\x00\x01\x00\x000" + text(b"latin1")
        + b"r\x02\x01\x00\x000](" + b"j\x01\x01\x00\x00j\x00\x01\x00\x00j\x02\x01\x00\x00\x86R"
        * 50_000 + b"e."
    ),
    "an array made of the same bytes again and again": (
        b"\x80\x02" + DTYPE + b"r\x03\x01\x00\x000" + BIG + b"0]("
        + (
            ARRAY + b")R(K\x01J\x00\x00\x02\x00\x85j\x03\x01\x00\x00\x89" + AGAIN + b"tb"
        ) * 30_000 + b"e."
    ),
    "an array with a list for a state": (
        b"\x80\x02" + DTYPE + b"r\x03\x01\x00\x000" + BIG + b"0]("
        + (
            ARRAY + b")R](K\x01J\x00\x00\x02\x00\x85j\x03\x01\x00\x00\x89" + AGAIN + b"eb"
        ) * 30_000 + b"e."
    ),
    "a list made a set again and again": (
        b"\x80\x02](" + b"K\x01" * 100_000 + b"er\x00\x01\x00\x000"
        + _called("__builtin__", "set") + b"r\x01\x01\x00\x000"
        + b"](" + (b"j\x01\x01\x00\x00" + AGAIN + b"\x85R") * 50_000 + b"e."
    ),
    "a byte, a list": b"\x80\x04" + b"]" * 20_000_000 + b".",
    "a data type of a million fields": (
        b"\x80\x02" + _called("numpy", "dtype") + text(b"u1," * 300_000) + b"\x85R."
    ),
    "a nested list for an order": (
        b"\x80\x02" + _called("numpy.core.numeric", "_frombuffer") + b"(C\x01a" + DTYPE
        + b"K\x01" + NESTED_LIST + b"tR."
    ),
}  # fmt: skip


def record(key: bytes, value: bytes) -> bytes:
    """Returns the pickle of a list of one dict, of one key."""
    return b"\x80\x04]}" + text(key) + value + b"sa."
