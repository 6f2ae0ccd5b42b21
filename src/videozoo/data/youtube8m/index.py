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
from typing import Any, get_args

import numpy as np

from videozoo.data.youtube8m.pickles import load_shard
from videozoo.data.youtube8m.shards import Kind, kind_of_shard
from videozoo.data.youtube8m.tfrecord import RecordIndex, index_shard
from videozoo.errors import SampleError, VideozooError
from videozoo.files import cache_home, replacing

CACHE_VARIABLE = "VIDEOZOO_CACHE"  # of indexes alone
_SUBFOLDER = "youtube8m"
_VERSION = 2
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


def _cached_index(path: Path, folder: Path | None) -> ShardIndex:
    try:
        state = path.stat()
    except OSError as error:
        fault = f"{path}: cannot be read: {error.strerror or error}"
        return ShardIndex(path, "tfrecord", _nothing(fault))
    if folder is None:
        return _fresh_index(path)
    key: dict[str, Any] = {
        "version": _VERSION,
        "path": os.path.abspath(path),
        "size": state.st_size,
        "mtime_ns": state.st_mtime_ns,
    }
    name = hashlib.sha256(os.fsencode(key["path"])).hexdigest()[:32]
    file = folder / _SUBFOLDER / f"{name}.index"
    index = _remembered(file, key, path)
    if index is None:
        index = _fresh_index(path)
        _remember(file, key, index)
    return index


def _fresh_index(path: Path) -> ShardIndex:
    kind: Kind = "tfrecord"
    try:
        kind = kind_of_shard(path)
        if kind == "tfrecord":
            return ShardIndex(path, kind, index_shard(path))
        with _ONE_PICKLE:
            lengths = np.zeros(len(load_shard(path)), dtype=np.uint32)
        return ShardIndex(path, kind, RecordIndex.from_lengths(lengths, None))
    except SampleError as error:
        return ShardIndex(path, kind, _nothing(str(error)))


def _nothing(fault: str) -> RecordIndex:
    return RecordIndex.from_lengths((), fault)


def _remembered(file: Path, key: dict[str, Any], path: Path) -> ShardIndex | None:
    """Reads a cache file: a line of JSON, then the records' lengths as uint32 or int64."""
    try:
        head, _, body = file.read_bytes().partition(b"\n")
        said = json.loads(head)
        if any(said[name] != value for name, value in key.items()) or said["fault"]:
            return None
        # a copy: a view would keep the line of JSON too
        lengths = np.frombuffer(body, dtype=_DTYPES[said["dtype"]]).astype(said["dtype"])
        records = RecordIndex.from_lengths(lengths, None)
        if len(lengths) != said["records"] or said["kind"] not in get_args(Kind):
            return None
        if said["kind"] == "tfrecord" and records.file_size != key["size"]:
            return None
        return ShardIndex(path, said["kind"], records, remembered=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or unusable: the shard itself is the truth


def _remember(file: Path, key: dict[str, Any], index: ShardIndex) -> None:
    lengths = index.records.lengths
    said = {
        **key,
        "kind": index.kind,
        "fault": index.records.fault,
        "records": len(lengths),
        "dtype": lengths.dtype.name,
    }
    numbers = lengths.astype(_DTYPES[said["dtype"]]).tobytes()
    # A cache that cannot be written, or is damaged later, costs time, nothing else.
    with suppress(OSError), replacing(file, sync=False) as temporary, temporary.open("xb") as new:
        new.write(json.dumps(said).encode() + b"\n" + numbers)
