"""What the first bytes of a compressed frame say about it, without decoding it.

A container's table of key frames cannot be trusted for exact reading: it may list frames after
which others still lean on older ones, and it says nothing of packets that show no frame or that
are damaged. The codecs' own headers do.
"""

from __future__ import annotations

from dataclasses import dataclass

# A network abstraction unit of H.264 of this type begins a picture after which nothing refers back.
_H264_IDR = 5
# HEVC's pictures of random access (ITU-T H.265, table 7-1: BLA, IDR, CRA).
_HEVC_IRAP = range(16, 22)


@dataclass(frozen=True)
class PacketFacts:
    """What one packet is.

    Attributes:
        shown: it gives a frame of the video.
        access: decoding can begin here.
    """

    shown: bool
    access: bool


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
        The facts; None where the packet is damaged, or of a codec that this does not know: then
        only decoding can tell.
    """
    if codec in ("h264", "hevc"):
        types = _unit_types(data, unit_length_size, codec)
        if types is None:
            return None
        wanted = [_H264_IDR] if codec == "h264" else _HEVC_IRAP
        return PacketFacts(True, is_key and any(t in wanted for t in types))
    if codec == "vp8":  # RFC 6386, section 9.1: not a key, version (3 bits), shown
        return PacketFacts(bool(data[0] & 0x10), is_key and not data[0] & 1)
    if codec == "vp9":
        return _vp9_facts(data, is_key)
    if codec == "av1":  # a temporal unit shows exactly one frame
        return PacketFacts(True, is_key)
    if codec in ("mjpeg", "prores"):  # every frame stands alone
        return PacketFacts(True, True)
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


def _unit_types(data: bytes, length_size: int, codec: str) -> list[int] | None:
    """Returns the types of the units of a packet, None where their lengths do not fit."""
    if not length_size:
        return None
    types, at = [], 0
    while at < len(data):
        length = int.from_bytes(data[at : at + length_size], "big")
        at += length_size
        if length == 0 or at + length > len(data):
            return None
        types.append(data[at] & 31 if codec == "h264" else data[at] >> 1 & 63)
        at += length
    return types


def _vp9_facts(data: bytes, is_key: bool) -> PacketFacts | None:
    """VP9 bitstream specification, section 6.2, and annex B for superframes."""
    if data[0] >> 6 != 2 or data[0] & 0x30 == 0x30:  # frame marker; profile 3 shifts the bits
        return None
    superframe = data[-1] & 0xE0 == 0xC0
    existing, inter, shown = data[0] & 8, data[0] & 4, data[0] & 2
    return PacketFacts(bool(superframe or existing or shown), is_key and not existing and not inter)
