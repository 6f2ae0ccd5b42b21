"""Batches straight from the shards: what `YouTube8MSource.read` gives, without copies between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from videozoo.data.batches import (
    Chunk,
    Empty,
    FeatureBatch,
    FeatureRows,
    FeatureSample,
    Unreadable,
)
from videozoo.data.youtube8m.tfrecord import FOOTER_SIZE

if TYPE_CHECKING:
    from videozoo.data.youtube8m.source import YouTube8MSource


class ShardBatchBuilder:
    """Builds one batch: every record is read into the same buffer and copied to its row.

    The buffer stays in the processor's cache from reading over checking to copying; a fresh one a
    record would be fetched from memory each time.

    Args:
        source: the shards.
        indices: the videos that will be read.
        empty: gives the memory of the batch's features.
    """

    def __init__(self, source: YouTube8MSource, indices: Sequence[int], empty: Empty) -> None:
        self._source = source
        size = source.announce(indices)
        self._size = size
        self._buffer = bytearray(size + FOOTER_SIZE)
        self._rows = FeatureRows(
            len(indices),
            num_classes=source.num_classes,
            longest=source.frames_in(size),
            empty=empty,
        )

    def __len__(self) -> int:
        """Returns the number of videos in the batch so far."""
        return len(self._rows)

    def read(self, index: int, rng: np.random.Generator | None) -> FeatureSample:
        """Reads a video as the source's `read` does, but it holds only until the next is read."""
        return self._source.read_into(self._buffer, index, rng)

    def append(self, sample: FeatureSample) -> None:
        """Copies the video that was read last into the batch."""
        self._rows.append(sample)

    def batch(self, *, unreadable: Sequence[Unreadable], chunk: Chunk) -> FeatureBatch:
        """Returns the batch of the videos so far, at least one."""
        self._source.note_frames(self._size, self._rows.longest)
        return self._rows.batch(unreadable=unreadable, chunk=chunk)
