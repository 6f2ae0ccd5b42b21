"""How many records each shard holds and where they lie, remembered between runs."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from videozoo.data.youtube8m.pickles import load_shard
from videozoo.data.youtube8m.shards import Kind, kind_of_shard
from videozoo.data.youtube8m.tfrecord import RecordIndex, index_shard
from videozoo.errors import SampleError

Int64Array = npt.NDArray[np.int64]

CACHE_VARIABLE = "VIDEOZOO_CACHE"
_VERSION = 1
_THREADS = 8  # walking headers is waiting for the disk
_ONE_PICKLE = Lock()  # which must be in memory to be counted


@dataclass(frozen=True)
class ShardIndex:
    """What is known of a shard without reading its videos.

    Attributes:
        path: the file.
        kind: what kind of file it is.
        records: where its records lie; of a pickle only their number is true.
    """

    path: Path
    kind: Kind
    records: RecordIndex

    def __len__(self) -> int:
        return len(self.records.lengths)


def index_shards(paths: Sequence[Path]) -> list[ShardIndex]:
    """Indexes shards, those that have not changed since from the cache folder.

    The folder is that of the environment variable VIDEOZOO_CACHE, else ~/.cache/videozoo. Nothing
    depends on it: where it cannot be written every run indexes anew.
    """
    folder = cache_folder()
    with ThreadPoolExecutor(max_workers=min(_THREADS, max(1, len(paths)))) as pool:
        return list(pool.map(lambda path: _cached_index(path, folder), paths))


def cache_folder() -> Path | None:
    """Returns where indexes are kept; None for a user without a home."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    home = os.path.expanduser("~")
    return None if home == "~" else Path(home) / ".cache" / "videozoo"


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
        "path": str(path.resolve()),
        "size": state.st_size,
        "mtime_ns": state.st_mtime_ns,
    }
    file = folder / "youtube8m" / f"{hashlib.sha256(key['path'].encode()).hexdigest()[:32]}.index"
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
            lengths = np.zeros(len(load_shard(path)), dtype=np.int64)
        return ShardIndex(path, kind, RecordIndex.from_lengths(lengths, None))
    except SampleError as error:
        return ShardIndex(path, kind, _nothing(str(error)))


def _nothing(fault: str) -> RecordIndex:
    return RecordIndex.from_lengths(np.empty(0, dtype=np.int64), fault)


def _remembered(file: Path, key: dict[str, Any], path: Path) -> ShardIndex | None:
    """Reads a cache file: a line of JSON, then the records' lengths as int64."""
    try:
        head, _, body = file.read_bytes().partition(b"\n")
        said = json.loads(head)
        if any(said[name] != value for name, value in key.items()) or said["fault"]:
            return None
        lengths = np.frombuffer(body, dtype="<i8").astype(np.int64)
        records = RecordIndex.from_lengths(lengths, None)
        if len(lengths) != said["records"] or said["kind"] not in get_args(Kind):
            return None
        if said["kind"] == "tfrecord" and records.file_size != key["size"]:
            return None
        return ShardIndex(path, said["kind"], records)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent or unusable: the shard itself is the truth


def _remember(file: Path, key: dict[str, Any], index: ShardIndex) -> None:
    lengths = index.records.lengths
    said = {**key, "kind": index.kind, "fault": index.records.fault, "records": len(lengths)}
    temporary: Path | None = None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as out:
            out.write(json.dumps(said).encode() + b"\n" + lengths.astype("<i8").tobytes())
        os.replace(temporary, file)
    except OSError:
        # A cache that cannot be written costs time, nothing else.
        if temporary is not None:
            temporary.unlink(missing_ok=True)
