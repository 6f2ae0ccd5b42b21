import pytest

from videozoo.video.bitstream import PacketFacts, packet_facts, unit_length_size


def units(*parts, size=4):
    return b"".join(len(p).to_bytes(size, "big") + p for p in parts)


H264_IDR, H264_PLAIN, H264_SEI = b"\x65aaaa", b"\x41bb", b"\x06c"
H264_ALONE, H264_PARAMETERS, H264_B = b"\x01dd", b"\x67ee", b"\x01\x9cd"
HEVC_IDR, HEVC_CRA, HEVC_PLAIN = b"\x28\x01\x80", b"\x2a\x01\x80", b"\x02\x01a"
HEVC_ALONE, HEVC_ALONE_ABOVE, HEVC_PARAMETERS = b"\x00\x01b", b"\x00\x02b", b"\x44\x01c"
HEVC_DROPPING, HEVC_SEI, HEVC_END = b"\x28\x01\xc0", b"\x4e\x01d", b"\x48\x01"


@pytest.mark.parametrize(
    ("codec", "data", "is_key", "expected"),
    [
        ("h264", units(H264_SEI, H264_IDR), True, PacketFacts(True, True)),
        ("h264", units(H264_SEI, H264_PLAIN), True, PacketFacts(True, False)),  # recovery point
        ("h264", units(H264_PLAIN), False, PacketFacts(True, False)),
        ("h264", units(H264_SEI, H264_ALONE), False, PacketFacts(True, False, False)),
        ("h264", units(H264_ALONE, H264_PLAIN), False, PacketFacts(True, False)),
        (
            "h264",
            units(H264_PARAMETERS, H264_ALONE),
            False,
            PacketFacts(True, False, parameters=frozenset([H264_PARAMETERS])),
        ),
        ("h264", units(H264_B), False, PacketFacts(True, False, False, has_b_slices=True)),
        ("h264", units(H264_SEI), False, None),  # no picture: a decoder refuses it
        ("h264", units(H264_IDR)[:-1], True, None),  # cut off
        ("h264", b"\xff" * 9, True, None),
        ("h264", b"\0" * 9, True, None),
        ("h264", b"\0\0\0", True, None),
        ("hevc", units(HEVC_IDR), True, PacketFacts(True, True)),
        ("hevc", units(HEVC_CRA), True, PacketFacts(True, True)),
        ("hevc", units(HEVC_PLAIN), True, PacketFacts(True, False)),
        ("hevc", units(HEVC_ALONE), False, PacketFacts(True, False, False)),
        ("hevc", units(HEVC_ALONE_ABOVE), False, PacketFacts(True, False, False, 1)),
        (
            "hevc",
            units(HEVC_PARAMETERS, HEVC_ALONE),
            False,
            PacketFacts(True, False, parameters=frozenset([HEVC_PARAMETERS])),
        ),
        ("hevc", units(HEVC_DROPPING), True, None),  # no_output_of_prior_pics_flag
        ("hevc", units(HEVC_PLAIN, HEVC_END), False, None),
        ("hevc", units(HEVC_SEI), False, None),
        ("hevc", units(HEVC_ALONE, HEVC_PLAIN), False, PacketFacts(True, False)),
        ("hevc", units(b"\x02"), False, None),
        ("vp8", b"\x10", True, PacketFacts(True, True)),
        ("vp8", b"\x00", True, PacketFacts(False, True)),
        ("vp8", b"\x11", True, PacketFacts(True, False)),
        ("vp9", b"\x82\x49", True, PacketFacts(True, True)),
        ("vp9", b"\x86\x00", False, PacketFacts(True, False)),
        ("vp9", b"\x84\x00", False, PacketFacts(False, False)),  # a hidden frame by itself
        ("vp9", b"\x84\xc9", False, PacketFacts(True, False)),  # in a superframe
        ("vp9", b"\x88\x00", False, PacketFacts(True, False)),  # shows an older frame
        ("vp9", b"\x02\x00", False, None),
        ("av1", b"\x12", True, PacketFacts(True, True)),
        ("mjpeg", b"\xff\xd8\xff\xdba\xff\xc4b", False, PacketFacts(True, True, False)),
        ("mjpeg", b"\xff\xd8\xff\xdba", False, None),  # the tables of another packet
        ("mpeg4", b"\0\0\1", True, None),
    ],
)
def test_packet_facts(codec, data, is_key, expected):
    assert packet_facts(codec, data, is_key=is_key, unit_length_size=4) == expected


def test_units_without_lengths_tell_nothing():
    data = b"\0\0\0\1" + H264_IDR
    assert packet_facts("h264", data, is_key=True, unit_length_size=0) is None


@pytest.mark.parametrize(
    ("codec", "record", "expected"),
    [
        ("h264", b"\1\x64\0\x1f\xff\xe1\0", 4),
        ("h264", b"\1\x64\0\x1f\xfd\xe1\0", 2),
        ("h264", b"\0\0\0\1\x67aaa", 0),  # units behind start codes
        ("h264", None, 0),
        ("hevc", b"\1" + bytes(20) + b"\x03\0", 4),
        ("hevc", b"\1" + bytes(5), 0),
        ("vp9", b"\1" * 30, 0),
    ],
)
def test_unit_length_size(codec, record, expected):
    assert unit_length_size(codec, record) == expected
