"""How many records each shard holds and where they lie, remembered between runs."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from videozoo.addresses.places import address_of, known
from videozoo.data.youtube8m.pickles import load_shard
from videozoo.data.youtube8m.shards import CompressedError, Kind, kind_of_shard
from videozoo.data.youtube8m.tfrecord import HEADER_SIZE, RecordIndex, index_shard, is_header
from videozoo.errors import SampleError, VideozooError
from videozoo.files import cache_home, replacing
from videozoo.reading import parse_json, read_bytes

CACHE_VARIABLE = "VIDEOZOO_CACHE"  # of indexes alone
_SUBFOLDER = "youtube8m"
_VERSION = 3
_WHOLLY_CHECKED = 1 << 20  # bytes of a file all of whose headers are compared
_THREADS = 16  # walking headers is waiting for the disk
_ONE_PICKLE = Lock()  # which must be in memory to be counted

_DTYPES = {"uint32": "<u4", "int64": "<i8"}  # as written, by what they become

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ShardIndex:
    """What is known of a shard without reading its videos.

    Attributes:
        path: the file.
        kind: what kind of file it is.
        records: where its records lie; of a pickle only their number is true.
        remembered: it comes from the cache folder.
    """

    path: Path
    kind: Kind
    records: RecordIndex
    remembered: bool = False

    def __len__(self) -> int:
        return len(self.records.lengths)


@dataclass(frozen=True)
class IndexReport:
    """What indexing took; printed it is a line for people.

    Attributes:
        shards: how many there are.
        videos: how many they hold.
        remembered: how many of the shards came from the cache folder.
        seconds: how long it took.
        folder: the cache folder; None: there is none that can be written.
    """

    shards: int
    videos: int
    remembered: int
    seconds: float
    folder: Path | None

    def __str__(self) -> str:
        counts = f"{_counted(self.shards, 'shard')}, {_counted(self.videos, 'video')}"
        seconds = f"{self.seconds:.{0 if self.seconds >= 10 else 1}f} s"
        if self.remembered == self.shards:
            where = f" from {self.folder}" if self.folder is not None else ""  # a read-only one
            return f"index of {counts}, read in {seconds}{where}"
        known = f" ({_counted(self.remembered, 'shard')} known)" if self.remembered else ""
        kept = f"; remembered in {self.folder}" if self.folder is not None else ""
        return f"indexed {counts}{known}, in {seconds}{kept}"


def index_shards(
    paths: Sequence[Path], *, progress: Progress | None = None
) -> tuple[list[ShardIndex], IndexReport]:
    """Indexes shards, those that have not changed since from the cache folder.

    The folder is that of the environment variable VIDEOZOO_CACHE or VIDEOZOO_HOME, else videozoo/
    below XDG_CACHE_HOME or ~/.cache. Nothing depends on it: where it cannot be written every run
    indexes anew.

    Args:
        paths: the files.
        progress: told after each shard how many are done, and of how many.

    Returns:
        The indexes in the order of the files, and what indexing took.

    Raises:
        VideozooError: a file is compressed.
    """
    begun = time.perf_counter()
    folder = cache_folder()
    shards: list[ShardIndex] = []
    with ThreadPoolExecutor(max_workers=min(_THREADS, max(1, len(paths)))) as pool:
        for shard in pool.map(lambda path: _cached_index(path, folder), paths):
            shards.append(shard)
            if progress is not None:
                progress(len(shards), len(paths))
    return shards, IndexReport(
        shards=len(shards),
        videos=sum(map(len, shards)),
        remembered=sum(shard.remembered for shard in shards),
        seconds=time.perf_counter() - begun,
        folder=folder if folder and os.access(folder / _SUBFOLDER, os.W_OK) else None,
    )


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def cache_folder() -> Path | None:
    """Returns where indexes are kept; None for a user without a home."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    with suppress(VideozooError):
        return cache_home()
    return None


def _cached_index(path: Path, folder: Path | None, *, anew: bool = False) -> ShardIndex:
    try:
        key: dict[str, Any] = {"version": _VERSION, "path": os.path.abspath(path), **_state(path)}
    except OSError as error:
        fault = f"{path}: cannot be read: {error.strerror or error}"
        return ShardIndex(path, "tfrecord", _nothing(fault))
    if folder is None:
        return _fresh_index(path)
    name = hashlib.sha256(os.fsencode(key["path"])).hexdigest()[:32]
    file = folder / _SUBFOLDER / f"{name}.index"
    index = None if anew else _remembered(file, key, path)
    if index is None:
        index = _fresh_index(path)
        _remember(file, key, index)
    return index


def _state(path: Path) -> dict[str, Any]:
    """Returns what changes when a shard does."""
    if (remote := known(path)) is not None:
        return {"size": remote.size, "at_address": remote.version}
    state = path.stat()
    return {
        "size": state.st_size,
        "mtime_ns": state.st_mtime_ns,
        # what cannot be set: another file may have been given the same size and time
        "ctime_ns": state.st_ctime_ns,
        "inode": state.st_ino,
    }


def renewed_index(shard: ShardIndex) -> ShardIndex:
    """Indexes a shard anew, whatever the cache folder says of it."""
    return _cached_index(shard.path, cache_folder(), anew=True)


def _fresh_index(path: Path) -> ShardIndex:
    kind: Kind = "tfrecord"
    try:
        kind = kind_of_shard(path)
        if kind == "tfrecord":
            return ShardIndex(path, kind, index_shard(path))
        with _ONE_PICKLE:
            lengths = np.zeros(len(load_shard(path)), dtype=np.uint32)
        return ShardIndex(path, kind, RecordIndex.from_lengths(lengths, None))
    except CompressedError as error:  # a thousand sound videos are no unreadable one
        raise VideozooError(str(error)) from error
    except SampleError as error:
        return ShardIndex(path, kind, _nothing(str(error)))


def _nothing(fault: str) -> RecordIndex:
    return RecordIndex.from_lengths((), fault)


def _remembered(file: Path, key: dict[str, Any], path: Path) -> ShardIndex | None:
    """Reads a cache file: a line of JSON, then the records' lengths as uint32 or int64."""
    try:
        head, _, body = read_bytes(file).partition(b"\n")
        said = parse_json(head)
        if any(said[name] != value for name, value in key.items()) or said["fault"]:
            return None
        if said["sha256"] != _digest(body):
            return None
        here = address_of(path) is None  # or it would be fetched to be looked into
        if here and said["kind"] != kind_of_shard(path):
            return None
        # a copy: a view would keep the line of JSON too
        lengths = np.frombuffer(body, dtype=_DTYPES[said["dtype"]]).astype(said["dtype"])
        records = RecordIndex.from_lengths(lengths, None)
        if len(lengths) != said["records"]:
            return None
        if here and said["kind"] == "tfrecord" and not _lie_there(records, path, key["size"]):
            return None
        return ShardIndex(path, said["kind"], records, remembered=True)
    except (OSError, ValueError, KeyError, TypeError, VideozooError):
        return None  # absent or unusable: the shard itself is the truth


def _lie_there(records: RecordIndex, path: Path, size: int) -> bool:
    """Says whether records begin where an index says it: all of a small file, else the last."""
    if records.file_size != size:
        return False
    offsets, count = records.offsets, len(records.lengths)
    first = 0 if size <= _WHOLLY_CHECKED else count - 1
    with open(path, "rb") as file:
        for number in range(first, count):
            file.seek(int(offsets[number]) - HEADER_SIZE)
            if not is_header(file.read(HEADER_SIZE), length=int(records.lengths[number])):
                return False
    return True


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _remember(file: Path, key: dict[str, Any], index: ShardIndex) -> None:
    lengths = index.records.lengths
    numbers = lengths.astype(_DTYPES[lengths.dtype.name]).tobytes()
    said = {
        **key,
        "kind": index.kind,
        "fault": index.records.fault,
        "records": len(lengths),
        "dtype": lengths.dtype.name,
        "sha256": _digest(numbers),
    }
    # A cache that cannot be written, or is damaged later, costs time, nothing else.
    with suppress(OSError), replacing(file, sync=False) as temporary, temporary.open("xb") as new:
        new.write(json.dumps(said).encode() + b"\n" + numbers)
