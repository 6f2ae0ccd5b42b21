"""YouTube-8M pickles: what the original's converter made of the TFRecord files.

A pickle holds a list of dicts, or one dict alone; keys are text or bytes:

    video     the id
    feature   uint8 [n, 1024], called rgb everywhere else
    audio     uint8 [n, 128]
    label     a list of classes
    nframes   how many of the frames count
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from videozoo.data.sample import Int64Array, UInt8Array
from videozoo.data.unpickle import load_pickle
from videozoo.data.youtube8m.example import Example
from videozoo.errors import SampleError

_STORED_AS = {"rgb": "feature"}
_NOT_FEATURES = ("video", "label", "nframes")
SHARDS_KEPT = 2  # a shard is some hundred megabytes


def load_shard(path: Path) -> list[Any]:
    """Unpickles a shard.

    Returns:
        Its records as stored; `parse_record` reads one.

    Raises:
        SampleError: the file cannot be read, is not a pickle of data, or is not a list of dicts.
    """
    content = load_pickle(path, what=str(path))
    records = [content] if isinstance(content, dict) else content
    if not isinstance(records, (list, tuple)) or not all(isinstance(r, dict) for r in records):
        raise SampleError("is not a list of videos, each a dict", path=path)
    if not records:
        raise SampleError("holds no video", path=path)
    return list(records)


class PickleReader:
    """Reads single records, keeping the shards that were used last in memory."""

    def __init__(self) -> None:
        self._load = lru_cache(maxsize=SHARDS_KEPT)(load_shard)

    def __reduce__(self) -> tuple[type[PickleReader], tuple[()]]:
        return PickleReader, ()

    def read(self, path: Path, record: int, names: Sequence[str]) -> Example:
        """Returns one record.

        Raises:
            SampleError: the shard or the record cannot be read.
        """
        records = self._load(path)
        if record >= len(records):
            raise SampleError("is not there: the file has become shorter since it was indexed")
        return parse_record(records[record], names)


def parse_record(record: dict[Any, Any], names: Sequence[str]) -> Example:
    """Reads one video's dict.

    Args:
        record: as stored; keys may be bytes.
        names: the wanted modalities: rgb lies under `feature`, others under their own name.

    Raises:
        SampleError: a value is not of its kind. The message is only the reason.
    """
    values = {_text(key): value for key, value in record.items()}
    frames = values.get("nframes")
    count = None if frames is None else _whole(frames, "nframes")
    features = {}
    for name in names:
        stored = _STORED_AS.get(name, name)
        key = stored if stored in values else name
        if key in values and key not in _NOT_FEATURES:
            features[name] = _array(values[key], key)[:count]
    called = {stored: name for name, stored in _STORED_AS.items()}
    return Example(
        video=_text(values["video"]) if "video" in values else None,
        labels=_labels(values["label"]) if values.get("label") is not None else None,
        features=features,
        present=tuple(called.get(key, key) for key in values if key not in _NOT_FEATURES),
    )


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    return str(value)


def _whole(value: Any, name: str) -> int:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iu" or int(array.item()) < 0:
        raise SampleError(f"its {name} is not a whole number")
    return int(array.item())


def _array(value: Any, key: str) -> UInt8Array:
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 2:
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value)
        raise SampleError(f"its {key} is {found}, not a uint8 array [frames, values]")
    return value


def _labels(value: Any) -> Int64Array:
    try:
        labels = np.asarray(value)
    except ValueError:  # lists of different lengths
        labels = np.empty((0, 0))
    if labels.size and labels.dtype.kind not in "iu":
        raise SampleError("its labels are not whole numbers")
    if labels.ndim > 1:
        raise SampleError("its labels are not one list")
    return labels.reshape(-1).astype(np.int64)
