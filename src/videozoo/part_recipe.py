"""What decides the content of parts, so that those of something else are not taken."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from videozoo.addresses.copies import content_sha256
from videozoo.addresses.places import is_file, listed_path, stamp
from videozoo.data.dataset import VideoDataset
from videozoo.distributed import process_place
from videozoo.errors import SampleError
from videozoo.shards import Span

_IDLE_KEYS = ("num_workers", "reader_timeout", "filelist")  # they change no score


def recipe_of(
    dataset: VideoDataset, span: Span, *, settings: Any, protocol: Mapping[str, Any], **more: Any
) -> dict[str, Any]:
    """Returns what decides a result: weights, settings, samples, processes.

    Args:
        dataset: the samples.
        span: those of them that are done.
        settings: of the mode.
        protocol: how scores are made.
        more: what else the result depends on.
    """
    keys = settings.model_dump(mode="json", exclude=set(_IDLE_KEYS))
    how = {k: v for k, v in protocol.items() if k not in ("weights", "config")}
    return {
        "settings": keys,
        "protocol": how,
        "samples": stamp_of(dataset, span.indices()),
        "processes": process_place()[1],
        **more,
    }


def list_sum(source: str | None, dataset: VideoDataset) -> str:
    """Returns the SHA-256 of a list's file; of no file, of the samples' names, one a line."""
    if source is not None and is_file(path := listed_path(source)):
        return content_sha256(path)
    found = hashlib.sha256()
    for index in range(len(dataset)):
        found.update(dataset.name(index).encode("utf-8", "surrogatepass") + b"\n")
    return found.hexdigest()


def stamp_of(dataset: VideoDataset, indices: Iterable[int]) -> str:
    """Returns what changes when samples do: their names, files, sizes and times."""
    found = hashlib.sha256()
    last: Path | None = None
    for index in indices:
        found.update(dataset.name(index).encode("utf-8", "surrogatepass") + b"\0")
        file = dataset.file(index)
        if file is not None and file != last:
            last = file
            try:
                found.update(f"{stamp(file)}\0".encode())
            except (OSError, SampleError):
                found.update(b"missing\0")
    return found.hexdigest()[:16]
