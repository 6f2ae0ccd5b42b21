"""Which files a config's `filelist` means, and what kind of file each is."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from videozoo.addresses.copies import local
from videozoo.addresses.places import brought, is_file, listed_path, look_up, walk
from videozoo.data.youtube8m.tfrecord import HEADER_SIZE, is_header
from videozoo.errors import FileError, SampleError, VideozooError
from videozoo.reading import lines_of, open_regular, read_text

Kind = Literal["tfrecord", "pickle"]

SUFFIXES = (".tfrecord", ".pkl", ".pickle")

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"\x1f\x9d": "compress",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!": "RAR",
    **dict.fromkeys((b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"), "zlib"),
}
_PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".zlib", ".z", ".Z")
_MOST_MISSING = 100  # shards that an error names


class CompressedError(SampleError):
    """A file is compressed as a whole, so that records cannot be read here and there in it."""


def list_shards(source: str | Path, base: Path | None = None) -> list[Path]:
    """Finds the shards that `source` names, in the order of the list, or sorted by name.

    Args:
        source: a list file with one path a line (empty lines and lines that begin with # do not
            count; a relative path is looked for from the working folder, then from the list's
            own), a folder, a pattern such as `train*.tfrecord`, or one shard itself.
        base: the folder from which a relative `source` is looked for when the working folder does
            not have it.

    Raises:
        VideozooError: nothing is there, or some of the listed files are missing: all are named.
    """
    for path in _places(brought(source), base):
        if path.is_dir():
            return _folder_shards(path)
        if is_file(path):
            return [path] if is_shard(path) else _read_list(path)
    if glob.has_magic(str(source)):
        found = [glob.glob(str(place), recursive=True) for place in _places(Path(source), base)]
        names = next((names for names in found if names), [])
        return _not_empty(map(Path, names), f"no file matches {source}")
    raise VideozooError(f"{source}: there is no such list, folder or shard")


def kind_of_shard(path: Path) -> Kind:
    """Tells a TFRecord file from a pickle by its first bytes; its name is asked where they fail.

    Raises:
        SampleError: the file cannot be read, or it is neither; a CompressedError where it may be
            one when it is unpacked.
    """
    try:
        with open_regular(path) as file:
            head = file.read(HEADER_SIZE)
    except FileError as error:
        raise SampleError(error.reason, path=path) from error
    except OSError as error:
        raise SampleError(f"cannot be read: {error.strerror or error}", path=path) from error
    if is_header(head):
        return "tfrecord"
    if _begins_pickle(head):
        return "pickle"
    if way := compression_of(head):
        raise CompressedError(f"is compressed with {way}; unpack it first", path=path)
    if path.suffix == ".tfrecord":
        return "tfrecord"  # damaged in its first header: indexing it says so
    if path.suffix in SUFFIXES:
        return "pickle"  # likewise
    raise SampleError("is neither a TFRecord file nor a pickle", path=path)


def _begins_pickle(head: bytes) -> bool:
    # protocols 2 to 5 say so in two bytes; 0 and 1 begin with a list or a dict
    if head[:1] == b"\x80":
        return len(head) > 1 and 2 <= head[1] <= 5
    return head.startswith((b"(lp", b"(dp", b"]q", b"}q"))


def compression_of(head: bytes) -> str | None:
    """Returns what a file is compressed with, by its first bytes; None: with nothing known."""
    return next((way for start, way in _COMPRESSED.items() if head.startswith(start)), None)


def is_shard(path: Path) -> bool:
    """Says by its name, or by its first bytes, whether a file is a shard, or a compressed one."""
    if path.suffix in SUFFIXES:
        return True
    with local(path) as here, open(here, "rb") as file:
        head = file.read(HEADER_SIZE)
    return is_header(head) or _begins_pickle(head) or compression_of(head) is not None


def _folder_shards(folder: Path) -> list[Path]:
    names = next(walk(folder))[2]
    files = [folder / name for name in names if not name.startswith(".")]
    files = [path for path in files if is_file(path)]
    packed = [p for p in files if p.suffix in _PACKED_SUFFIXES and Path(p.stem).suffix in SUFFIXES]
    if packed:
        raise VideozooError(
            f"the folder {folder} holds {len(packed)} compressed shards ({min(packed).name}, ...);"
            " unpack them first"
        )
    return _not_empty(
        (p for p in files if p.suffix in SUFFIXES),
        f"the folder {folder} holds no shard ({', '.join(SUFFIXES)})",
    )


def _places(path: Path, base: Path | None) -> list[Path]:
    return [path] if base is None or path.is_absolute() else [path, base / path]


def _not_empty(paths: Iterable[Path], message: str) -> list[Path]:
    found = sorted(paths)
    if not found:
        raise VideozooError(message)
    return found


def _read_list(path: Path) -> list[Path]:
    try:
        lines = lines_of(read_text(path))
    except UnicodeDecodeError as error:
        raise VideozooError(
            f"{path}: is neither a text file with one shard a line nor a shard"
        ) from error
    names = [line.strip() for line in lines]
    names = [name for name in names if name and not name.startswith("#")]
    if not names:
        raise VideozooError(f"{path}: the list names no shard")
    shards, missing = [], []
    places = [_places(listed_path(name), path.parent) for name in names]
    look_up(place for several in places for place in several)
    for name, several in zip(names, places, strict=True):
        here = [place for place in several if is_file(place)]
        if here:
            shards.append(here[0])
        else:
            missing.append(name)
    if missing:
        lines_missing = "".join(f"\n  {name}" for name in missing[:_MOST_MISSING])
        if len(missing) > _MOST_MISSING:
            lines_missing += f"\n  and {len(missing) - _MOST_MISSING} more"
        raise VideozooError(
            f"{path}: {len(missing)} of {len(names)} listed shards do not exist, neither from the "
            f"working folder nor from the list's own; get them or take them off:{lines_missing}"
        )
    return shards
