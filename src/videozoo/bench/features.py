"""The stages of reading YouTube-8M's frame features."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from videozoo.bench.blocks import Block, Span, spread_groups, spread_runs
from videozoo.bench.subjects import Pass, Stage, whole
from videozoo.data.batches import empty_array
from videozoo.data.sampling import Int64Array
from videozoo.data.youtube8m.index import index_shards
from videozoo.data.youtube8m.pickles import PickleReader
from videozoo.data.youtube8m.shards import kind_of_shard
from videozoo.data.youtube8m.source import SHARDS_AT_ONCE, YouTube8MSource
from videozoo.data.youtube8m.tfrecord import (
    FOOTER_SIZE,
    HEADER_SIZE,
    RecordReader,
)
from videozoo.errors import SampleError

_RECORD_STAGES = (
    Stage("read", "reading the bytes"),
    Stage("checksum", "checking checksums"),
    Stage("parse", "parsing records"),
    Stage("pad", "padding them to batches"),
)
_PICKLE_STAGES = (
    Stage("read", "reading the bytes"),
    Stage("unpickle", "unpickling"),
    Stage("check", "checking videos"),
    Stage("pad", "padding them to batches"),
)


class FeatureSubject:
    """The videos of YouTube-8M shards, to be measured.

    Args:
        source: the videos.
    """

    noun = "videos"

    def __init__(self, source: YouTube8MSource) -> None:
        self.source = source
        groups = source.read_groups
        self._bounds = [0, *groups.stops.tolist()]
        self._shard = lru_cache(maxsize=None)(_shard_at)
        self._pickles = groups.at_once != SHARDS_AT_ONCE  # a list without pickles has as many
        self.stages: tuple[Stage, ...] = _RECORD_STAGES
        if self._pickles:
            # Records and pickles in one list go through different stages.
            self.stages = () if self._has_records() else _PICKLE_STAGES

    def choose(self, wanted: int, batch_size: int) -> list[int]:
        """Chooses videos evenly over the shards: neighbours, as they are read, or whole pickles."""
        if self._pickles:
            return spread_groups(list(pairwise(self._bounds)), wanted)
        return spread_runs(len(self.source), wanted, batch_size)

    def spans(self, indices: Sequence[int]) -> list[Span]:
        """Returns where records lie, with their frames; of a pickle, an equal part of the file."""
        return [span for index in indices if (span := self._span(index)) is not None]

    def passes(self) -> list[Pass]:
        """Returns passes: records checked, parsed, made into batches."""
        if not self.stages:
            return [whole(self.source)]
        return self._pickle_passes() if self._pickles else self._record_passes()

    def _record_passes(self) -> list[Pass]:
        source, reader = self.source, RecordReader()

        # As in the making of a batch, one buffer takes all records of a block in turn.
        def check(block: Block) -> None:
            source.batch_builder(block.indices, empty_array)  # tells the system what will be read
            buffer = bytearray(max(span.stop - span.start for span in block.spans))
            for span in block.spans:
                length = span.stop - span.start - HEADER_SIZE - FOOTER_SIZE
                reader.read_into(buffer, span.path, span.start + HEADER_SIZE, length)

        def parse(block: Block) -> None:
            builder = source.batch_builder(block.indices, empty_array)
            for index in block.indices:
                builder.read(index, None)

        return [check, parse, whole(source)]

    def _pickle_passes(self) -> list[Pass]:
        # A reader keeps the last files in memory: each pass gets its own, and new ones each turn.
        reader, checked = PickleReader(), copy.deepcopy(self.source)
        names = self.source.feature_names

        def unpickle(block: Block) -> object:
            return [reader.read(*self._place(index), names) for index in block.indices]

        return [
            unpickle,
            lambda block: [checked.read(index) for index in block.indices],
            whole(copy.deepcopy(self.source)),
        ]

    def _place(self, index: int) -> tuple[Path, int]:
        path, _, record = self.source.name(index).rpartition("#")  # path#record
        return Path(path), int(record)

    def _has_records(self) -> bool:
        paths = {self._place(start)[0] for start in self._bounds[:-1]}
        return any(_kind_of(path) == "tfrecord" for path in paths)

    def _span(self, index: int) -> Span | None:
        path, record = self._place(index)
        shard = self._shard(path)
        if record >= shard.records:
            return None
        if shard.offsets is None:
            parts = [place * shard.size // shard.records for place in (record, record + 1)]
            return Span(path, *parts)
        start, stop = shard.offsets[record : record + 2].tolist()
        return Span(path, start, stop)


class _Shard(NamedTuple):
    records: int
    size: int
    offsets: Int64Array | None  # where the records begin and the last ends; None in a pickle


def _shard_at(path: Path) -> _Shard:
    (shard,), _ = index_shards([path])
    size = path.stat().st_size if len(shard) else 0
    if shard.kind == "pickle":
        return _Shard(len(shard), size, None)
    offsets = np.append(shard.records.offsets - HEADER_SIZE, shard.records.file_size)
    return _Shard(len(shard), size, offsets)


def _kind_of(path: Path) -> str | None:
    try:
        return kind_of_shard(path)
    except SampleError:
        return None  # its one listed video tells why it cannot be read
