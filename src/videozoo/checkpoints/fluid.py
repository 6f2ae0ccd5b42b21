"""Checkpoints of PaddlePaddle Fluid: a folder with one file a variable, read and written.

The published archives are .tar.gz files of one such folder; they are read in memory and never
unpacked. The layout of a file is in variables.py.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from torch import Tensor

from videozoo.checkpoints.names import Table, from_fluid, is_optimizer_variable
from videozoo.checkpoints.strict import compare_shapes, is_head
from videozoo.checkpoints.variables import (
    Array,
    NotAVariableError,
    pack_variable,
    parse_variable,
)
from videozoo.errors import FileError, VideozooError
from videozoo.files import replacing

_STRAYS = frozenset({"__model__", "_SUCCESS", "Thumbs.db", "desktop.ini"})
_STRAY_SUFFIXES = (".txt", ".md", ".json", ".log")
_MOST_BYTES = 8 << 30  # of an archive's content: ten times the largest published one
_MOST_FILES = 20_000
_MOST_HEADER = 1 << 20  # bytes between two files; a long name is a file of its own to tarfile


def read_fluid(path: Path | str, *, skip: Callable[[str], bool] | None = None) -> dict[str, Array]:
    """Reads all variables of a Fluid checkpoint.

    Args:
        path: the folder, or a .tar.gz archive that holds one such folder.
        skip: says of a name that its variable need not be read (optimizer state).

    Returns:
        Arrays by variable name, with the shapes that Fluid stored.

    Raises:
        VideozooError: there is no such checkpoint, a file is no variable or is cut short, or an
            archive holds links, several folders or absurdly much.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(path, "there is no such checkpoint")
    members = _folder_members(path) if path.is_dir() else _archive_members(path)
    try:
        arrays = {
            name: _parse(path, name, read())
            for name, read in members
            if not _is_stray(name) and not (skip is not None and skip(name))
        }
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise FileError(path, f"cannot be read ({error}); copy it again") from error
    if not arrays:
        raise FileError(path, "holds no Fluid variables")
    return arrays


def write_fluid(path: Path | str, arrays: Mapping[str, Array]) -> None:
    """Writes variables as Fluid would, under a temporary name first.

    Args:
        path: the folder to make, or a file name ending in .tar.gz or .tgz.
        arrays: values by variable name.

    Raises:
        VideozooError: the folder exists, a name is no file name, or a type is unknown to Fluid.
    """
    path = Path(path)
    for name in arrays:
        if not name or "/" in name or name.startswith("."):
            raise VideozooError(f"'{name}' cannot be the name of a Fluid variable's file")
    with replacing(path) as temporary:
        if path.name.endswith((".tar.gz", ".tgz")):
            _write_archive(
                temporary, path.name.removesuffix(".tgz").removesuffix(".tar.gz"), arrays
            )
        else:
            if path.exists():
                raise FileError(path, "exists already; give the name of a new folder")
            temporary.mkdir()
            for name, array in arrays.items():
                (temporary / name).write_bytes(pack_variable(array))


def load_fluid_weights(
    path: Path | str, table: Table, model_state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Reads a model's weights from a Fluid checkpoint, strictly.

    Args:
        path: a folder, or a .tar.gz archive of one.
        table: the model's names, see names.Table.
        model_state: the model's own state dict: its shapes are expected.

    Returns:
        A whole state dict, float32.

    Raises:
        VideozooError: the checkpoint cannot be read, or its variables are not the table's
            (optimizer state is left aside).
    """
    arrays = read_fluid(path, skip=is_optimizer_variable)
    compare_shapes(
        {f.name: f.shape_in_fluid(model_state[key].shape) for key, f in table.items()},
        {name: array.shape for name, array in arrays.items()},
        what=str(path),
        head={f.name for key, f in table.items() if is_head(key)},
    )
    return from_fluid(arrays, table)


def _folder_members(folder: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    if len(entries) == 1 and entries[0].is_dir():  # an unpacked archive: its one folder is meant
        entries = sorted(entries[0].iterdir())
    for entry in entries:
        if entry.is_dir() and not _is_stray(entry.name):
            raise FileError(
                folder, f"holds the folder '{entry.name}'; give the one folder of a checkpoint"
            )
        yield entry.name, entry.read_bytes


def _parse(path: Path, name: str, data: bytes) -> Array:
    try:
        return parse_variable(data)
    except NotAVariableError as error:
        raise FileError(path, f"the file '{name}' {error}") from error


def _archive_members(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    with gzip.open(archive) as stream:
        limited = _Limited(archive, stream)
        with tarfile.open(fileobj=limited, mode="r|") as tar:
            yield from _tar_members(archive, tar, limited)
        while stream.read(1 << 20):  # what lies behind the last file, to check the checksum
            if stream.tell() > _MOST_BYTES:
                raise _absurd(archive)


class _Limited(io.BufferedIOBase):
    """The bytes of a tar file, as far as one file and its headers may reach.

    Args:
        archive: begins an error's sentence.
        stream: unpacked.
    """

    def __init__(self, archive: Path, stream: gzip.GzipFile) -> None:
        super().__init__()
        self._archive = archive
        self._stream = stream
        self.left = _MOST_HEADER

    def read(self, size: int | None = -1) -> bytes:
        """Reads bytes; tarfile asks for a few thousand at once.

        Raises:
            VideozooError: there are more than may be left.
        """
        data = self._stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise _absurd(self._archive)
        return data


def _absurd(archive: Path) -> FileError:
    return FileError(archive, "holds absurdly much; it is not read")


def _tar_members(
    archive: Path, tar: tarfile.TarFile, limited: _Limited
) -> Iterator[tuple[str, Callable[[], bytes]]]:
    folder: PurePosixPath | None = None
    total = count = 0
    for member in tar:
        place = PurePosixPath(member.name)
        count, total = count + 1, total + member.size
        if total > _MOST_BYTES or count > _MOST_FILES:
            raise _absurd(archive)
        limited.left = member.size + _MOST_HEADER
        if member.isdir() or _is_stray(place.name) or "__MACOSX" in place.parts:
            continue
        if place.is_absolute() or ".." in place.parts:
            raise FileError(archive, f"'{member.name}' leads out of it; it is not read")
        if not member.isreg():
            raise FileError(archive, f"'{member.name}' is a link or device; it is not read")
        if folder not in (None, place.parent):
            raise FileError(
                archive,
                f"holds the folders '{folder}' and '{place.parent}'; a checkpoint is one folder",
            )
        folder = place.parent
        file = tar.extractfile(member)
        assert file is not None  # it is a regular file
        yield place.name, file.read


def _write_archive(file: Path, folder: str, arrays: Mapping[str, Array]) -> None:
    with tarfile.open(file, "w:gz") as tar:
        for name, array in arrays.items():
            data = pack_variable(array)
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _is_stray(name: str) -> bool:
    return name in _STRAYS or name.startswith(".") or name.endswith(_STRAY_SUFFIXES)
