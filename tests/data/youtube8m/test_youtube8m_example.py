"""The SequenceExample reader against messages built by hand, of every legal shape."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from youtube8m_records import features

from videozoo.data.youtube8m.example import encode_example, parse_example
from videozoo.errors import SampleError

NAMES = ("rgb", "audio")


def varint(value: int) -> bytes:
    value %= 2**64
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return varint(number * 8) + varint(value)
    return varint(number * 8 + 2) + varint(len(value)) + value


def bytes_feature(*values: bytes) -> bytes:
    return field(1, b"".join(field(1, value) for value in values))


def entry(key: str, value: bytes) -> bytes:
    return field(1, field(1, key.encode()) + field(2, value))


def feature_list(*frames: bytes) -> bytes:
    return b"".join(field(1, frame) for frame in frames)


def test_the_writers_own_messages_come_back_without_a_copy() -> None:
    wanted = features(0, 300, 1024, 128)
    data = encode_example(video="abcd", labels=[0, 127, 128, 3861], features=wanted)
    found = parse_example(data, NAMES)
    assert found.video == "abcd"
    assert found.labels is not None
    assert found.labels.dtype == np.int64
    assert found.labels.tolist() == [0, 127, 128, 3861]
    assert found.present == NAMES
    for name in NAMES:
        np.testing.assert_array_equal(found.features[name], wanted[name])
        assert not found.features[name].flags.owndata
        assert not found.features[name].flags.writeable


def test_the_writer_writes_these_bytes() -> None:
    frames = np.array([[1, 2], [3, 4]], dtype=np.uint8)
    data = encode_example(video="v", labels=[5, 300], features={"a": frames})
    context = entry("id", bytes_feature(b"v"))
    context += entry("labels", field(3, field(1, varint(5) + varint(300))))
    lists = entry("a", feature_list(bytes_feature(b"\x01\x02"), bytes_feature(b"\x03\x04")))
    assert data == field(1, context) + field(2, lists)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (field(3, field(1, 5) + field(1, 300)), [5, 300]),  # one by one
        (field(3, field(1, 5) + field(1, varint(7) + varint(300))), [5, 7, 300]),  # both ways
        (field(3, field(1, varint(-1) + varint(2**63 - 1))), [-1, 2**63 - 1]),
        (field(3, field(1, 1)) + field(3, field(1, 2)), [1, 2]),  # the list in two pieces
        (field(1, field(1, b"x")) + field(3, field(1, 4)), [4]),  # the last kind counts
        (field(3, b""), []),
        (b"", []),
    ],
)
def test_labels_in_every_encoding(labels: bytes, expected: list[int]) -> None:
    found = parse_example(field(1, entry("labels", labels)), NAMES)
    assert found.labels is not None
    assert found.labels.tolist() == expected


def test_any_order_unknown_fields_and_other_features() -> None:
    rgb = feature_list(*(bytes_feature(bytes([i] * 3)) for i in range(4)))
    unknown = field(9, b"junk") + field(10, 77) + varint(11 * 8 + 1) + bytes(8)
    unknown += varint(12 * 8 + 5) + bytes(4)
    lists = unknown + field(1, field(2, rgb) + field(1, b"rgb")) + entry("flow", b"")
    context = entry("mean", field(2, field(1, bytes(8)))) + entry("id", bytes_feature(b"late"))
    data = field(2, lists) + unknown + field(1, context) + field(1, entry("video_id", b""))
    found = parse_example(data, NAMES)
    assert found.video == "late"
    assert found.labels is None
    assert found.present == ("rgb", "flow")
    assert list(found.features) == ["rgb"]
    assert found.features["rgb"].tolist() == [[i] * 3 for i in range(4)]


def test_older_files_call_the_id_video_id() -> None:
    both = entry("video_id", bytes_feature(b"old"))
    assert parse_example(field(1, both), NAMES).video == "old"
    assert parse_example(field(1, both + entry("id", bytes_feature(b"new"))), ()).video == "new"
    assert parse_example(b"", NAMES).video is None


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_frame_written_differently_is_read_all_the_same(place: int) -> None:
    frames = [bytes_feature(bytes([i] * 200)) for i in range(3)]
    odd = bytes([place] * 200)
    frames[place] = field(7, b"?") + field(1, field(5, 3) + field(1, odd))
    data = field(2, entry("rgb", field(3, 1) + feature_list(*frames)))
    assert parse_example(data, NAMES).features["rgb"].tolist() == [[i] * 200 for i in range(3)]


def test_a_length_in_a_longer_code_is_read_all_the_same() -> None:
    # 3 as the two bytes 83 00 is legal, and gives this frame the others' size by another header
    plain = bytes_feature(b"abcd")  # 0a 06 0a 04 ....
    long = b"\x0a\x06\x0a\x83\x00abc"
    assert len(plain) == len(long)
    data = field(2, entry("rgb", feature_list(plain, long)))
    with pytest.raises(SampleError, match="rgb has frames of 3 and of 4 values"):
        parse_example(data, NAMES)


@pytest.mark.parametrize(
    "frame",
    [bytes_feature(), bytes_feature(b"ab", b"cd"), field(2, field(1, bytes(4))), b""],
    ids=["none", "two", "float", "unset"],
)
@pytest.mark.parametrize("place", [0, 1])
def test_a_frame_must_be_one_bytes_value(frame: bytes, place: int) -> None:
    frames = [bytes_feature(b"ab"), bytes_feature(b"ab")]
    frames[place] = frame
    with pytest.raises(SampleError, match=f"frame {place} of rgb is not one bytes value"):
        parse_example(field(2, entry("rgb", feature_list(*frames))), NAMES)


def test_frames_of_other_sizes_and_lists_without_frames() -> None:
    uneven = feature_list(bytes_feature(b"abc"), bytes_feature(b"ab"))
    with pytest.raises(SampleError, match="rgb has frames of 2 and of 3 values"):
        parse_example(field(2, entry("rgb", uneven)), NAMES)
    assert parse_example(field(2, entry("rgb", uneven)), ("audio",)).features == {}
    assert parse_example(field(2, entry("rgb", b"")), NAMES).features["rgb"].shape == (0, 0)


@pytest.mark.parametrize(
    "last",
    [
        b"",
        field(1, b"id"),  # no value
        field(1, b"id") + field(2, b""),
        field(2, bytes_feature(b"x")),  # no key
        field(1, b"other") + field(2, bytes_feature(b"x")) + field(1, b""),  # the last key counts
        field(1, b"k" * 200) + field(2, bytes_feature(b"x")),
        field(3, 7),
        field(1, b"k") + varint(3 * 8 + 1) + b"\xff" * 8 + field(4, b"\xff" * 9),
    ],
)
def test_entries_of_every_legal_shape(last: bytes) -> None:
    for before in (b"", entry("labels", field(3, field(1, 5)))):
        data = field(1, before + field(1, last))
        found = parse_example(data, NAMES)
        assert found.video is None
        assert (found.labels is None) == (before == b"")


def test_an_entry_in_another_order_or_with_a_longer_length() -> None:
    value = bytes_feature(b"v")
    for shape in (
        field(2, value) + field(1, b"id"),
        field(1, b"no") + field(1, b"id") + field(2, value),
        b"\x0a\x82\x00id" + field(2, value),
        field(1, b"id") + b"\x12\x85\x00" + value,
        field(1, b"id") + field(9, 1) + field(2, value),
        field(1, b"id") + field(2, b"") + field(2, value),
    ):
        assert len(value) == 5
        assert parse_example(field(1, field(1, shape)), NAMES).video == "v"


def test_labels_must_be_whole_numbers() -> None:
    with pytest.raises(SampleError, match="labels are not whole numbers"):
        parse_example(field(1, entry("labels", bytes_feature(b"3"))), NAMES)


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a",
        b"\x0a\x05abc",
        b"\x80" * 20,
        b"\x0b\x01",  # a group: gone from the format since 2008
        field(1, b"\x0a\x7fabc"),
        field(1, entry("labels", field(3, field(1, b"\x80")))),
        b"plain text, which is no message",
    ],
)
def test_what_is_no_message_is_a_sample_error(data: bytes) -> None:
    with pytest.raises(SampleError, match="is not a SequenceExample"):
        parse_example(data, NAMES)


@settings(max_examples=100)
@given(
    frames=st.integers(1, 6),
    dim=st.sampled_from([1, 2, 125, 126, 127, 128, 1024]),
    labels=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    seed=st.integers(0, 2**32),
)
def test_round_trip_in_any_order_of_fields(
    frames: int, dim: int, labels: list[int], seed: int
) -> None:
    order = random.Random(seed)
    wanted = features(seed, frames, dim, 3)
    lists = [
        entry(name, feature_list(*(bytes_feature(frame.tobytes()) for frame in array)))
        for name, array in wanted.items()
    ]
    context = [
        entry("id", bytes_feature(b"v")),
        entry("labels", field(3, b"".join(field(1, label % 2**64) for label in labels))),
    ]
    order.shuffle(lists)
    order.shuffle(context)
    pieces = [field(1, piece) for piece in context] + [field(2, piece) for piece in lists]
    order.shuffle(pieces)
    ours = encode_example(video="v", labels=labels, features=wanted)
    for data in (b"".join(pieces), ours):
        found = parse_example(data, NAMES)
        assert found.video == "v"
        assert found.labels is not None
        assert found.labels.tolist() == labels
        for name in NAMES:
            np.testing.assert_array_equal(found.features[name], wanted[name])


@settings(max_examples=200)
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.integers(0, 60))
def test_damage_never_gives_another_error(at: int, byte: int, cut: int) -> None:
    data = bytearray(encode_example(video="v", labels=[1, 300], features=features(0, 5)))
    data[at % len(data)] = byte
    try:
        found = parse_example(bytes(data[: len(data) - cut]), NAMES)
    except SampleError:
        return
    assert all(array.dtype == np.uint8 and array.ndim == 2 for array in found.features.values())
