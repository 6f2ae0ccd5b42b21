"""The videos of YouTube-8M shards as samples."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from videozoo.data.batch import FeatureBatch
from videozoo.data.collate import Empty, collate_features, empty_array
from videozoo.data.dataset import Float64Array, VideoDataset
from videozoo.data.sample import (
    FeatureSample,
    Int64Array,
    UInt8Array,
    Unreadable,
    label_fault,
)
from videozoo.data.sampler import ReadGroups
from videozoo.data.youtube8m.example import Example, frame_size, parse_example
from videozoo.data.youtube8m.index import Progress, ShardIndex, index_shards, renewed_index
from videozoo.data.youtube8m.pickles import SHARDS_KEPT, PickleReader
from videozoo.data.youtube8m.tfrecord import RecordReader
from videozoo.errors import ChangedError, SampleError, VideozooError, as_given

# The videos of this many shards are shuffled among each other. 16 of YouTube-8M's mix 20,000
# videos, some twenty of the largest batches, and are 6 GB: a page cache holds them, so that reading
# here and there in them costs no more than reading them through.
SHARDS_AT_ONCE = 16
PICKLES_AT_ONCE = SHARDS_KEPT  # a record of a pickle costs the whole file

ChooseFrames = Callable[[int, np.random.Generator | None], Int64Array]


class YouTube8MDataset(VideoDataset):
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
        multi_label: a video may have many classes; False: it has one.
        progress: told how many shards are indexed, and of how many.

    Attributes:
        draws: whether `read` draws from the generator that it is given.
        read_groups: the shards, and how many of them are shuffled among each other.
        faults: the videos known to be unreadable from walking through the files.
        index_report: how many shards were indexed anew, and how long it took.

    Raises:
        VideozooError: there is no shard, or names and sizes do not pair up.
    """

    read_groups: ReadGroups

    def __init__(
        self,
        shards: Sequence[Path],
        *,
        feature_names: Sequence[str],
        feature_dims: Sequence[int],
        num_classes: int,
        frames: ChooseFrames | None = None,
        labelled: bool = True,
        multi_label: bool = True,
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
        self.multi_label = multi_label
        self._shards, self.index_report = index_shards(shards, progress=progress)
        counts = [len(s) + (s.records.fault is not None) for s in self._shards]
        stops = np.cumsum(counts)
        self._bounds: list[int] = [0, *stops.tolist()]
        self.faults = [
            Unreadable(index=stop - 1, video=self.name(stop - 1), reason=shard.records.fault)
            for shard, stop in zip(self._shards, stops.tolist(), strict=True)
            if shard.records.fault is not None
        ]
        pickles = any(shard.kind != "tfrecord" for shard in self._shards)
        self.read_groups = ReadGroups(stops, PICKLES_AT_ONCE if pickles else SHARDS_AT_ONCE)
        self.draws = frames is not None
        self._frame_size = frame_size(self.feature_dims)
        self._most_frames = 0  # of the videos so far
        self._records = RecordReader()
        self._pickles = PickleReader()

    def __len__(self) -> int:
        """Returns the number of listed videos."""
        return self._bounds[-1]

    def name(self, index: int) -> str:
        """Returns where a video lies, as `path#record` with records from 0."""
        shard, record = self._locate(index)
        return as_given(f"{self._shards[shard].path}#{record}")

    def file(self, index: int) -> Path:
        """Returns the shard of a video."""
        return self._shards[self._locate(index)[0]].path

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
            example = self._example(shard, record)
            return self._sample(example, rng, name=f"{shard.path.name}#{record}")
        except SampleError as error:
            if shard.remembered:  # the index may be wrong, not the file
                self._renew(number)
                return self.read(index, rng)
            raise error.at(shard.path, record) from error
        except ChangedError:
            self._renew(number)
            raise
        except VideozooError as error:
            raise VideozooError(f"{shard.path}: record {record}: {error}") from error

    def row_seconds(self, index: int) -> Float64Array | None:
        """Returns when rows were seen: YouTube-8M's last a second; see VideoDataset."""
        if self.recipe is not None:  # others may be spread over a video of any length
            return None
        shard, record = self._locate(index)
        example = self._example(self._shards[shard], record)
        seconds = np.arange(len(example.features[self.feature_names[0]]), dtype=np.float64) + 0.5
        return seconds if self.frames is None else seconds[self.frames(len(seconds), None)]

    def _example(self, shard: ShardIndex, record: int) -> Example:
        if shard.kind == "tfrecord":
            place = self._records.place(shard.records, record)
            return parse_example(self._records.read(shard.path, *place), self.feature_names)
        return self._pickles.read(shard.path, record, self.feature_names, count=len(shard))

    def _renew(self, number: int) -> None:
        """Indexes a shard anew; the cache folder's word of it is taken no more.

        Raises:
            ChangedError: it has other videos than it had.
        """
        old = self._shards[number]
        fresh = renewed_index(old)
        if fresh.records.fault is not None:  # what can be read still is
            fresh = replace(old, remembered=False)
        self._shards[number] = fresh
        if len(fresh) != len(old):
            raise ChangedError(old.path)

    def _sample(
        self, example: Example, rng: np.random.Generator | None, *, name: str
    ) -> FeatureSample:
        """Checks a stored video and chooses its frames; `name` is its id where it has none."""
        if any(key.startswith("segment_") for key in example.context):
            raise VideozooError(
                "is a segment record of YouTube-8M 2019 (its segment_labels rate pieces of 5"
                " seconds), which videozoo neither trains on nor scores; give the frame-level"
                " records of whole videos, those of 2018"
            )
        features = _checked_features(example, self.feature_names, self.feature_dims)
        labels = None
        if self.labelled and example.labels is not None and len(example.labels):
            labels = example.labels  # an empty list says no more than none
            self._check_labels(labels.tolist())
        if self.frames is not None:
            chosen = self.frames(len(features[0]), rng)
            features = tuple(feature[chosen] for feature in features)
        return FeatureSample(video=example.video or name, features=features, labels=labels)

    def _check_labels(self, labels: list[int]) -> None:
        if fault := label_fault(labels, self.num_classes):
            raise VideozooError(fault)
        if not self.multi_label and len(classes := sorted(set(labels))) > 1:
            raise VideozooError(
                f"names the classes {', '.join(map(str, classes))}, but multi_label is False, one"
                " class a video; set MODEL.multi_label=True"
            )

    def prefetch(self, indices: Sequence[int]) -> None:
        """Lets the system fetch videos that will be read next."""
        self._records.prefetch(self._places(indices))

    def placeholder(self) -> FeatureSample:
        """Returns a video of one frame of zeros, for a process that has none."""
        zeros = tuple(np.zeros((1, dim), dtype=np.uint8) for dim in self.feature_dims)
        return FeatureSample(video="", features=zeros, labels=None)

    def collate(
        self,
        samples: Iterable[FeatureSample],
        *,
        indices: Sequence[int] | None = None,
        empty: Empty = empty_array,
    ) -> FeatureBatch:
        """Pads samples to the longest of them, see FeatureBatch."""
        largest = max((length for _, _, length in self._places(indices or ())), default=0)
        # no more than there ever were: a record may be large by other features
        longest = 0 if self.frames else min(largest // self._frame_size, self._most_frames)
        batch = collate_features(
            samples,
            num_classes=self.num_classes,
            multi_label=self.multi_label,
            count=None if indices is None else len(indices),
            longest=longest,
            empty=empty,
        )
        self._most_frames = max(self._most_frames, batch.features[0].shape[1])
        return batch

    def _places(self, indices: Sequence[int]) -> list[tuple[Path, int, int]]:
        """Returns file, offset and length in bytes of the videos that lie in TFRecord files."""
        places: list[tuple[Path, int, int]] = []
        for number, record in map(self._locate, indices):
            shard = self._shards[number]
            if shard.kind == "tfrecord" and record < len(shard):
                places.append((shard.path, *self._records.place(shard.records, record)))
        return places

    def _locate(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"video {index} of {len(self)}")
        shard = bisect_right(self._bounds, index) - 1
        return shard, index - self._bounds[shard]


def _checked_features(
    example: Example, names: Sequence[str], dims: Sequence[int]
) -> tuple[UInt8Array, ...]:
    features: list[UInt8Array] = []
    for name, dim in zip(names, dims, strict=True):
        if name not in example.features:
            raise VideozooError(_without(name, example))
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


def _without(name: str, example: Example) -> str:
    """Says what a record is that lacks a feature."""
    if example.present or not example.context:
        has = _named(example.present) or "none at all"
        return f"has no feature '{name}'; it has {has}"
    has = _named(example.context)
    if any(key.startswith("mean_") for key in example.context):
        return (
            f"is a video-level record ({has}): one mean of the whole video; the models take"
            " frame-level features (rgb and audio a second), YouTube-8M's frame-level files"
        )
    return (
        f"has no feature '{name}': it is a tf.train.Example ({has}); a tf.train.SequenceExample"
        " with features by frame is expected"
    )


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"
