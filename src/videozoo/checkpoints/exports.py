"""What an exported file says about itself: one JSON text, found without the engine that runs it.

Nothing is executed or unpickled here, and no more is read than the text.
"""

from __future__ import annotations

import html
import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from videozoo.reading import open_regular, read_bytes

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "videozoo-export-1"
KEY = "videozoo"  # of ONNX's metadata_props and OpenVINO's rt_info
PT2_FILE = f"{KEY}.json"  # among the extra files of a .pt2
SUFFIXES = {"onnx": ".onnx", "pt2": ".pt2", "openvino": ".xml"}
_MOST = 64 << 20  # bytes of the text
_MOST_XML = 256 << 20
_MOST_FIELDS = 10_000  # of an ONNX model, its graph being one of them
_METADATA = 14  # metadata_props in ModelProto, onnx.proto3


@dataclass(frozen=True)
class GraphInput:
    """A tensor that a graph takes.

    Attributes:
        name: of it.
        dtype: "uint8" or "int64".
        shape: a number, or the name of a size that is free.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def takes(self, tensor: Tensor) -> bool:
        """Whether a tensor is what the graph takes."""
        sizes = zip(tensor.shape, self.shape, strict=False)
        fits = all(isinstance(wanted, str) or size == wanted for size, wanted in sizes)
        named = str(tensor.dtype).removeprefix("torch.")
        return fits and tensor.ndim == len(self.shape) and named == self.dtype

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} [{', '.join(map(str, self.shape))}]"

    def as_dict(self) -> dict[str, Any]:
        """Returns it as the description of a file has it."""
        return {"name": self.name, "type": self.dtype, "shape": list(self.shape)}

    @classmethod
    def of(cls, value: Any) -> Self:
        """Reads what `as_dict` gave.

        Raises:
            KeyError, TypeError: it is something else.
        """
        return cls(str(value["name"]), str(value["type"]), tuple(value["shape"]))


def export_text(path: Path) -> str | None:
    """Returns the JSON text that an exported file carries; None: it is none of ours.

    Raises:
        FileError: it is no regular file, or larger than such a file can be.
    """
    readers = {".onnx": _of_onnx, ".pt2": _of_pt2, ".xml": _of_openvino}
    read = readers.get(path.suffix.lower())
    if read is None or not path.is_file():
        return None
    try:
        found = read(path)
        return None if found is None else found.decode()
    except UnicodeDecodeError:
        return None


def _of_onnx(path: Path) -> bytes | None:
    with open_regular(path) as file:
        for _ in range(_MOST_FIELDS):
            tag = _varint(file)
            if tag is None or tag & 7 not in (0, 2):
                return None
            value = _varint(file)
            if value is None or tag & 7 == 0:
                continue
            if tag >> 3 != _METADATA:
                file.seek(value, os.SEEK_CUR)
            elif value <= _MOST and (found := _entry(file, file.tell() + value)) is not None:
                return found
    return None


def _entry(file: BinaryIO, end: int) -> bytes | None:
    """Returns the value of a StringStringEntryProto if its key is ours; goes to its end."""
    parts: dict[int, bytes] = {}
    while file.tell() < end:
        tag, length = _varint(file), _varint(file)
        if tag is None or length is None or tag & 7 != 2 or file.tell() + length > end:
            break
        parts[tag >> 3] = file.read(length)
    file.seek(end)
    return parts.get(2) if parts.get(1) == KEY.encode() else None


def _varint(file: BinaryIO) -> int | None:
    """Reads a number of protobuf, at most 63 bits; None: the file ends, or it is none."""
    number = 0
    for shift in range(0, 63, 7):
        byte = file.read(1)
        if not byte:
            return None
        number |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return number
    return None


def _of_pt2(path: Path) -> bytes | None:
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            names = [i for i in archive.infolist() if i.filename.endswith(f"/extra/{PT2_FILE}")]
            if len(names) != 1 or names[0].file_size > _MOST:
                return None
            return archive.read(names[0])
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError):
        return None


def _of_openvino(path: Path) -> bytes | None:
    found = re.search(rb'<%s value="([^"]*)"' % KEY.encode(), read_bytes(path, most=_MOST_XML))
    return None if found is None else html.unescape(found[1].decode("utf-8", "replace")).encode()
