"""Checkpoints of PaddlePaddle Fluid: a folder with one file a variable, read and written.

The published archives are .tar.gz files of one such folder; they are read in memory and never
unpacked. The layout of a file is in variables.py; that of later releases' one file in pdparams.py.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from torch import Tensor

from videozoo.checkpoints.names import Table, from_fluid, is_optimizer_variable
from videozoo.checkpoints.pdparams import SUFFIX, read_pdparams
from videozoo.checkpoints.strict import compare_shapes, is_head
from videozoo.checkpoints.variables import (
    Array,
    NotAVariableError,
    SupportsRead,
    pack_variable,
    read_variable,
)
from videozoo.errors import FileError, VideozooError
from videozoo.files import replacing
from videozoo.reading import open_regular

Shape = tuple[int, ...]
Member = tuple[str, int, SupportsRead]  # name, bytes, content

_STRAYS = frozenset({"__model__", "_SUCCESS", "Thumbs.db", "desktop.ini"})
_STRAY_SUFFIXES = (".txt", ".md", ".json", ".log")
_MOST_BYTES = 8 << 30  # of an archive's content: ten times the largest published one
_MOST_VARIABLE = 1 << 30  # bytes
_FREE, _MOST_RATIO = 256 << 20, 20  # bytes, and by how much more weights may shrink in an archive
_MOST_FILES = 20_000
_MOST_HEADER = 1 << 20  # bytes between two files; a long name is a file of its own to tarfile


def read_fluid(
    path: Path | str,
    *,
    skip: Callable[[str], bool] | None = None,
    wanted: Callable[[str, Shape], bool] | None = None,
    most: int = _MOST_BYTES,
) -> dict[str, Array]:
    """Reads all variables of a Fluid checkpoint, one after another.

    Args:
        path: the folder, a .tar.gz archive that holds one such folder, or a .pdparams file.
        skip: says of a name that its variable need not be read (optimizer state).
        wanted: says of a name and a shape that the values are wanted; of other variables the shape
            comes alone, and takes no memory. None: all are.
        most: bytes that all wanted values may have.

    Returns:
        Arrays by variable name, with the shapes that Fluid stored.

    Raises:
        VideozooError: there is no such checkpoint, a file is no variable or is cut short, or an
            archive holds links, several folders or absurdly much.
    """
    path = Path(path)
    if not path.exists():
        raise FileError(path, "there is no such checkpoint")
    if path.suffix == SUFFIX and path.is_file():
        found = read_pdparams(path, wanted=wanted, most=most)
        return {name: array for name, array in found.items() if skip is None or not skip(name)}

    def left_out(name: str) -> bool:
        return _is_stray(name) or (skip is not None and skip(name))

    arrays: dict[str, Array] = {}
    left = most
    try:
        members = (_folder_members if path.is_dir() else _archive_members)(path, left_out)
        for name, size, file in members:
            if size > _MOST_VARIABLE:
                raise FileError(path, f"'{name[:80]}' has {size >> 20:,} MB; it is not read")
            array = _parse(path, name, size, file, wanted)
            left -= array.nbytes if array.flags.writeable else 0  # else it has a shape alone
            if left < 0:
                raise _absurd(path)
            arrays[name] = array
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
        path: a folder, a .tar.gz archive of one, or a .pdparams file.
        table: the model's names, see names.Table.
        model_state: the model's own state dict: its shapes are expected.

    Returns:
        A whole state dict, float32.

    Raises:
        VideozooError: the checkpoint cannot be read, or its variables are not the table's
            (optimizer state is left aside).
    """
    expected = {f.name: f.shape_in_fluid(model_state[key].shape) for key, f in table.items()}
    arrays = read_fluid(
        path,
        skip=is_optimizer_variable,
        wanted=lambda name, shape: shape == tuple(expected.get(name, ())) and name in expected,
    )
    compare_shapes(
        expected,
        {name: array.shape for name, array in arrays.items()},
        what=str(path),
        head={f.name for key, f in table.items() if is_head(key)},
    )
    return from_fluid(arrays, table)


def _folder_members(folder: Path, left_out: Callable[[str], bool]) -> Iterator[Member]:
    entries = sorted(e for e in folder.iterdir() if not e.name.startswith("."))
    if len(entries) == 1 and entries[0].is_dir():  # an unpacked archive: its one folder is meant
        entries = sorted(entries[0].iterdir())
    if len(entries) > _MOST_FILES:
        raise _absurd(folder)
    for entry in entries:
        if entry.is_dir() and not _is_stray(entry.name):
            raise FileError(
                folder, f"holds the folder '{entry.name}'; give the one folder of a checkpoint"
            )
        if not left_out(entry.name):
            with open_regular(entry) as file:
                yield entry.name, os.fstat(file.fileno()).st_size, file


def _parse(
    path: Path,
    name: str,
    size: int,
    file: SupportsRead,
    wanted: Callable[[str, Shape], bool] | None,
) -> Array:
    try:
        return read_variable(file, size, wanted=None if wanted is None else partial(wanted, name))
    except NotAVariableError as error:
        raise FileError(path, f"the file '{name}' {error}") from error


def _archive_members(archive: Path, left_out: Callable[[str], bool]) -> Iterator[Member]:
    with open_regular(archive) as file, gzip.GzipFile(fileobj=file) as stream:
        most = min(_MOST_BYTES, _FREE + _MOST_RATIO * os.fstat(file.fileno()).st_size)
        limited = _Limited(archive, stream)
        with tarfile.open(fileobj=limited, mode="r|") as tar:
            yield from _tar_members(archive, tar, limited, left_out, most)
        while stream.read(1 << 20):  # what lies behind the last file, to check the checksum
            if stream.tell() > most:
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
    archive: Path,
    tar: tarfile.TarFile,
    limited: _Limited,
    left_out: Callable[[str], bool],
    most: int,
) -> Iterator[Member]:
    folder: PurePosixPath | None = None
    total = count = 0
    for member in tar:
        place = PurePosixPath(member.name)
        count, total = count + 1, total + member.size
        if total > most or count > _MOST_FILES:
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
        if not left_out(place.name):
            yield place.name, member.size, file


def _write_archive(file: Path, folder: str, arrays: Mapping[str, Array]) -> None:
    with tarfile.open(file, "w:gz") as tar:
        for name, array in arrays.items():
            data = pack_variable(array)
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _is_stray(name: str) -> bool:
    return name in _STRAYS or name.startswith(".") or name.endswith(_STRAY_SUFFIXES)
