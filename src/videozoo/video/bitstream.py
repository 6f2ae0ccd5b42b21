"""What the first bytes of a compressed frame say about it, without decoding it.

A container's table of key frames cannot be trusted for exact reading: it may list frames after
which others still lean on older ones, and it says nothing of packets that show no frame or that
are damaged. The codecs' own headers do.
"""

from __future__ import annotations

from typing import NamedTuple

# Units of H.264 (ITU-T H.264, table 7-1): 1 to 5 are slices of a picture; after a picture of type 5
# nothing refers back to what came before; 7 and 8 are parameters that later pictures need.
_H264_SLICES = range(1, 6)
_H264_IDR = 5
_H264_PARAMETERS = (7, 8)
# The first byte of a picture's first slice, where that is a B slice: bits 1, then 00111 or 010.
_H264_B = range(0x9C, 0xB0)
# Units of HEVC (ITU-T H.265, table 7-1): below 32 are slices; 16 to 21 (BLA, IDR, CRA) are of
# pictures of random access; the even ones below 16 are of pictures that no other of the same
# temporal layer refers to; 32 to 34 are parameters; 36 and 37 end a sequence, as if a file ended.
_HEVC_SLICES = range(32)
_HEVC_ACCESS = range(16, 22)
_HEVC_ALONE = range(0, 16, 2)
_HEVC_PARAMETERS = range(32, 35)
_HEVC_ENDS = (36, 37)
# Markers of quantisation and Huffman tables (ITU-T T.81, table B.1).
_JPEG_TABLES = (b"\xff\xdb", b"\xff\xc4")

KNOWN_CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mjpeg", "prores")
_NONE: frozenset[bytes] = frozenset()


class PacketFacts(NamedTuple):
    """What one packet is.

    Attributes:
        shown: it gives a frame of the video.
        access: decoding can begin here.
        needed: frames of other packets may refer to this one's. Where not, those of higher
            temporal layers still may.
        layer: the temporal layer, from 0.
        parameters: the units with parameters in it, which hold until others take their place.
        has_b_slices: of H.264: it is predicted from two directions.
    """

    shown: bool
    access: bool
    needed: bool = True
    layer: int = 0
    parameters: frozenset[bytes] = _NONE
    has_b_slices: bool = False


def packet_facts(
    codec: str, data: bytes, *, is_key: bool, unit_length_size: int
) -> PacketFacts | None:
    """Reads the header of a packet.

    Args:
        codec: FFmpeg's name of the codec.
        data: the packet.
        is_key: the container says that it is a key frame.
        unit_length_size: for H.264 and HEVC the bytes of a unit's length, from
            `unit_length_size`; 0 where units are not stored by length.

    Returns:
        The facts; None where the packet is damaged, has no picture or makes the decoder drop
        others, and for a codec that this does not know: then only decoding can tell.
    """
    if codec in ("h264", "hevc"):
        units = _units(data, unit_length_size)
        if units is None:
            return None
        return (_h264_facts if codec == "h264" else _hevc_facts)(data, units, is_key)
    if codec == "vp8":  # RFC 6386, section 9.1: not a key, version (3 bits), shown
        return PacketFacts(bool(data[0] & 0x10), is_key and not data[0] & 1)
    if codec == "vp9":
        return _vp9_facts(data, is_key)
    if codec == "av1":  # a temporal unit shows exactly one frame
        return PacketFacts(True, is_key)
    if codec == "mjpeg" and not all(table in data for table in _JPEG_TABLES):
        return None  # it leans on tables of packets before it, or on those that all know
    if codec in ("mjpeg", "prores"):  # every frame stands alone
        return PacketFacts(True, True, needed=False)
    return None


def unit_length_size(codec: str, extradata: bytes | None) -> int:
    """Returns how many bytes the length of a unit has (ISO/IEC 14496-15), 0 if there is none.

    Args:
        codec: FFmpeg's name of the codec.
        extradata: the codec's configuration record.
    """
    record = extradata or b""
    if codec == "h264" and len(record) >= 7 and record[0] == 1:
        return (record[4] & 3) + 1
    if codec == "hevc" and len(record) >= 23 and record[0] == 1:
        return (record[21] & 3) + 1
    return 0


def _units(data: bytes, length_size: int) -> list[tuple[int, int]] | None:
    """Returns where the units of a packet begin and end, None where their lengths do not fit."""
    if not length_size:
        return None
    units, at, end = [], 0, len(data)
    while at < end:
        start = at + length_size
        at = start + int.from_bytes(data[at:start], "big")
        if at > end or at == start:
            return None
        units.append((start, at))
    return units


def _h264_facts(data: bytes, units: list[tuple[int, int]], is_key: bool) -> PacketFacts | None:
    access, slices, needed, b_slices = False, False, False, False
    parameters = _NONE
    for start, stop in units:
        header = data[start]
        kind = header & 31
        if kind in _H264_SLICES:
            slices = True
            needed |= header & 0x60 != 0  # nal_ref_idc
            access |= is_key and kind == _H264_IDR
            b_slices |= stop - start > 1 and data[start + 1] in _H264_B
        elif kind in _H264_PARAMETERS:
            parameters |= {data[start:stop]}
    if not slices:
        return None
    return PacketFacts(True, access, needed or bool(parameters), 0, parameters, b_slices)


def _hevc_facts(data: bytes, units: list[tuple[int, int]], is_key: bool) -> PacketFacts | None:
    access, slices, needed, layer = False, False, False, 0
    parameters = _NONE
    for start, stop in units:
        if stop - start < 3:  # a header of two bytes, and something; what ends a sequence has none
            return None
        kind = data[start] >> 1 & 63
        layer = max(layer, (data[start + 1] & 7) - 1)
        if kind in _HEVC_SLICES:
            slices = True
            needed |= kind not in _HEVC_ALONE
            if kind in _HEVC_ACCESS:
                access |= is_key
                if data[start + 2] & 0x40:  # no_output_of_prior_pics_flag
                    return None
        elif kind in _HEVC_PARAMETERS:
            parameters |= {data[start:stop]}
        elif kind in _HEVC_ENDS:
            return None
    if not slices:
        return None
    return PacketFacts(True, access, needed or bool(parameters), layer, parameters)


def _vp9_facts(data: bytes, is_key: bool) -> PacketFacts | None:
    """VP9 bitstream specification, section 6.2, and annex B for superframes."""
    if data[0] >> 6 != 2 or data[0] & 0x30 == 0x30:  # frame marker; profile 3 shifts the bits
        return None
    superframe = data[-1] & 0xE0 == 0xC0
    existing, inter, shown = data[0] & 8, data[0] & 4, data[0] & 2
    return PacketFacts(bool(superframe or existing or shown), is_key and not existing and not inter)
