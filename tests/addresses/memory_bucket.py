"""A bucket in this process's memory, which may fail as it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fsspec.implementations.memory import MemoryFileSystem

from videozoo.addresses import copies, places, remote

BUCKET = "memory://bucket"


def put(name: str, data: bytes | Path) -> str:
    """Puts a file into the bucket; returns its address."""
    content = data if isinstance(data, bytes) else data.read_bytes()
    MemoryFileSystem().pipe_file(f"/bucket/{name}", content)
    return f"{BUCKET}/{name}"


def names() -> list[str]:
    """Returns the names of all files of the bucket."""
    return [name.removeprefix("/bucket/") for name in MemoryFileSystem().find("/bucket")]


def content(name: str) -> bytes:
    data: bytes = MemoryFileSystem().cat_file(f"/bucket/{name}")
    return data


def forget() -> None:
    """Lets this process know as little of addresses as a new one."""
    places._known.clear()
    places._listed.clear()
    places.writing.clear()
    copies._seen.update(total=-1.0, new=0.0)
    remote._SYSTEMS.clear()


class Troubled:
    """The bucket's file system, whose next calls fail; it counts them by name.

    Args:
        faults: of the next calls, whichever they are; None: that one is answered.
        loses: bytes that the next files lack.
    """

    def __init__(self, *faults: Exception | None, loses: tuple[int, ...] = ()) -> None:
        self.faults, self.loses = list(faults), list(loses)
        self.calls: list[str] = []
        self._system = MemoryFileSystem()

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **named: Any) -> Any:
            self.calls.append(name)
            if self.faults and (fault := self.faults.pop(0)) is not None:
                raise fault
            answer = getattr(self._system, name)(*args, **named)
            if name == "get_file" and self.loses:
                path = Path(args[1])
                path.write_bytes(path.read_bytes()[: -self.loses.pop(0)])
            return answer

        return call
