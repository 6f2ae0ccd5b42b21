"""An unpickler that knows a handful of names, and counts what a pickle takes.

A pickle is a program, and of a few bytes it can say "this again" without end: opcodes, calls and
keys of dicts have a budget.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, ClassVar

from videozoo.errors import brief
from videozoo.pickling.types import ADMITTED, Admitted, DType, PickledArray, check_keys


class BoundedFile:
    """A file that is asked for no more bytes than it has: Python takes the memory first."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        self.readline = file.readline

    def read(self, count: int) -> bytes:
        """Returns so many bytes; fewer where they end within a few thousand.

        Raises:
            EOFError: there are not so many.
        """
        if count > 4096 and count > self._size - self._file.tell():
            raise EOFError("it says that more follows than it has")
        return self._file.read(count)


class ForbiddenNameError(Exception):
    """The pickle names something that is not data; the message is that name."""


_Readable: Any = pickle._Unpickler  # its methods and its stack are not in the type stubs


def counted(call: Callable[[Any], None]) -> Callable[[Any], None]:
    """Returns an opcode's method that counts it too."""

    def step(self: Any) -> None:
        self.step()
        call(self)

    return step


class CountingUnpickler(_Readable):  # type: ignore[misc]
    """Reads plain values and numpy arrays, these as PickledArray; everything is counted.

    It is the standard library's version in Python, as fast for a few large values: the one in C
    can take gigabytes for a single damaged number.

    Args:
        file: a BoundedFile.
        size: its bytes.
    """

    MOST_STEPS = 2_000_000  # 20,000 videos; and 500 MB if each made a list
    MOST_NUMBERS = 10_000  # among the keys

    def __init__(self, file: Any, size: int) -> None:
        # "bytes": text of Python 2 has no known encoding, and its arrays lie in such text
        super().__init__(file, encoding="bytes")
        self._left = 2 * size  # bytes that calls may take: what is written is taken once or twice
        self._steps, self._numbers = self.MOST_STEPS, self.MOST_NUMBERS

    def _spend(self, values: tuple[Any, ...]) -> None:
        self._steps -= len(values)
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
        """Returns what a name stands for.

        Raises:
            ForbiddenNameError: it is not data.
        """
        make = ADMITTED.get((module, name))
        if make is None:
            raise ForbiddenNameError(brief(f"{module}.{name}", 200).strip("'"))
        return Admitted(make, self._spend)

    def check_target(self, value: Any, kind: type) -> None:
        """Checks what takes items: an array does so too, all of it at once.

        Raises:
            UnpicklingError: it is no `kind`.
        """
        if type(value) is not kind:
            raise pickle.UnpicklingError(f"items of something else than a {kind.__name__}")

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
        self.check_target(self.stack[-3], dict)
        self._check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        """Sets items of a dict whose keys are plain."""
        self.check_target(self.metastack[-1][-1], dict)
        self._check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        """Makes a dict whose keys are plain."""
        self._check_keys(self.stack[::2])
        super().load_dict()

    def load_additems(self) -> None:
        """Adds to a set what is plain."""
        self.check_target(self.metastack[-1][-1], set)
        self._check_keys(self.stack)
        super().load_additems()

    def load_frozenset(self) -> None:
        """Makes a set of what is plain."""
        self._check_keys(self.stack)
        super().load_frozenset()

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: counted(call)
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
