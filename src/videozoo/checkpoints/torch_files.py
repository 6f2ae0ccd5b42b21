"""What PyTorch saved: read as tensors and plain values only, and looked through before.

PyTorch's own reader runs no code, but it counts nothing: a small file may hold a storage that
unpacks to gigabytes, a tensor that is one number a billion times, or a key that is hashed for ever.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import torch
from torch import Tensor

from videozoo.errors import FileError, brief
from videozoo.files import open_regular
from videozoo.pickling.counting import BoundedFile, CountingUnpickler, counted

_OLD_PICKLES = 4  # of files of before PyTorch 1.6: number, version, system, then what was saved


def load_torch(path: Path | str) -> Any:
    """Reads what torch.save wrote.

    Raises:
        FileError: it is damaged, wants to run code when it is read, or takes more memory than it
            has bytes.
        OSError: it cannot be opened.
    """
    with open_regular(path) as file:
        try:
            _inspect(file)
            file.seek(0)
            saved = torch.load(file, map_location="cpu", weights_only=True)
        except (Exception, RecursionError, MemoryError) as error:
            # both readers raise half a dozen kinds for damaged files; PyTorch's own advice, to load
            # it unsafely, is not passed on
            reason = str(error).strip().partition("\n")[0].partition(" In PyTorch 2.6")[0]
            raise FileError(
                path,
                f"is damaged or holds more than weights ({brief(reason, 200)[1:-1]});"
                " save its state dict alone",
            ) from error
    for tensor in _tensors_in(saved):
        if tensor.layout != torch.strided or tensor.is_quantized:
            raise FileError(path, "holds sparse or quantised tensors; save plain ones")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise FileError(path, "holds a tensor that is larger than its values; it is not read")
    return saved


def _inspect(file: BinaryIO) -> None:
    if not zipfile.is_zipfile(file):
        _inspect_pickles(file, _OLD_PICKLES)
        return
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise pickle.UnpicklingError("its parts are compressed, which PyTorch does not do")
        if sum(member.file_size for member in members) > file.seek(0, io.SEEK_END):
            raise pickle.UnpicklingError("its parts are larger than the file")
        for member in members:
            if member.filename.endswith("/data.pkl"):
                _inspect_pickles(io.BytesIO(archive.read(member)), 1)


def _tensors_in(saved: Any) -> Iterator[Tensor]:
    """Yields the tensors of a value, what holds many of them once each."""
    waiting, seen = [saved], set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (Mapping, list, tuple, set)) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, Mapping) else value


class _Inert:
    """Stands for whatever a pickle of PyTorch makes."""

    __slots__ = ()

    def __new__(cls, *_: Any) -> _Inert:
        return object.__new__(cls)

    def append(self, _: Any) -> None:
        """Takes nothing in."""


class _Inspector(CountingUnpickler):
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
        **CountingUnpickler.dispatch,
        pickle.BUILD[0]: counted(load_build),
    }


def _inspect_pickles(file: BinaryIO, count: int) -> None:
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
        _Inspector(BoundedFile(file, size), size).load()
