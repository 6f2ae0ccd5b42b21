"""The pickle inside a file of torch.save: tensors, dicts and plain values; the rest does nothing.

It may name whatever it likes: names of tensors and dicts are known, all others stand for one class
of objects without content. Its steps are counted, as a small pickle can say "this again" for ever.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, BinaryIO, ClassVar, NamedTuple

import torch
from torch import Tensor

from videozoo.pickling.counting import BoundedFile, CountingUnpickler, counted
from videozoo.pickling.types import Admitted, check_keys

MOST_DIMS = 64
_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
_DTYPES = {name: dtype for name, dtype in vars(torch).items() if isinstance(dtype, torch.dtype)}
_DICTS = ("OrderedDict", "defaultdict", "Counter")
# What torch.save writes, in protocols 2 to 5. Sets are passed over with what they hold.
_OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.BINFLOAT),
    *(pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.LONG1),
    *(pickle.BINUNICODE, pickle.SHORT_BINUNICODE, pickle.BINUNICODE8),
    *(pickle.BINSTRING, pickle.SHORT_BINSTRING),
    *(pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
    *(pickle.EMPTY_LIST, pickle.APPEND, pickle.APPENDS),
    *(pickle.EMPTY_DICT, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.BINPERSID),
    *(pickle.REDUCE, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.BUILD),
    *(pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.BINGET, pickle.LONG_BINGET),
)
GetStorage = Callable[[str, int], Tensor]


class StorageType(NamedTuple):
    """The type of a storage's numbers."""

    dtype: torch.dtype


class Storage(NamedTuple):
    """A storage: a flat tensor."""

    flat: Tensor


class Unread:
    """Stands for an object of a class that is not read; whatever is done to it does nothing."""

    def __init__(self, *_: Any) -> None: ...

    def _nothing(self, *_: Any) -> None: ...

    def __call__(self, *_: Any) -> Unread:
        """Does nothing."""
        return self

    __setitem__ = append = extend = _nothing


class _Dict(dict[Any, Any]):
    """An ordered dict; Python 2 wrote its items as a list of pairs."""

    def __init__(self, items: Any = (), *_: Any) -> None:
        super().__init__()
        pairs = [pair for pair in items if len(pair) == 2] if isinstance(items, list) else []
        check_keys([key for key, _ in pairs])
        self.update(pairs)


class TorchUnpickler(CountingUnpickler):
    """Reads one pickle; 2,000,000 steps are some 60,000 tensors.

    Args:
        file: at the pickle's beginning; it is left behind its end.
        size: of the file.
        storage: gives the bytes of a storage, by its key and how many they are.

    Attributes:
        unread: the names that stand for nothing here.
    """

    MOST_NUMBERS = 1_000_000  # an optimizer's parameters have numbers

    def __init__(self, file: BinaryIO, size: int, storage: GetStorage | None = None) -> None:
        super().__init__(BoundedFile(file, size), size)
        self.unread: dict[str, None] = {}
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        """Returns what stands for a name."""
        if module in ("torch", "torch.cuda", "torch.storage") and name in _STORAGES:
            return StorageType(_STORAGES[name])
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        makers: dict[tuple[str, str], Callable[..., Any]] = {
            **{("collections", kind): _Dict for kind in _DICTS},
            ("torch._utils", "_rebuild_tensor"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_tensor_v3"): self._typed_tensor,
            ("torch._utils", "_rebuild_parameter"): _first,
            ("torch._utils", "_rebuild_parameter_with_state"): _first,
        }
        make = makers.get((module, name))
        if make is None and len(self.unread) < 1000:
            self.unread[f"{module}.{name}"[:200]] = None
        return Admitted(make or Unread, self._spend)

    def persistent_load(self, saved: Any) -> Any:
        """Returns a storage."""
        if text_of(saved[0]) != "storage" or self._storage is None:
            return Unread()  # the source of a module, of PyTorch before 1.6
        kind, key, _, count = saved[1:5]
        if not isinstance(kind, StorageType) or type(count) is not int or count < 0:
            raise pickle.UnpicklingError("a storage of an unknown type")
        flat = numbers(self._storage(text_of(key), count * kind.dtype.itemsize), kind.dtype)
        if len(saved) > 5 and saved[5] is not None:  # a view, of PyTorch before 0.4
            _, start, length = saved[5]
            flat = flat[start : start + length]
        return Storage(flat)

    def _typed_tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
        return self._tensor(Storage(numbers(storage.flat, rest[2])), offset, size, stride)

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Any:
        if not isinstance(storage, Storage):
            return Unread()
        if len(size) > MOST_DIMS or not all(
            type(n) is int and n >= 0 for n in (offset, *size, *stride)
        ):
            raise pickle.UnpicklingError("a tensor whose shape is none")
        count = 1
        for n in size:
            count *= n
        if count > storage.flat.numel():  # the same numbers many times over
            self._left -= count * storage.flat.itemsize
            if self._left < 0:
                raise pickle.UnpicklingError("the same numbers again and again")
        return torch.as_strided(storage.flat, size, stride, offset)  # within the storage

    def load_newobj(self) -> None:
        """Makes an object of a class that is not read."""
        del self.stack[-1]
        self.stack[-1] = Unread()

    def load_newobj_ex(self) -> None:
        """Makes an object of named arguments, which only those have that are not read."""
        del self.stack[-2:]
        self.stack[-1] = Unread()

    def load_build(self) -> None:
        """Leaves a state away: those of tensors and dicts are their hooks and versions."""
        del self.stack[-1]

    def check_target(self, value: Any, kind: type) -> None:
        """Checks what takes items: what is not read takes them too."""
        if not isinstance(value, (kind, Unread)):
            super().check_target(value, kind)

    def load_additems(self) -> None:
        """Leaves out what a set holds."""
        self.pop_mark()

    def load_frozenset(self) -> None:
        """Leaves out what a set holds."""
        self.pop_mark()
        self.append(frozenset())

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        **{opcode[0]: CountingUnpickler.dispatch[opcode[0]] for opcode in _OPCODES},
        pickle.NEWOBJ[0]: counted(load_newobj),
        pickle.NEWOBJ_EX[0]: counted(load_newobj_ex),
        pickle.BUILD[0]: counted(load_build),
        pickle.ADDITEMS[0]: counted(load_additems),
        pickle.FROZENSET[0]: counted(load_frozenset),
    }


def _first(value: Any, *_: Any) -> Any:
    return value


def text_of(value: Any) -> str:
    """Returns text, which Python 2 wrote as bytes."""
    if not isinstance(value, (str, bytes)):
        raise pickle.UnpicklingError("a word that is no text")
    return value if isinstance(value, str) else value.decode("latin1")


def numbers(flat: Tensor, dtype: torch.dtype) -> Tensor:
    """Returns bytes as numbers, without what is too short for one."""
    flat = flat.view(torch.uint8)
    return flat[: len(flat) // dtype.itemsize * dtype.itemsize].view(dtype)
