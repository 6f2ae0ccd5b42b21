"""tf.train.SequenceExample: the message in which YouTube-8M stores a video.

    SequenceExample  1: context (Features)  2: feature_lists (FeatureLists)
    Features         1: map of name -> Feature
    FeatureLists     1: map of name -> FeatureList
    FeatureList      1: repeated Feature, one a frame
    Feature          1: bytes list | 2: float list | 3: int64 list, each with 1: repeated value
    map              repeated entries with 1: key, 2: value

The four kinds of message are read here straight from the bytes: a protobuf library would copy
every frame into an object of its own.

Source: TensorFlow, `example.proto` and `feature.proto`; Protocol Buffers, "Encoding".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from videozoo.data.sample import Int64Array, UInt8Array
from videozoo.errors import SampleError

Span = tuple[int, int]  # first byte and the one after the last

_BYTES, _FLOAT, _INT64 = 1, 2, 3  # the fields of Feature


@dataclass(frozen=True)
class Example:
    """A stored video.

    Attributes:
        video: its id; None where the record has none.
        labels: int64 [number of labels]; None where the record has no labels.
        features: uint8 [n, D] a wanted modality that is there; views on the record's bytes.
        present: the names of all modalities that are there.
        context: the names of all that is said of the video as a whole.
    """

    video: str | None
    labels: Int64Array | None
    features: dict[str, UInt8Array]
    present: tuple[str, ...]
    context: tuple[str, ...] = ()


def parse_example(data: bytes, names: Sequence[str]) -> Example:
    """Reads a SequenceExample.

    Args:
        data: the serialised message.
        names: the wanted feature lists; others are skipped.

    Raises:
        SampleError: the bytes are no such message, or a wanted list is not one bytes value a
            frame, all of one size. The message is only the reason.
    """
    try:
        context: dict[str, Span] = {}
        lists: dict[str, Span] = {}
        for number, wire, start, stop in _fields(data, 0, len(data)):
            if wire == 2 and number in (1, 2):
                (context if number == 1 else lists).update(_map(data, start, stop))
        features = {name: _frames(data, name, *lists[name]) for name in names if name in lists}
        video, labels = _video(data, context), _labels(data, context)
        return Example(video, labels, features, tuple(lists), tuple(context))
    except (IndexError, _MalformedError) as error:
        raise SampleError("is not a SequenceExample: its fields do not fit together") from error


def encode_example(
    *, video: str, labels: Sequence[int] | None, features: Mapping[str, UInt8Array]
) -> bytes:
    """Writes a SequenceExample, as `parse_example` reads it.

    Args:
        video: the id.
        labels: the classes; None leaves the field out.
        features: uint8 [n, D] a modality.

    Returns:
        The serialised message.
    """
    context = _entry("id", _message(_BYTES, _message(1, video.encode())))
    if labels is not None:
        packed = b"".join(_encoded(int(label)) for label in labels)
        context += _entry("labels", _message(_INT64, _message(1, packed)))
    lists = b""
    for name, frames in features.items():
        values = (_message(_BYTES, _message(1, frame.tobytes())) for frame in frames)
        lists += _entry(name, b"".join(_message(1, value) for value in values))
    return _message(1, context) + _message(2, lists)


def frame_size(dims: Sequence[int]) -> int:
    """Returns the bytes that a frame of modalities of these sizes takes in a SequenceExample."""
    bodies = [_message(1, _message(_BYTES, _message(1, bytes(dim)))) for dim in dims]
    return sum(map(len, bodies))


class _MalformedError(Exception):
    """The bytes are no protocol buffer message."""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at + 1
        shift += 7
        if shift > 63:
            raise _MalformedError


def _fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yields the fields of a message: number, wire type, and the span of the value."""
    while at < end:
        tag, start = data[at], at + 1
        if tag > 0x7F:  # a call only where it must be: this is the reader's innermost loop
            tag, start = _varint(data, at)
        wire = tag & 7
        if wire == 2:  # bytes or a message, after their length
            size, start = data[start], start + 1
            if size > 0x7F:
                size, start = _varint(data, start - 1)
            at = start + size
        elif wire == 0:
            at = _varint(data, start)[1]
        elif wire in (1, 5):  # 8 or 4 bytes
            at = start + (8 if wire == 1 else 4)
        else:
            raise _MalformedError
        if at > end:
            raise _MalformedError
        yield tag >> 3, wire, start, at


def _map(data: bytes, start: int, stop: int) -> dict[str, Span]:
    entries: dict[str, Span] = {}
    for number, wire, first, last in _fields(data, start, stop):
        if number == 1 and wire == 2:
            key, value = _entry_of(data, first, last)
            entries[key] = value
    return entries


def _entry_of(data: bytes, first: int, last: int) -> tuple[str, Span]:
    """Returns key and span of the value of an entry of a map."""
    key, value = "", (last, last)
    if first < last and data[first] == 10 and data[first + 1] < 0x80:
        # a short key and then a value that ends the entry, as writers write it
        at = first + 2 + data[first + 1]
        if at < last and data[at] == 18:
            size, start = _varint(data, at + 1)
            if start + size == last:
                return _text(data[first + 2 : at]), (start, last)
    for part, wire, a, b in _fields(data, first, last):
        if part == 1 and wire == 2:
            key = _text(data[a:b])
        elif part == 2 and wire == 2:
            value = (a, b)
    return key, value


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="backslashreplace")


def _values(data: bytes, span: Span) -> tuple[int, list[tuple[int, Span]]]:
    """Returns the kind of a Feature, and wire type and span of each of its values."""
    kind = 0
    values: list[tuple[int, Span]] = []
    for number, wire, start, stop in _fields(data, *span):
        if wire != 2 or number > 3:
            continue
        if number != kind:  # only one kind can be set: the last
            kind, values = number, []
        values += [(w, (a, b)) for n, w, a, b in _fields(data, start, stop) if n == 1]
    return kind, values


def _video(data: bytes, context: dict[str, Span]) -> str | None:
    for name in ("id", "video_id"):  # video_id in older files
        if name in context:
            kind, values = _values(data, context[name])
            if kind == _BYTES and values:
                start, stop = values[0][1]
                return _text(data[start:stop])
    return None


def _labels(data: bytes, context: dict[str, Span]) -> Int64Array | None:
    if "labels" not in context:
        return None
    kind, values = _values(data, context["labels"])
    if values and kind != _INT64:
        raise SampleError("its labels are not whole numbers")
    labels: list[int] = []
    for _, (at, stop) in values:  # packed or single: varints either way
        while at < stop:
            label, at = _varint(data, at)
            labels.append(label - (1 << 64) if label >> 63 else label)
        if at != stop:
            raise _MalformedError
    return np.array(labels, dtype=np.int64)


def _frames(data: bytes, name: str, start: int, stop: int) -> UInt8Array:
    """Returns the frames of a feature list, [n, D], without a copy where they lie evenly."""
    if start == stop:
        return np.empty((0, 0), dtype=np.uint8)
    first, end = _plain_value(data, start)
    if first and (stop - start) % (end - start) == 0:
        # If every frame has this frame's size and this frame's header (tags and lengths up to
        # the value), then the list is a matrix.
        step, head = end - start, first - start
        count = (stop - start) // step
        # compared as bytes: row by row takes numpy three times as long
        heads = np.ndarray((count,), f"V{head}", data, start, (step,)).tobytes()
        if heads == data[start:first] * count:
            shape = (count, step - head)
            return np.ndarray(shape, np.uint8, data, first, (step, 1))  # [n, D]
    return _uneven_frames(data, name, start, stop)


def _plain_value(data: bytes, at: int) -> Span:
    """Returns the span of a frame's value; 0, 0 where anything but that value is in the frame."""
    ends = []
    for _ in range(3):  # FeatureList 1: Feature 1: bytes list 1: value
        if data[at] != 10:
            return 0, 0
        size, at = _varint(data, at + 1)
        ends.append(at + size)
    return (at, ends[2]) if ends[0] == ends[1] == ends[2] else (0, 0)


def _uneven_frames(data: bytes, name: str, start: int, stop: int) -> UInt8Array:
    frames: list[UInt8Array] = []
    for number, wire, first, end in _fields(data, start, stop):
        if number != 1 or wire != 2:
            continue
        kind, values = _values(data, (first, end))
        if kind != _BYTES or [wire for wire, _ in values] != [2]:
            holds = {_FLOAT: " (it holds floats)", _INT64: " (it holds whole numbers)"}.get(
                kind, ""
            )
            raise SampleError(f"frame {len(frames)} of {name} is not one bytes value{holds}")
        a, b = values[0][1]
        frames.append(np.frombuffer(data, np.uint8, b - a, a))
    sizes = sorted({len(frame) for frame in frames})
    if len(sizes) > 1:
        raise SampleError(f"{name} has frames of {sizes[0]} and of {sizes[-1]} values")
    return np.stack(frames) if frames else np.empty((0, 0), dtype=np.uint8)  # [n, D]


def _encoded(value: int) -> bytes:
    value &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _message(number: int, body: bytes) -> bytes:
    return _encoded(number << 3 | 2) + _encoded(len(body)) + body


def _entry(key: str, value: bytes) -> bytes:
    return _message(1, _message(1, key.encode()) + _message(2, value))
