"""TensorFlow's way from shards to batches, for youtube8m.py."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from youtube8m_peers import BATCH_SIZE, DIMS, NUM_CLASSES, Batches, Made

STARTER_FRAMES = 300  # the starter code pads every video to this


class TensorFlow(Batches):
    """tf.data with TensorFlow's own parser.

    `way` "single" parses a video at a time and pads, as the starter code does; "batch" parses 32 at
    once, which pads by itself.
    """

    def __init__(self, paths: Sequence[str], autotune: bool, way: str) -> None:
        self._tf = tf = _tensorflow(threads=None if autotune else 1)
        calls = tf.data.AUTOTUNE if autotune else None
        records = tf.data.TFRecordDataset(list(paths))
        if way == "single":
            data = records.map(self._one, num_parallel_calls=calls).padded_batch(BATCH_SIZE)
        else:
            batches = records.batch(BATCH_SIZE, num_parallel_calls=calls)
            data = batches.map(self._many, num_parallel_calls=calls)
        self._data = _threaded(tf, data, autotune)

    def batches(self) -> Iterator[Made]:
        for videos, *arrays in self._data.as_numpy_iterator():
            yield Made([video.decode() for video in videos], *arrays)

    def _one(self, record: Any) -> tuple[Any, ...]:
        tf = self._tf
        context, lists = tf.io.parse_single_sequence_example(record, *_description(tf))
        rgb, audio = (
            tf.reshape(tf.io.decode_raw(lists[name], tf.uint8), [-1, dim])  # [L, D]
            for name, dim in DIMS.items()
        )
        labels = tf.sparse.to_indicator(context["labels"], NUM_CLASSES)  # [K]
        labels.set_shape([NUM_CLASSES])
        return context["id"], rgb, audio, tf.shape(rgb)[0], labels

    def _many(self, records: Any) -> tuple[Any, ...]:
        tf = self._tf
        context, lists, lengths = tf.io.parse_sequence_example(records, *_description(tf))
        rgb, audio = (
            tf.io.decode_raw(lists[name], tf.uint8, fixed_length=dim)  # [B, L, D]
            for name, dim in DIMS.items()
        )
        labels = tf.sparse.to_indicator(context["labels"], NUM_CLASSES)  # [B, K]
        return context["id"], rgb, audio, lengths["rgb"], labels


class StarterCode(TensorFlow):
    """The steps of the YouTube-8M starter code: dequantised floats, all padded to 300 frames."""

    equal_features = False

    def __init__(self, paths: Sequence[str]) -> None:
        self._tf = tf = _tensorflow(threads=1)
        data = tf.data.TFRecordDataset(list(paths)).map(self._floats).batch(BATCH_SIZE)
        self._data = _threaded(tf, data, autotune=False)

    def _floats(self, record: Any) -> tuple[Any, ...]:
        tf = self._tf
        video, rgb, audio, length, labels = self._one(record)
        rgb, audio = (
            tf.pad(
                tf.cast(values, tf.float32) * (4 / 255) + (4 / 512 - 2),
                [[0, STARTER_FRAMES - length], [0, 0]],
            )  # [300, D]
            for values in (rgb, audio)
        )
        return video, rgb, audio, length, labels


def _tensorflow(threads: int | None) -> Any:
    with _quiet():
        import tensorflow as tf

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
        tf.constant(0)
    return tf


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Holds back what TensorFlow writes about the CPU when it begins; no setting does."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _threaded(tf: Any, data: Any, autotune: bool) -> Any:
    chosen = tf.data.Options()
    if autotune:
        data = data.prefetch(tf.data.AUTOTUNE)
    else:
        chosen.threading.private_threadpool_size = 1
        chosen.threading.max_intra_op_parallelism = 1
        chosen.autotune.enabled = False
    return data.with_options(chosen)


def _description(tf: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    context = {
        "id": tf.io.FixedLenFeature([], tf.string),
        "labels": tf.io.VarLenFeature(tf.int64),
    }
    return context, {name: tf.io.FixedLenSequenceFeature([], tf.string) for name in DIMS}
