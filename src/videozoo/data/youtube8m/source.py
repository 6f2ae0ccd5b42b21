"""The videos of YouTube-8M shards as samples."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from videozoo.data.batches import (
    Chunk,
    Empty,
    FeatureBatch,
    FeatureSample,
    Unreadable,
    collate_features,
)
from videozoo.data.samplers import ReadGroups
from videozoo.data.youtube8m.builder import ShardBatchBuilder
from videozoo.data.youtube8m.example import Example, parse_example
from videozoo.data.youtube8m.index import Progress, ShardIndex, index_shards
from videozoo.data.youtube8m.pickles import SHARDS_KEPT, PickleReader
from videozoo.data.youtube8m.tfrecord import RecordReader
from videozoo.errors import SampleError, VideozooError

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]

# The videos of this many shards are shuffled among each other. 16 of YouTube-8M's mix 20,000
# videos, some twenty of the largest batches, and are 6 GB: a page cache holds them, so that reading
# here and there in them costs no more than reading them through.
SHARDS_AT_ONCE = 16
PICKLES_AT_ONCE = SHARDS_KEPT  # a record of a pickle costs the whole file

ChooseFrames = Callable[[int, np.random.Generator | None], Int64Array]


class YouTube8MSource:
    """The videos of a list of shards, by number, in the order of the files.

    A shard that cannot be followed to its end (cut off, damaged) has one more video: reading it
    raises the reason, so that every result counts it among the listed.

    Args:
        shards: the files, TFRecord or pickle, from `list_shards`.
        feature_names: the modalities, M of them.
        feature_dims: their sizes D_m.
        num_classes: K; labels must lie in 0..K-1.
        frames: picks the indices of the wanted frames, given the number of frames and a random
            generator (None in test), such as `sample_cluster_frames`; None takes all frames.
        labelled: give labels; False leaves them out unchecked, as infer has no use for them.
        progress: told how many shards are indexed, and of how many.

    Attributes:
        faults: the videos known to be unreadable from walking through the files.
        index_report: how many shards were indexed anew, and how long it took.

    Raises:
        VideozooError: there is no shard, or names and sizes do not pair up.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        *,
        feature_names: Sequence[str],
        feature_dims: Sequence[int],
        num_classes: int,
        frames: ChooseFrames | None = None,
        labelled: bool = True,
        progress: Progress | None = None,
    ) -> None:
        if not shards:
            raise VideozooError("no shard is listed")
        if len(feature_names) != len(feature_dims) or not feature_names:
            raise VideozooError(
                f"feature_names has {len(feature_names)} entries and feature_dims "
                f"{len(feature_dims)}: they must pair up"
            )
        self.feature_names = tuple(feature_names)
        self.feature_dims = tuple(feature_dims)
        self.num_classes = num_classes
        self.frames = frames
        self.labelled = labelled
        self._shards, self.index_report = index_shards(shards, progress=progress)
        counts = [len(s) + (s.records.fault is not None) for s in self._shards]
        self._stops = np.cumsum(counts)
        self._bounds: list[int] = [0, *self._stops.tolist()]
        self._frame_size, self._most_frames = 0, 0  # bytes a frame, frames a video: see frames_in
        self.faults = [
            Unreadable(index=stop - 1, video=self.name(stop - 1), reason=shard.records.fault)
            for shard, stop in zip(self._shards, self._stops.tolist(), strict=True)
            if shard.records.fault is not None
        ]
        self._records = RecordReader()
        self._pickles = PickleReader()

    def __len__(self) -> int:
        """Returns the number of listed videos."""
        return self._bounds[-1]

    def name(self, index: int) -> str:
        """Returns where a video lies, as `path#record` with records from 0."""
        shard, record = self._locate(index)
        return f"{self._shards[shard].path}#{record}"

    @property
    def read_groups(self) -> ReadGroups:
        """The shards, and how many of them are shuffled among each other."""
        pickles = any(shard.kind != "tfrecord" for shard in self._shards)
        return ReadGroups(self._stops, PICKLES_AT_ONCE if pickles else SHARDS_AT_ONCE)

    @property
    def draws(self) -> bool:
        """Whether `read` draws from the generator that it is given."""
        return self.frames is not None

    def read(self, index: int, rng: np.random.Generator | None = None) -> FeatureSample:
        """Reads a video; its arrays are views on what was read, not to be written to.

        Args:
            index: 0 to len(self) - 1.
            rng: given to `frames`.

        Raises:
            SampleError: the record is damaged. The message names file and record.
            VideozooError: the record is sound, but not what feature_names, feature_dims and
                num_classes say: all the others will not be either.
        """
        return self._read(index, rng, None)

    def read_into(
        self, buffer: bytearray, index: int, rng: np.random.Generator | None
    ) -> FeatureSample:
        """Reads a video as `read` does; its arrays may be views on the buffer.

        Args:
            buffer: at least FOOTER_SIZE bytes more than `announce` says.
            index: 0 to len(self) - 1.
            rng: given to `frames`.
        """
        return self._read(index, rng, buffer)

    def batch_builder(self, indices: Sequence[int], empty: Empty) -> ShardBatchBuilder:
        """Returns what reads these videos fastest into one batch, see loader.BatchBuilder.

        Loaders ask it and not `read` and `collate`: a subclass that changes those changes it too.
        """
        return ShardBatchBuilder(self, indices, empty)

    def announce(self, indices: Sequence[int]) -> int:
        """Lets the system fetch videos that will be read soon.

        Returns:
            The bytes of the largest record; 0 where all are in pickles or cannot be read.
        """
        records: list[tuple[Path, int, int]] = []
        for number, record in map(self._locate, indices):
            shard = self._shards[number]
            if shard.kind == "tfrecord" and record < len(shard):
                records.append((shard.path, *self._records.place(shard.records, record)))
        self._records.announce(records)
        return max((length for _, _, length in records), default=0)

    def frames_in(self, size: int) -> int:
        """Guesses how many frames `read` gives of a record of that many bytes; 0: no idea."""
        if self.frames is not None or self._frame_size == 0:
            return 0
        # no more than there ever were: a record may be large by other features
        return min(size // self._frame_size, self._most_frames)

    def note_frames(self, size: int, frames: int) -> None:
        """Takes down, for later guesses, that a record of that many bytes has so many frames."""
        self._frame_size = size // frames
        self._most_frames = max(frames, self._most_frames)

    def _read(
        self, index: int, rng: np.random.Generator | None, buffer: bytearray | None
    ) -> FeatureSample:
        number, record = self._locate(index)
        shard = self._shards[number]
        if record == len(shard):
            raise SampleError(str(shard.records.fault))
        try:
            if shard.kind == "tfrecord":
                example = self._example(shard, record, buffer)
            else:
                example = self._pickles.read(shard.path, record, self.feature_names)
            features, labels = self._checked(example)
            if self.frames is not None:
                chosen = self.frames(len(features[0]), rng)
                features = tuple(feature[chosen] for feature in features)
            video = example.video or f"{shard.path.name}#{record}"
            return FeatureSample(video=video, features=features, labels=labels)
        except SampleError as error:
            raise error.at(shard.path, record) from error
        except VideozooError as error:
            raise VideozooError(f"{shard.path}: record {record}: {error}") from error

    def _example(self, shard: ShardIndex, record: int, buffer: bytearray | None) -> Example:
        offset, length = self._records.place(shard.records, record)
        if buffer is None:
            data = self._records.read(shard.path, offset, length)
            return parse_example(data, self.feature_names)
        self._records.read_into(buffer, shard.path, offset, length)
        return parse_example(buffer, self.feature_names, size=length)

    def placeholder(self) -> FeatureSample:
        """Returns a video of one frame of zeros, for a process that has none."""
        zeros = tuple(np.zeros((1, dim), dtype=np.uint8) for dim in self.feature_dims)
        return FeatureSample(video="", features=zeros, labels=None)

    def collate(
        self,
        samples: Sequence[FeatureSample],
        *,
        unreadable: Sequence[Unreadable] = (),
        chunk: Chunk | None = None,
        weight: float = 1.0,
    ) -> FeatureBatch:
        """Pads samples to the longest of them: features uint8 [B, L, D_m], labels bool [B, K]."""
        return collate_features(
            samples,
            num_classes=self.num_classes,
            unreadable=unreadable,
            chunk=chunk,
            weight=weight,
        )

    def _locate(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"video {index} of {len(self)}")
        shard = bisect_right(self._bounds, index) - 1
        return shard, index - self._bounds[shard]

    def _checked(self, example: Example) -> tuple[tuple[UInt8Array, ...], Int64Array | None]:
        features = _checked_features(example, self.feature_names, self.feature_dims)
        labels = example.labels if self.labelled else None
        if labels is not None:
            _check_labels(labels, self.num_classes)
        return features, labels


def _checked_features(
    example: Example, names: Sequence[str], dims: Sequence[int]
) -> tuple[UInt8Array, ...]:
    features: list[UInt8Array] = []
    for name, dim in zip(names, dims, strict=True):
        if name not in example.features:
            has = ", ".join(example.present) or "none at all"
            raise VideozooError(f"has no feature '{name}'; it has {has}")
        feature = example.features[name]
        if len(feature) == 0:
            raise SampleError(f"{name} has no frames")
        if feature.shape[1] != dim:
            raise VideozooError(
                f"{name} has {feature.shape[1]} values a frame, the config's feature_dims says "
                f"{dim}"
            )
        if features and len(feature) != len(features[0]):
            raise SampleError(
                f"{names[0]} has {len(features[0])} frames, {name} has {len(feature)}"
            )
        features.append(feature)
    return tuple(features)


def _check_labels(labels: Int64Array, num_classes: int) -> None:
    numbers = labels.tolist()  # of a few numbers Python finds the extremes faster than numpy
    low, high = min(numbers, default=0), max(numbers, default=0)
    if low < 0 or high >= num_classes:
        hint = "; it looks 1-based" if high == num_classes and low >= 1 else ""
        wrong = low if low < 0 else high
        raise VideozooError(f"label {wrong} is out of range 0..{num_classes - 1}{hint}")
