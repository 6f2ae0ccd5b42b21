"""A target's corpus, and inputs made of it blindly: the same ones for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

LONGEST = 8192
WORDS = (
    *(b"0", b"-1", b"9" * 40, b"1e999", b"NaN", b"null", b"true", b"[]", b"{}", b"[[[[", b"]" * 9),
    *(b'""', b'"', b"'", b",", b"\n", b"\r\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc2\xb2"),
    *(b"\\ud800", b"=", b"# ", b"[TRAIN]", b"0x" + b"f" * 99, b"{[1]}", b"../", b"\x1b[1m"),
    *(b"\xff" * 4, b"\xff" * 8, bytes(8), b"\x80\x02", b"\x80\x04\x95", b"c__main__\nX\n"),
    *(b"R", b"b", b"u.", b"q\0h\0", b"}", b"]", b"(", b"t", b"\x96" + b"\xff" * 7 + b"\x0f"),
)


def corpus(target: str) -> list[bytes]:
    """Returns what was written or found for a target."""
    files = sorted(Path(__file__).with_name("corpus").joinpath(target).iterdir())
    return [file.read_bytes() for file in files]


def mutations(target: str, *, seed: int) -> Iterator[bytes]:
    """Yields mutations without end."""
    draw, seeds = random.Random(f"{target} {seed}"), corpus(target)
    while True:
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.choice((1, 1, 2, 4, 8))):
            data = _mutated(data, seeds, draw)
        yield bytes(data[:LONGEST])


def _mutated(data: bytearray, seeds: list[bytes], draw: random.Random) -> bytearray:
    at, end = sorted(draw.randint(0, len(data)) for _ in range(2))
    end = min(end, at + draw.choice((1, 4, 64, 10**6)))
    kind = draw.randrange(7)
    if kind == 0 and at < len(data):
        data[at] ^= 1 << draw.randrange(8)
    elif kind == 1:
        data[at:end] = draw.choice(WORDS)
    elif kind == 2:
        data[at:at] = draw.choice(WORDS)
    elif kind == 3:
        del data[at:end]
    elif kind == 4:
        data[at:at] = data[at:end] * draw.choice((1, 2, 30))
    elif kind == 5:
        data[at:end] = draw.randbytes(end - at if end - at < 64 else 8)
    else:
        other = draw.choice(seeds)
        data[at:] = other[draw.randint(0, len(other)) :]
    return data[: 2 * LONGEST]
