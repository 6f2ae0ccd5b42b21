"""Files of torch.save, read without running anything of theirs: tensors, dicts and plain values.

torch.load refuses a file that holds anything else beside its weights, and a small file can make it
take all memory or never end. Here everything else is passed over, and what a file takes is bounded
by its size. Both forms are read: the zip file, and what PyTorch before 1.6 wrote.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from torch import Tensor

from videozoo.checkpoints.native import read_safetensors
from videozoo.checkpoints.torch_pickle import TorchUnpickler, text_of
from videozoo.errors import FileError, VideozooError

MOST_PICKLE = 16 << 20  # bytes of the pickle, which holds no weights
MAGIC = 0x1950A86A20F9469CFC6C  # begins the older form


class TorchFile(NamedTuple):
    """What a file holds.

    Attributes:
        value: dicts, lists, tuples, plain values and tensors as they were saved; anything else is
            an object without content.
        unread: the names of what was passed over, "argparse.Namespace".
    """

    value: Any
    unread: list[str]


def read_torch_file(path: Path | str) -> TorchFile:
    """Reads what is in a .pth, .pt or .safetensors file.

    Raises:
        VideozooError: the file is damaged, compressed, or no file of torch.save.
    """
    path = Path(path)
    with path.open("rb") as file:
        if file.read(9)[8:9] == b"{":
            return TorchFile(read_safetensors(path), [])
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        try:
            if zipfile.is_zipfile(file):
                return _read_zip(file, size, path)
            file.seek(0)
            return _read_older(file, size, path)
        except VideozooError:
            raise
        except Exception as error:  # a damaged file may raise nearly anything
            reason = " ".join(str(error).split()) or type(error).__name__
            raise FileError(path, f"is damaged or cut off ({reason:.200}); copy it again") from None


def load_torch(path: Path | str) -> Any:
    """Reads a file of ours that torch.save wrote, of tensors, dicts and plain values alone.

    Raises:
        VideozooError: it is damaged, or holds anything else.
    """
    value, unread = read_torch_file(path)
    if unread:
        names = ", ".join(unread[:3])
        raise FileError(path, f"holds more than weights ({names}); save its state dict alone")
    return value


def _read_zip(file: BinaryIO, size: int, path: Path) -> TorchFile:
    """Reads the form of today: a pickle and a stored file for each storage."""
    with ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        root = next((n[: -len("data.pkl")] for n in members if n.endswith("data.pkl")), None)
        if root is None or f"{root}constants.pkl" in members:
            raise FileError(path, _kind_of_zip(members) + _ASKED)
        if any(info.compress_type != ZIP_STORED for info in members.values()):
            raise FileError(path, "is compressed, as no file of torch.save is; save it anew")
        if members[f"{root}data.pkl"].file_size > MOST_PICKLE:
            raise FileError(path, f"its pickle has more than {MOST_PICKLE >> 20} MiB" + _ASKED)
        order = f"{root}byteorder"
        if order in members and archive.read(order) != b"little":
            raise FileError(path, "was saved on a machine of another byte order" + _ASKED)
        read: dict[str, Tensor] = {}
        left = size

        def storage(key: str, _: int) -> Tensor:
            nonlocal left
            if key not in read:
                info = members[f"{root}data/{key}"]
                left -= info.file_size
                if left < 0:
                    raise ValueError("more content than the file has")
                # Reading to the end compares the checksum.
                data = bytearray(archive.read(info))
                read[key] = torch.frombuffer(data, dtype=torch.uint8) if data else _none()
            return read[key]

        pickled = archive.read(f"{root}data.pkl")
        unpickler = TorchUnpickler(io.BytesIO(pickled), len(pickled), storage)
        try:
            return TorchFile(unpickler.load(), list(unpickler.unread))
        except BadZipFile as error:
            raise ValueError(f"{error}: bytes of it have changed") from None


def _read_older(file: BinaryIO, size: int, path: Path) -> TorchFile:
    """Reads the form of PyTorch before 1.6: pickles, then the storages one after the other."""
    found: dict[str, Tensor] = {}
    left = size

    def storage(key: str, count: int) -> Tensor:
        nonlocal left
        if key not in found:
            left -= count
            if left < 0:
                raise ValueError("more content than the file has")
            found[key] = torch.zeros(count, dtype=torch.uint8)
        return found[key]

    if TorchUnpickler(file, size).load() != MAGIC:
        raise FileError(path, "is a pickle, but no file of torch.save" + _ASKED)
    TorchUnpickler(file, size).load()  # the number of the form
    system = TorchUnpickler(file, size).load()
    if not all(value for key, value in system.items() if text_of(key) == "little_endian"):
        raise FileError(path, "was saved on a machine of another byte order" + _ASKED)
    unpickler = TorchUnpickler(file, size, storage)
    value = unpickler.load()
    for key in TorchUnpickler(file, size).load():
        flat = found[text_of(key)]
        file.read(8)  # its count of numbers, which the pickle has said
        data = file.read(len(flat))
        if len(data) != len(flat):
            raise ValueError("weights are missing at its end")
        if data:
            flat.copy_(torch.frombuffer(bytearray(data), dtype=torch.uint8))
    return TorchFile(value, list(unpickler.unread))


_ASKED = "; save a state dict: torch.save(model.state_dict(), 'weights.pth')"


def _kind_of_zip(names: Iterable[str]) -> str:
    """Says what a zip file is that torch.save has not written."""
    if any(name.endswith("constants.pkl") for name in names):
        return "is a program of TorchScript"
    if any(name.endswith(".npy") for name in names):
        return "is a file of numpy"
    if any(name.endswith((".h5", "config.json")) for name in names):
        return "is a model of Keras"
    return "is a zip file, but none of torch.save"


def _none() -> Tensor:
    return torch.empty(0, dtype=torch.uint8)
