"""Which files a config's `filelist` means, and what kind of file each is."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from videozoo.data.youtube8m.tfrecord import HEADER_SIZE, is_header
from videozoo.errors import SampleError, VideozooError

Kind = Literal["tfrecord", "pickle"]

SUFFIXES = (".tfrecord", ".pkl", ".pickle")


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
    for path in _places(Path(source), base):
        if path.is_dir():
            return _not_empty(
                (p for p in path.iterdir() if p.suffix in SUFFIXES and not p.name.startswith(".")),
                f"the folder {path} holds no shard ({', '.join(SUFFIXES)})",
            )
        if path.is_file():
            return [path] if is_shard(path) else _read_list(path)
    if glob.has_magic(str(source)):
        found = [glob.glob(str(place), recursive=True) for place in _places(Path(source), base)]
        names = next((names for names in found if names), [])
        return _not_empty(map(Path, names), f"no file matches {source}")
    raise VideozooError(f"{source}: there is no such list, folder or shard")


def kind_of_shard(path: Path) -> Kind:
    """Tells a TFRecord file from a pickle by its first bytes; its name is asked where they fail.

    Raises:
        SampleError: the file cannot be read, or it is neither.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEADER_SIZE)
    except OSError as error:
        raise SampleError(f"cannot be read: {error.strerror or error}", path=path) from error
    if is_header(head):
        return "tfrecord"
    if _begins_pickle(head):
        return "pickle"
    if head.startswith(b"\x1f\x8b"):
        raise SampleError("is compressed with gzip; unpack it first", path=path)
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


def is_shard(path: Path) -> bool:
    """Says by its name, or by its first bytes, whether a file is a shard."""
    if path.suffix in SUFFIXES:
        return True
    with open(path, "rb") as file:
        head = file.read(HEADER_SIZE)
    return is_header(head) or _begins_pickle(head)


def _places(path: Path, base: Path | None) -> list[Path]:
    return [path] if base is None or path.is_absolute() else [path, base / path]


def _not_empty(paths: Iterable[Path], message: str) -> list[Path]:
    found = sorted(paths)
    if not found:
        raise VideozooError(message)
    return found


def _read_list(path: Path) -> list[Path]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise VideozooError(
            f"{path}: is neither a text file with one shard a line nor a shard"
        ) from error
    names = [line.strip() for line in lines]
    names = [name for name in names if name and not name.startswith("#")]
    if not names:
        raise VideozooError(f"{path}: the list names no shard")
    shards, missing = [], []
    for name in names:
        here = [place for place in _places(Path(name), path.parent) if place.is_file()]
        if here:
            shards.append(here[0])
        else:
            missing.append(name)
    if missing:
        lines_missing = "".join(f"\n  {name}" for name in missing)
        raise VideozooError(
            f"{path}: {len(missing)} of {len(names)} listed shards do not exist, neither from the "
            f"working folder nor from the list's own; get them or take them off:{lines_missing}"
        )
    return shards
