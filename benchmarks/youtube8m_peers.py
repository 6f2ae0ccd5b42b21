"""The peers of youtube8m.py, each as its own users would write it for speed."""

from __future__ import annotations

import os
import pickle
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from turns import Bench

BATCH_SIZE = 32
NUM_CLASSES = 3862
DIMS = {"rgb": 1024, "audio": 128}


class Made(NamedTuple):
    """A batch: ids, uint8 [B, L, 1024], uint8 [B, L, 128], lengths [B], bool [B, 3862]."""

    videos: Sequence[str]
    rgb: Any
    audio: Any
    lengths: np.ndarray
    labels: np.ndarray


class Batches(Bench):
    """A peer that gives batches."""

    equal_features = True

    def batches(self) -> Iterable[Made]:
        raise NotImplementedError

    def run(self, case: None) -> None:
        for _ in self.batches():
            pass

    def check(self, case: None) -> list[dict[str, Any]]:
        return [
            {
                "videos": len(batch.videos),
                "ids": list(batch.videos),
                "lengths": np.asarray(batch.lengths).tolist(),
                "labels": _checksum(batch.labels, bool),
                "rgb": _checksum(batch.rgb, np.uint8) if self.equal_features else None,
                "audio": _checksum(batch.audio, np.uint8) if self.equal_features else None,
            }
            for batch in self.batches()
        ]


def _checksum(array: Any, dtype: Any) -> tuple[tuple[int, ...], int]:
    array = np.ascontiguousarray(array)
    if array.dtype != dtype:
        raise TypeError(f"a batch holds {array.dtype}, not {np.dtype(dtype)}")
    return array.shape, zlib.crc32(array)


class Videozoo(Batches):
    """Ours, with the checksums tested: in this process, or in a DataLoader's workers."""

    def __init__(self, paths: Sequence[str], workers: int) -> None:
        from pathlib import Path

        import torch

        from videozoo.data.loader import MicroBatchReader, make_loader
        from videozoo.data.sampler import StepSampler
        from videozoo.data.youtube8m.dataset import YouTube8MDataset

        torch.set_num_threads(1)
        source = YouTube8MDataset(
            [Path(path) for path in paths],
            feature_names=list(DIMS),
            feature_dims=list(DIMS.values()),
            num_classes=NUM_CLASSES,
        )
        sampler = StepSampler(
            len(source), batch_size=BATCH_SIZE, micro_batch_size=BATCH_SIZE, shuffle=False
        )
        self._loader: Iterable[Any]
        if workers:
            self._loader = make_loader(source, sampler, training=False, num_workers=workers)
        else:
            reader = MicroBatchReader(source, training=False)
            self._loader = _Mapped(reader, sampler)

    def batches(self) -> Iterator[Made]:
        for batch in self._loader:
            rgb, audio = batch.features
            lengths, labels = batch.lengths.numpy(), batch.labels.numpy()
            yield Made(batch.videos, rgb.numpy(), audio.numpy(), lengths, labels)


class _Mapped:
    def __init__(self, reader: Any, sampler: Iterable[Any]) -> None:
        self._reader, self._sampler = reader, sampler

    def __iter__(self) -> Iterator[Any]:
        return (self._reader[chunk] for chunk in self._sampler)


Video = tuple[str, np.ndarray, np.ndarray, Sequence[int]]


class Padded(Batches):
    """A peer that gives videos one by one; numpy pads them."""

    def videos(self) -> Iterator[Video]:
        raise NotImplementedError

    def batches(self) -> Iterator[Made]:
        videos = self.videos()
        while batch := list(islice(videos, BATCH_SIZE)):
            lengths = np.array([len(rgb) for _, rgb, _, _ in batch])
            arrays = [
                np.zeros((len(batch), lengths.max(), dim), dtype=np.uint8)  # [B, L, D]
                for dim in DIMS.values()
            ]
            labels = np.zeros((len(batch), NUM_CLASSES), dtype=bool)  # [B, K]
            for i, (_, rgb, audio, classes) in enumerate(batch):
                arrays[0][i, : len(rgb)] = rgb
                arrays[1][i, : len(audio)] = audio
                labels[i, classes] = True
            yield Made([video for video, *_ in batch], *arrays, lengths, labels)


class TfrecordPackage(Padded):
    """The `tfrecord` package; it tests no checksums."""

    def __init__(self, paths: Sequence[str]) -> None:
        from tfrecord.reader import sequence_loader

        self._paths, self._load = paths, sequence_loader

    def videos(self) -> Iterator[Video]:
        context = {"id": "byte", "labels": "int"}
        for path in self._paths:
            for head, lists in self._load(path, None, context, dict.fromkeys(DIMS, "byte")):
                rgb, audio = (_matrix(lists[name], dim) for name, dim in DIMS.items())
                yield head["id"].decode(), rgb, audio, head["labels"]


class Protobuf(Padded):
    """Protocol buffer messages (the C library upb) over a plain record reader, no checksums."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths, self._message = paths, _sequence_example()

    def videos(self) -> Iterator[Video]:
        message = self._message()
        for path in self._paths:
            for data in records(path):
                message.ParseFromString(data)
                context, lists = message.context.feature, message.feature_lists.feature_list
                rgb, audio = (
                    _matrix([f.bytes_list.value[0] for f in lists[name].feature], dim)
                    for name, dim in DIMS.items()
                )
                labels = list(context["labels"].int64_list.value)
                yield context["id"].bytes_list.value[0].decode(), rgb, audio, labels


def _matrix(frames: Sequence[bytes], dim: int) -> np.ndarray:
    return np.frombuffer(b"".join(frames), dtype=np.uint8).reshape(-1, dim)  # [L, D]


def _sequence_example() -> Any:
    """Builds the message class from TensorFlow's published description of it."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package="bench", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    plain = {"bytes": kinds.TYPE_BYTES, "int64": kinds.TYPE_INT64, "float": kinds.TYPE_FLOAT}
    plain["text"] = kinds.TYPE_STRING

    def add(to: Any, name: str, *fields: tuple[str, str, bool], one_of: str = "") -> Any:
        message = to.add(name=name)
        if one_of:
            message.oneof_decl.add(name=one_of)
        for number, (field, kind, repeated) in enumerate(fields, 1):
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            added.type = plain.get(kind, kinds.TYPE_MESSAGE)
            if added.type == kinds.TYPE_MESSAGE:
                added.type_name = f".bench.{kind}"
            if one_of:
                added.oneof_index = 0
        return message

    def add_map(name: str, field: str, entry: str, value: str) -> None:
        holder = add(file.message_type, name, (field, f"{name}.{entry}", True))
        inner = add(holder.nested_type, entry, ("key", "text", False), ("value", value, False))
        inner.options.map_entry = True

    for name, kind in (("BytesList", "bytes"), ("FloatList", "float"), ("Int64List", "int64")):
        add(file.message_type, name, ("value", kind, True))
    values = (("bytes_list", "BytesList"), ("float_list", "FloatList"), ("int64_list", "Int64List"))
    add(file.message_type, "Feature", *((a, b, False) for a, b in values), one_of="kind")
    add_map("Features", "feature", "FeatureEntry", "Feature")
    add(file.message_type, "FeatureList", ("feature", "Feature", True))
    add_map("FeatureLists", "feature_list", "FeatureListEntry", "FeatureList")
    parts = (("context", "Features", False), ("feature_lists", "FeatureLists", False))
    add(file.message_type, "SequenceExample", *parts)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.SequenceExample"))


class Pickles(Padded):
    """The original's converted files: unpickled whole, as its reader does, then padded."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths

    def videos(self) -> Iterator[Video]:
        for path in self._paths:
            with open(path, "rb") as file:
                videos = pickle.load(file)  # noqa: S301  # written by youtube8m.py itself
            for video in videos:
                yield video["video"], video["feature"], video["audio"], video["label"]


class OriginalFloats(Pickles):
    """What the original's reader gives: floats, dequantised video by video, not padded."""

    equal_features = False

    def batches(self) -> Iterator[Made]:
        videos = self.videos()
        while batch := list(islice(videos, BATCH_SIZE)):
            names, rgb, audio, classes = zip(*batch, strict=True)
            labels = np.zeros((len(batch), NUM_CLASSES), dtype=bool)  # [B, K]
            for row, own in zip(labels, classes, strict=True):
                row[own] = True
            floats = [[_dequantised(video) for video in kind] for kind in (rgb, audio)]
            yield Made(names, *floats, np.array([len(video) for video in rgb]), labels)


def _dequantised(values: np.ndarray) -> np.ndarray:
    return values * np.float32(4 / 255) + np.float32(4 / 512 - 2)  # [L, D]


class RawBytes(Bench):
    """All bytes of the files, into one buffer again and again."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths, self._buffer = paths, bytearray(1 << 20)

    def run(self, case: None) -> None:
        for path in self._paths:
            with open(path, "rb", buffering=0) as file:
                while file.readinto(self._buffer):
                    pass


class Checksum(Bench):
    """CRC-32C of all records, which are in memory already."""

    def __init__(self, paths: Sequence[str]) -> None:
        import google_crc32c

        self._value = google_crc32c.value
        held = {path: list(records(path)) for path in set(paths)}
        self._records = [data for path in paths for data in held[path]]

    def run(self, case: None) -> None:
        for data in self._records:
            self._value(data)


def records(path: str) -> Iterator[bytes]:
    """Yields the records of a TFRecord file without testing their checksums."""
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        while file.tell() < end:
            (length,) = struct.unpack("<Q", file.read(12)[:8])
            yield file.read(length)
            file.seek(4, os.SEEK_CUR)
