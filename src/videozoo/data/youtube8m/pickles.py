"""YouTube-8M pickles: what the original's converter made of the TFRecord files.

A pickle holds a list of dicts, or one dict alone; a file may hold several, one dumped after
another. Keys are text or bytes:

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
from videozoo.data.youtube8m.example import Example
from videozoo.errors import ChangedError, SampleError, brief
from videozoo.pickling.unpickle import load_pickle, whole_numbers

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
    records: list[Any] = []
    for content in load_pickle(path, what=str(path), several=True):
        part = [content] if isinstance(content, dict) else content
        if isinstance(part, (list, tuple)) and len(part) == 3 and isinstance(part[2], list):
            raise SampleError(
                "is a Kinetics pickle (video id, label, images), not a list of videos, each a dict;"
                " give it to TSN or STNET, and records of features to this model",
                path=path,
            )
        if not isinstance(part, (list, tuple)) or not all(isinstance(r, dict) for r in part):
            raise SampleError("is not a list of videos, each a dict", path=path)
        records += part
    if not records:
        raise SampleError("holds no video", path=path)
    return records


class PickleReader:
    """Reads single records, keeping the shards that were used last in memory."""

    def __init__(self) -> None:
        self._load = lru_cache(maxsize=SHARDS_KEPT)(load_shard)

    def __reduce__(self) -> tuple[type[PickleReader], tuple[()]]:
        return PickleReader, ()

    def read(self, path: Path, record: int, names: Sequence[str], *, count: int) -> Example:
        """Returns one of `count` records.

        Raises:
            SampleError: the shard or the record cannot be read.
            ChangedError: the file has another number of records.
        """
        records = self._load(path)
        if len(records) != count:
            raise ChangedError(path)
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
        labels=None if values.get("label") is None else _labels(values["label"]),
        features=features,
        present=tuple(called.get(key, key) for key in values if key not in _NOT_FEATURES),
    )


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    return value if isinstance(value, str) else brief(value)


def _whole(value: Any, name: str) -> int:
    numbers = whole_numbers(value)
    if numbers is None or len(numbers) != 1 or numbers[0] < 0:
        raise SampleError(f"its {name} is not a whole number")
    return numbers[0]


def _array(value: Any, key: str) -> UInt8Array:
    if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 2:
        found = f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value)
        raise SampleError(f"its {key} is {found}, not a uint8 array [frames, values]")
    return value


def _labels(value: Any) -> Int64Array:
    labels = whole_numbers(value)
    if labels is None:
        parts = value if isinstance(value, (list, tuple)) else ()
        nested = getattr(value, "ndim", 0) > 1 or any(isinstance(p, (list, tuple)) for p in parts)
        what = "one list" if nested else "whole numbers"
        raise SampleError(f"its labels are not {what}: {brief(value)}")
    return np.array(labels, dtype=np.int64)
