"""Streams that are not what a plain encoder writes are still read exactly."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from exact import DecodeAll, How, assert_equals_full_decode, colours_last, x264, x265

from videos import (
    Stored,
    number_of,
    pattern,
    skip_by_edit_list,
    store,
    stored_packets,
    write_video,
)
from videozoo.video.reader import probe_video, read_frames
from videozoo.video.stream import VideoStream
from videozoo.video.timeline import read_timeline


def test_hidden_packets_give_no_frames(tmp_path: Path, decode_all: DecodeAll) -> None:
    path = write_video(tmp_path / "hidden.webm", 20, codec="libvpx", options={"g": "50"})
    with VideoStream(path) as stream:
        packet = bytes(list(stream.packets())[11])
    data = bytearray(path.read_bytes())
    data[data.index(packet)] &= ~0x10  # not shown
    path.write_bytes(data)
    full = decode_all(path)
    assert [number_of(f) for f in full] == [*range(11), *range(12, 20)]
    with VideoStream(path) as stream:
        assert sum(1 for _ in stream.packets()) == 20
        assert len(read_timeline(stream)[0].times) == 19
    assert_equals_full_decode(path, full)


@pytest.mark.parametrize("how", [x264("bframes=1:b-adapt=0"), x265("bframes=3:b-adapt=0")])
def test_made_up_times_are_not_trusted(how: How, tmp_path: Path, decode_all: DecodeAll) -> None:
    """A stream without times that was put into a container: each picture has another's time."""
    source = write_video(tmp_path / "source.mp4", 20, **how)
    packets = [p._replace(pts=512 * i, dts=512 * i) for i, p in enumerate(stored_packets(source))]
    path = store(tmp_path / "made_up.mp4", packets, source)
    full = decode_all(path)
    assert [number_of(f) for f in full] == list(range(20))
    for index in range(20):
        (frame,) = read_frames(path, lambda n, index=index: np.array([index]))
        assert np.array_equal(colours_last(frame), full[index])


@pytest.mark.parametrize("name", ["changed.mp4", "changed.mkv"])
def test_decoding_begins_where_all_parameters_are_known(
    name: str, tmp_path: Path, decode_all: DecodeAll
) -> None:
    sources = [
        write_video(tmp_path / f"{qp}.mp4", 15, **x264(f"keyint=5:bframes=0:scenecut=0:qp={qp}"))
        for qp in (20, 38)
    ]
    packets = [packet for source in sources for packet in stored_packets(source)]
    packets[15] = packets[15]._replace(data=parameters(sources[1]) + packets[15].data)
    packets = [p._replace(pts=512 * i, dts=512 * i) for i, p in enumerate(packets)]
    path = store(tmp_path / name, packets, sources[0])
    full = decode_all(path)
    assert [number_of(f) for f in full] == [*range(15), *range(15)]
    assert_equals_full_decode(path, full)
    with VideoStream(path) as stream:
        timeline = read_timeline(stream).timeline
    assert [access.first for access in timeline.accesses] == [0, 5, 10, 15]


def parameters(path: Path) -> bytes:
    """The parameters of an H.264 file, as units of a packet."""
    record = configuration(path)
    sps = record[6 : 8 + int.from_bytes(record[6:8], "big")]
    pps = record[7 + len(sps) :]
    pps = pps[: 2 + int.from_bytes(pps[:2], "big")]
    return b"\0\0" + sps + b"\0\0" + pps  # lengths of two bytes become ones of four


def configuration(path: Path) -> bytes:
    with VideoStream(path) as stream:
        return stream.extradata


def test_a_file_of_two_configurations_is_decoded_as_a_whole(
    tmp_path: Path, decode_all: DecodeAll
) -> None:
    sources = [
        write_video(tmp_path / f"{qp}.mp4", 15, **x264(f"keyint=5:bframes=0:scenecut=0:qp={qp}"))
        for qp in (20, 38)
    ]
    packets = [packet for source in sources for packet in stored_packets(source)]
    packets = [p._replace(pts=512 * i, dts=512 * i) for i, p in enumerate(packets)]
    path = store(tmp_path / "two.mp4", packets, sources[0])
    configure_from(path, packets, 15, configuration(sources[1]))
    full = decode_all(path)
    assert [number_of(f) for f in full] == [*range(15), *range(15)]
    assert_equals_full_decode(path, full)


def configure_from(path: Path, packets: list[Stored], number: int, record: bytes) -> None:
    """Gives the packets of an MP4 file a second sample description, from `number` on."""
    data = bytearray(path.read_bytes())

    def replace(name, content):
        at, size, parents = 0, 0, []
        for parent in (b"moov", b"trak", b"mdia", b"minf", b"stbl", name):
            while data[at + 4 : at + 8] != parent:
                at += int.from_bytes(data[at : at + 4], "big")
            size = int.from_bytes(data[at : at + 4], "big")
            parents.append(at)
            at += 8
        old = bytes(data[at : at - 8 + size])
        data[at : at - 8 + size] = new = content(old)
        for parent in parents:
            grown = int.from_bytes(data[parent : parent + 4], "big") + len(new) - len(old)
            data[parent : parent + 4] = grown.to_bytes(4, "big")

    def two_descriptions(old):
        entry = old[8:]
        at = entry.index(b"avcC")
        size = int.from_bytes(entry[at - 4 : at], "big")
        box = (8 + len(record)).to_bytes(4, "big") + b"avcC" + record
        second = entry[4 : at - 4] + box + entry[at - 4 + size :]
        return bytes(7) + b"\2" + entry + (4 + len(second)).to_bytes(4, "big") + second

    first = data.index(packets[0].data)
    sizes = [len(packet.data) for packet in packets]
    rest = len(packets) - number
    replace(b"stsd", two_descriptions)
    replace(b"stsc", lambda _: struct.pack(">8I", 0, 2, 1, number, 1, 2, rest, 2))
    replace(b"stco", lambda _: struct.pack(">4I", 0, 2, first, first + sum(sizes[:number])))
    path.write_bytes(data)


def test_a_packet_without_a_picture_ends_the_video(tmp_path: Path, decode_all: DecodeAll) -> None:
    source = write_video(tmp_path / "source.mp4", 20, **x264("keyint=5:bframes=2"))
    packets = [p._replace(pts=2 * p.pts, dts=2 * p.dts) for p in stored_packets(source)]
    remark = Stored(b"\0\0\0\5\x06\5\1\0\x80", packets[7].pts + 1, packets[7].dts + 1, False)
    path = store(tmp_path / "remark.mp4", [*packets[:8], remark, *packets[8:]], source)
    full = decode_all(path)
    assert 0 < len(full) < 10
    assert_equals_full_decode(path, full)


@pytest.mark.parametrize("skipped", [3, 14])
@pytest.mark.parametrize("how", [x264("keyint=12:bframes=2"), x265("keyint=12:bframes=2")])
def test_frames_before_an_edit_do_not_count(
    skipped: int, how: How, tmp_path: Path, decode_all: DecodeAll
) -> None:
    path = skip_by_edit_list(write_video(tmp_path / "edit.mov", 30, **how), skipped)
    full = decode_all(path)
    assert [number_of(f) for f in full] == list(range(skipped, 30))
    assert_equals_full_decode(path, full)


def test_of_several_streams_the_best_is_read(tmp_path: Path) -> None:
    path = tmp_path / "two.mp4"
    with av.open(str(path), "w") as file:
        streams = [file.add_stream("libx264", rate=25) for _ in range(2)]
        for stream, side in zip(streams, (32, 96), strict=True):
            stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
        streams[1].disposition = Disposition.default
        for number in range(5):
            for stream, side in zip(streams, (32, 96), strict=True):
                frame = av.VideoFrame.from_ndarray(pattern(number, width=side, height=side))
                file.mux(stream.encode(frame))
        for stream in streams:
            file.mux(stream.encode(None))
    assert probe_video(path).width == 96
    assert [number_of(frame) for frame in read_frames(path, np.arange)] == [0, 1, 2, 3, 4]
