"""The videos of YouTube-8M shards as samples."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from videozoo.data.batches import (
    Chunk,
    FeatureBatch,
    FeatureSample,
    Unreadable,
    collate_features,
)
from videozoo.data.youtube8m.example import Example, parse_example
from videozoo.data.youtube8m.index import index_shards
from videozoo.data.youtube8m.pickles import PickleReader
from videozoo.data.youtube8m.tfrecord import RecordReader
from videozoo.errors import SampleError, VideozooError

UInt8Array = npt.NDArray[np.uint8]
Int64Array = npt.NDArray[np.int64]
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

    Attributes:
        faults: the videos known to be unreadable from walking through the files.
        group_bounds: first video and the one after the last of each shard.

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
        self._shards = index_shards(shards)
        counts = [len(s) + (s.records.fault is not None) for s in self._shards]
        self._stops = np.cumsum(counts).tolist()
        self.group_bounds = list(zip([0, *self._stops[:-1]], self._stops, strict=True))
        self.faults = [
            Unreadable(index=stop - 1, video=self.name(stop - 1), reason=shard.records.fault)
            for shard, stop in zip(self._shards, self._stops, strict=True)
            if shard.records.fault is not None
        ]
        self._records = RecordReader()
        self._pickles = PickleReader()

    def __len__(self) -> int:
        """Returns the number of listed videos."""
        return int(self._stops[-1])

    def name(self, index: int) -> str:
        """Returns where a video lies, as `path#record` with records from 0."""
        shard, record = self._locate(index)
        return f"{self._shards[shard].path}#{record}"

    @property
    def groups_to_read_together(self) -> list[tuple[int, int]] | None:
        """The shards' bounds where some are pickles: a record of a pickle costs the whole file."""
        pickles = any(shard.kind != "tfrecord" for shard in self._shards)
        return self.group_bounds if pickles else None

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
        number, record = self._locate(index)
        shard = self._shards[number]
        if record == len(shard):
            raise SampleError(str(shard.records.fault))
        try:
            if shard.kind == "tfrecord":
                offset, length = shard.records.offsets[record], shard.records.lengths[record]
                data = self._records.read(shard.path, int(offset), int(length))
                example = parse_example(data, self.feature_names)
            else:
                example = self._pickles.read(shard.path, record, self.feature_names)
            return self._sample(example, f"{shard.path.name}#{record}", rng)
        except VideozooError as error:
            raise type(error)(f"{shard.path}: record {record}: {error}") from error

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
        shard = bisect_right(self._stops, index)
        return shard, index - self.group_bounds[shard][0]

    def _sample(
        self, example: Example, name: str, rng: np.random.Generator | None
    ) -> FeatureSample:
        features = _checked_features(example, self.feature_names, self.feature_dims)
        labels = example.labels if self.labelled else None
        if labels is not None:
            _check_labels(labels, self.num_classes)
        if self.frames is not None:
            chosen = self.frames(len(features[0]), rng)
            features = tuple(feature[chosen] for feature in features)
        return FeatureSample(
            video=example.video or name,
            features=features,
            labels=labels,
        )


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
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if low < 0 or high >= num_classes:
        hint = "; it looks 1-based" if high == num_classes and low >= 1 else ""
        wrong = low if low < 0 else high
        raise VideozooError(f"label {wrong} is out of range 0..{num_classes - 1}{hint}")
