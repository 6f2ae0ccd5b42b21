import os
import struct
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from videos import (
    Stored,
    number_of,
    pattern,
    set_display_matrix,
    skip_by_edit_list,
    store,
    stored_packets,
    write_video,
)
from videozoo.data.clips.decoding import visit_frames
from videozoo.data.clips.pictures import rgb_planes, upright
from videozoo.data.clips.stream import VideoStream
from videozoo.data.clips.timeline import read_timeline
from videozoo.data.clips.video import (
    decoder_version,
    probe_video,
    read_clip,
    read_frames,
)
from videozoo.data.framing import Crop
from videozoo.errors import SampleError

BILINEAR = Image.Resampling.BILINEAR


def x264(options):
    return {"codec": "libx264", "options": {"x264-params": options}}


def x265(options):
    return {"codec": "libx265", "options": {"x265-params": f"log-level=none:{options}"}}


def alt_ref(codec):
    return {
        "codec": codec,
        "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "15", "cpu-used": "4"},
    }


# name: frames, whether the packets alone tell which frames there are, how it is written
FILES = {
    "b_frames.mp4": (40, True, x264("keyint=12:bframes=3:b-pyramid=normal")),
    "open_groups.mp4": (40, True, x264("keyint=10:min-keyint=5:bframes=3:open-gop=1:scenecut=0")),
    "open_groups.mkv": (40, True, x264("keyint=10:min-keyint=5:bframes=3:open-gop=1:scenecut=0")),
    "refresh.mp4": (30, True, x264("keyint=10:bframes=0:intra-refresh=1")),
    "interlaced.mp4": (20, True, x264("keyint=12:interlaced=1:bframes=2")),
    "fragments.mp4": (
        30,
        True,
        x264("keyint=12:bframes=2") | {"container": {"movflags": "frag_keyframe+empty_moov"}},
    ),
    "one.mp4": (1, True, {}),
    "odd.mp4": (10, True, {"size": (65, 49), "pixels": "yuv444p"}),
    "ten_bits.mp4": (10, True, {"pixels": "yuv420p10le"}),
    "variable_rate.mkv": (20, True, {"times": [i * i + i for i in range(20)]}),
    "x264.avi": (20, False, x264("keyint=8:bframes=3")),
    "x264.ts": (20, False, x264("keyint=8:bframes=3")),
    "mpeg4_b.avi": (20, False, {"codec": "mpeg4", "options": {"bf": "2", "g": "8"}}),
    "mpeg4_b.mp4": (20, False, {"codec": "mpeg4", "options": {"bf": "2", "g": "8"}}),
    "mpeg2.mpg": (20, False, {"codec": "mpeg2video", "options": {"bf": "2"}}),
    "wmv.wmv": (10, False, {"codec": "wmv2"}),
    "animation.mov": (6, False, {"codec": "qtrle", "pixels": "rgb24"}),
    "jpeg.mov": (10, True, {"codec": "mjpeg", "pixels": "yuvj420p"}),
    "jpeg.avi": (10, False, {"codec": "mjpeg", "pixels": "yuvj420p"}),
    "prores.mov": (6, True, {"codec": "prores_ks", "pixels": "yuv422p10le"}),
    "hevc_open.mp4": (30, True, x265("keyint=10:min-keyint=5:bframes=3:open-gop=1")),
    "layers.mp4": (30, True, x265("keyint=10:min-keyint=10:bframes=3:temporal-layers=3")),
    "hevc_closed.mkv": (30, True, x265("keyint=10:min-keyint=5:bframes=3:open-gop=0")),
    "vp8.webm": (40, True, alt_ref("libvpx")),
    "vp9.webm": (40, True, alt_ref("libvpx-vp9")),
    "no_duration.webm": (
        20,
        True,
        {"codec": "libvpx-vp9", "options": {"cpu-used": "4"}, "container": {"live": "1"}},
    ),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes each video of the table once."""
    folder = tmp_path_factory.mktemp("videos")

    def write(name):
        frames, _, how = FILES[name]
        path = folder / name
        return path if path.exists() else write_video(path, frames, **how)

    return write


def choices(n):
    """Wanted frames: ends, middles, steps back, repetitions, all of them."""
    rng = np.random.default_rng(n)
    yield from ([0], [n - 1], [n // 2], [n - 1, 0, n // 2, 0], list(range(n)))
    yield from (rng.integers(0, n, 3).tolist() for _ in range(4))


def colours_last(frame):
    return frame.transpose(1, 2, 0)


def assert_equals_full_decode(path, full):
    asked = []
    for wanted in choices(len(full)):

        def choose(n, wanted=wanted):
            asked.append(n)
            return np.minimum(wanted, n - 1)

        frames = read_frames(path, choose)
        assert asked[-1] == len(full)
        for index, frame in zip(wanted, frames, strict=True):
            assert np.array_equal(colours_last(frame), full[index]), (path.name, wanted, index)


@pytest.mark.parametrize("name", FILES)
def test_frames_equal_those_of_a_full_decode(name, written, decode_all):
    frames, _, _ = FILES[name]
    full = decode_all(written(name))
    assert [number_of(f) for f in full] == list(range(frames))
    assert_equals_full_decode(written(name), full)


@pytest.mark.parametrize("name", [name for name, (_, trusted, _) in FILES.items() if trusted])
def test_what_packets_foretell_is_not_decoded_as_a_whole(name, written, monkeypatch):
    def refuse(*_):
        raise AssertionError("all frames are decoded")

    monkeypatch.setattr("videozoo.data.clips.decoding.all_frames", refuse)
    for wanted in choices(FILES[name][0]):
        assert len(read_frames(written(name), lambda n, wanted=wanted: np.array(wanted)))


@pytest.mark.parametrize("name", FILES)
def test_packets_are_trusted_where_they_can_be(name, written):
    frames, trusted, _ = FILES[name]
    with VideoStream(written(name)) as stream:
        timeline, seeming = read_timeline(stream)
    assert (timeline is not None) == trusted
    if timeline is not None:
        assert len(timeline.times) == frames
    else:
        assert seeming == frames


@pytest.mark.parametrize(
    ("name", "accesses"),
    [
        ("b_frames.mp4", True),
        ("hevc_closed.mkv", True),
        ("vp8.webm", True),
        ("vp9.webm", True),
        ("open_groups.mp4", False),
        ("open_groups.mkv", False),
        ("hevc_open.mp4", False),
    ],
)
def test_decoding_begins_at_closed_groups_alone(name, accesses, written):
    with VideoStream(written(name)) as stream:
        timeline, _ = read_timeline(stream)
    assert timeline.accesses[0].first == 0
    assert (len(timeline.accesses) > 1) == accesses


def test_only_what_is_needed_is_decoded(written, monkeypatch):
    decoded = []
    decode = VideoStream.decode

    def counting(self, packet):
        decoded.append(packet)
        return decode(self, packet)

    monkeypatch.setattr(VideoStream, "decode", counting)
    (frame,) = read_frames(written("b_frames.mp4"), lambda n: np.array([n - 1]))
    assert number_of(frame) == 39
    assert len(decoded) <= 8  # of a group of twelve those that others refer to; the end
    decoded.clear()
    frames = read_frames(written("b_frames.mp4"), lambda n: np.array([1, n - 1]))
    assert [number_of(frame) for frame in frames] == [1, 39]
    assert len(decoded) <= 14  # the first frames, and that last group
    assert decoded[-1] is None


@pytest.mark.parametrize("name", ["b_frames.mp4", "hevc_closed.mkv", "layers.mp4", "jpeg.mov"])
def test_frames_that_none_refers_to_are_left_out(name, written):
    frames, _, _ = FILES[name]
    with VideoStream(written(name)) as stream:
        timeline, _ = read_timeline(stream)
    assert frames / 4 < len(timeline.needless) <= frames
    assert timeline.needless <= set(timeline.packets)


def test_a_wanted_frame_is_visited_once(written):
    seen = []
    count = visit_frames(
        written("b_frames.mp4"),
        lambda n: np.array([[5, 5], [2, 5]]),
        lambda frame, places: seen.append((number_of(np.stack(rgb_planes(frame))), places)),
    )
    assert seen == [(2, [2]), (5, [0, 1, 3])]
    assert count == 4
    frames = read_frames(written("b_frames.mp4"), lambda n: np.array([5, 2, 5]))
    assert frames[0] is frames[2]


def test_a_clip_is_resized_and_cropped_frame_by_frame(written):
    clip = read_clip(
        written("b_frames.mp4"),
        lambda n: np.array([[7, 7], [3, 30]]),
        resize=lambda width, height: (2 * width, 2 * height),
        crop=Crop(96),
    )
    assert clip.shape == (4, 3, 96, 96)
    assert clip.dtype == np.uint8
    assert np.array_equal(clip[0], clip[1])
    full = read_frames(written("b_frames.mp4"), lambda n: np.array([7, 7, 3, 30]))
    for small, frame in zip(full, clip, strict=True):
        middle = np.asarray(Image.fromarray(colours_last(small)).resize((128, 96), BILINEAR))
        assert np.abs(colours_last(frame) - middle[:, 16:112].astype(int)).mean() < 1


@pytest.mark.parametrize("turn", [(0, 1, -1, 0), (-1, 0, 0, -1)])
def test_resizing_is_told_upright_sizes(turn, tmp_path):
    path = set_display_matrix(write_video(tmp_path / "turned.mp4", 1), *turn)
    (plain,) = read_frames(path, np.arange)
    asked = []

    def halve(width, height):
        asked.append((height, width))
        return width // 2, height // 2

    clip = read_clip(path, np.arange, resize=halve, crop=Crop(24))
    assert asked == [plain.shape[1:]]
    image = Image.fromarray(colours_last(plain))
    small = np.asarray(image.resize((image.width // 2, image.height // 2), BILINEAR))
    top, left = (small.shape[0] - 24) // 2, (small.shape[1] - 24) // 2
    expected = small[top : top + 24, left : left + 24].astype(int)
    assert np.abs(colours_last(clip[0]) - expected).mean() < 1


@pytest.mark.parametrize(
    ("size", "wanted"), [((320, 240), (341, 256)), ((640, 360), (341, 256)), ((96, 130), (64, 86))]
)
def test_resizing_is_pillows_bilinear_on_accurate_colours(size, wanted, tmp_path):
    """To half a grey level, without bias: the original resized so, and its weights expect it."""
    path = write_video(tmp_path / "scene.mp4", 4, size=size, options={"crf": "18"})
    square = min(wanted)
    clip = read_clip(path, np.arange, resize=lambda w, h: wanted, crop=Crop(square))
    top, left = round((wanted[1] - square) / 2), round((wanted[0] - square) / 2)
    with av.open(str(path)) as file:
        for frame, got in zip(file.decode(video=0), clip, strict=True):
            image = Image.fromarray(accurate_rgb(frame)).resize(wanted, BILINEAR)
            expected = np.asarray(image)[top : top + square, left : left + square].astype(int)
            difference = colours_last(got) - expected
            assert np.abs(difference).mean() <= 0.5
            assert abs(difference.mean()) <= 0.1


def accurate_rgb(frame):
    """Converts yuv420p (BT.601, limited) in floating point; chroma lies left, between the lines."""
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:h, :w].astype(float)
        for plane, h, w in zip(
            frame.planes,
            (frame.height, frame.height // 2, frame.height // 2),
            (frame.width, frame.width // 2, frame.width // 2),
            strict=True,
        )
    )
    u, v = (c - 128 for c in (doubled(u), doubled(v)))
    y = (y - 16) * 255 / 219
    scale = 255 / 224
    red = y + 1.402 * scale * v
    blue = y + 1.772 * scale * u
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    return np.stack([red, green, blue], axis=2).clip(0, 255).round().astype(np.uint8)


def doubled(chroma):
    down = np.arange(2 * chroma.shape[0]) / 2 - 0.25
    across = np.arange(2 * chroma.shape[1]) / 2
    return between(between(chroma, down).T, across).T


def between(lines, at):
    at = at.clip(0, len(lines) - 1)
    low = at.astype(int)
    high = np.minimum(low + 1, len(lines) - 1)
    return lines[low] + (at - low)[:, None] * (lines[high] - lines[low])


def test_long_files_are_read_twice_and_give_the_same(written, decode_all, monkeypatch):
    monkeypatch.setattr("videozoo.data.clips.stream._KEPT_BYTES", 1000)
    for name in ("b_frames.mp4", "mpeg4_b.avi"):
        assert_equals_full_decode(written(name), decode_all(written(name)))


def test_an_index_out_of_range_is_a_mistake_of_the_program(written):
    with pytest.raises(IndexError, match=r"frames 0\.\.40 are wanted of 40"):
        read_frames(written("b_frames.mp4"), lambda n: np.array([0, n]))


def test_hidden_packets_give_no_frames(tmp_path, decode_all):
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


@pytest.mark.parametrize("name", ["b_frames.mp4", "vp9.webm"])
def test_a_decoder_that_contradicts_the_packets_is_believed(name, written, decode_all, monkeypatch):
    with VideoStream(written(name)) as stream:
        times = read_timeline(stream)[0].times
    decode = VideoStream.decode

    def one_late(self, packet):
        frames = decode(self, packet)
        for frame in frames:
            frame.pts = times[min(times.index(frame.pts) + 1, len(times) - 1)]
        return frames

    monkeypatch.setattr(VideoStream, "decode", one_late)
    assert_equals_full_decode(written(name), decode_all(written(name)))


@pytest.mark.parametrize("how", [x264("bframes=1:b-adapt=0"), x265("bframes=3:b-adapt=0")])
def test_made_up_times_are_not_trusted(how, tmp_path, decode_all):
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
def test_decoding_begins_where_all_parameters_are_known(name, tmp_path, decode_all):
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
        timeline, _ = read_timeline(stream)
    assert [access.first for access in timeline.accesses] == [0, 5, 10, 15]


def parameters(path):
    """The parameters of an H.264 file, as units of a packet."""
    record = configuration(path)
    sps = record[6 : 8 + int.from_bytes(record[6:8], "big")]
    pps = record[7 + len(sps) :]
    pps = pps[: 2 + int.from_bytes(pps[:2], "big")]
    return b"\0\0" + sps + b"\0\0" + pps  # lengths of two bytes become ones of four


def configuration(path):
    with VideoStream(path) as stream:
        return stream.extradata


def test_a_file_of_two_configurations_is_decoded_as_a_whole(tmp_path, decode_all):
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


def configure_from(path, packets, number, record):
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


def test_a_packet_without_a_picture_ends_the_video(tmp_path, decode_all):
    source = write_video(tmp_path / "source.mp4", 20, **x264("keyint=5:bframes=2"))
    packets = [p._replace(pts=2 * p.pts, dts=2 * p.dts) for p in stored_packets(source)]
    remark = Stored(b"\0\0\0\5\x06\5\1\0\x80", packets[7].pts + 1, packets[7].dts + 1, False)
    path = store(tmp_path / "remark.mp4", [*packets[:8], remark, *packets[8:]], source)
    full = decode_all(path)
    assert 0 < len(full) < 10
    assert_equals_full_decode(path, full)


@pytest.mark.parametrize("skipped", [3, 14])
@pytest.mark.parametrize("how", [x264("keyint=12:bframes=2"), x265("keyint=12:bframes=2")])
def test_frames_before_an_edit_do_not_count(skipped, how, tmp_path, decode_all):
    path = skip_by_edit_list(write_video(tmp_path / "edit.mov", 30, **how), skipped)
    full = decode_all(path)
    assert [number_of(f) for f in full] == list(range(skipped, 30))
    assert_equals_full_decode(path, full)


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 1), lambda f: f),
        ((0, 1, -1, 0), partial(np.rot90, k=-1)),
        ((-1, 0, 0, -1), partial(np.rot90, k=2)),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), lambda f: f.transpose(1, 0, 2)),
    ],
)
def test_frames_are_turned_upright(matrix, turn, tmp_path, decode_all):
    path = set_display_matrix(write_video(tmp_path / "turned.mp4", 3), *matrix)
    frames = read_frames(path, np.arange)
    for frame, stored in zip(frames, decode_all(path), strict=True):
        assert np.array_equal(colours_last(frame), turn(stored))
    info = probe_video(path)
    assert (info.height, info.width) == frames[0].shape[1:]


def test_nearly_right_angles_are_right_angles():
    plane = pattern(1)[:, :, 0]
    matrix = np.array([300, 65000, 0, -65000, 300, 0, 0, 0, 1 << 30], dtype="=i4").tobytes()
    assert np.array_equal(upright(plane, matrix), np.rot90(plane, k=-1))


@pytest.mark.parametrize(("space", "red", "blue"), [(1, 0.2126, 0.0722), (5, 0.299, 0.114)])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_follow_the_streams_own_matrix_and_range(space, red, blue, full_range, tmp_path):
    path = tmp_path / "colour.mkv"
    luma, cb, cr = 110, 100, 170
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.codec_context.colorspace = space
        stream.codec_context.color_range = 2 if full_range else 1
        planes = np.concatenate([np.full(1024, luma), np.full(256, cb), np.full(256, cr)])
        frame = av.VideoFrame.from_ndarray(
            planes.astype(np.uint8).reshape(48, 32), format="yuv420p"
        )
        frame.colorspace, frame.color_range = space, 2 if full_range else 1
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    y, scale = (luma, 1.0) if full_range else ((luma - 16) * 255 / 219, 255 / 224)
    r = y + 2 * (1 - red) * (cr - 128) * scale
    b = y + 2 * (1 - blue) * (cb - 128) * scale
    g = (y - red * r - blue * b) / (1 - red - blue)
    (frame,) = read_frames(path, np.arange)
    assert np.abs(frame[:, 8, 8] - np.array([r, g, b])).max() <= 1


def test_probing(written):
    info = probe_video(written("b_frames.mp4"))
    assert (info.frames, info.width, info.height) == (40, 64, 48)
    assert (info.fps, info.codec, info.rotation) == (25.0, "h264", 0)
    assert info.duration == pytest.approx(1.6)
    assert probe_video(written("mpeg4_b.avi")).frames == 20
    assert probe_video(written("no_duration.webm")).duration is None


def test_the_versions_are_named():
    assert decoder_version().startswith(f"PyAV {av.__version__}, libavcodec ")


def cut(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi", "cut.ts"])
def test_a_truncated_file_counts_as_far_as_it_decodes(name, tmp_path, decode_all):
    path = write_video(
        tmp_path / name,
        60,
        **x264("keyint=12:bframes=2"),
        container={"movflags": "faststart"} if name.endswith("mp4") else {},
    )
    full = decode_all(cut(path, 0.6))
    assert 10 < len(full) < 55
    assert_equals_full_decode(path, full)
    assert probe_video(path).frames == len(full)


def test_a_damaged_packet_ends_the_video(tmp_path, decode_all):
    path = write_video(tmp_path / "damaged.mp4", 40, **x264("keyint=50:bframes=0"))
    with VideoStream(path) as stream:
        at = [p.pos for p in stream.packets()][25]
    data = bytearray(path.read_bytes())
    data[at : at + 4] = b"\xff" * 4  # the length of the packet's first unit
    path.write_bytes(data)
    full = decode_all(path)
    assert len(full) == 25
    # even where only frames far before the damage are wanted
    asked = []
    read_frames(path, lambda n: asked.append(n) or np.array([n // 4]))
    assert asked[-1] == 25
    assert_equals_full_decode(path, full)


def test_of_several_streams_the_best_is_read(tmp_path):
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


def write_sound(path, *, cover=False):
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        if cover:
            picture = file.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
            picture.disposition = Disposition.attached_pic
            file.mux(picture.encode(av.VideoFrame.from_ndarray(pattern(1))))
            file.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def test_what_is_no_video_is_one_sentence(tmp_path, capfd):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("I am not a video.\n" * 20)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nhttp://localhost:1/a.ts\n")
    write_sound(tmp_path / "sound.mp4")
    write_sound(tmp_path / "cover.mp4", cover=True)
    with av.open(str(tmp_path / "cover.mp4")) as file:
        assert file.streams.video[0].disposition & Disposition.attached_pic
    cut(write_video(tmp_path / "head.mp4", 5), 0.05)
    faults = {}
    names = ["empty.mp4", "text.mp4", "list.m3u8", "sound.mp4", "cover.mp4", "head.mp4"]
    for name in (*names, "none.mp4", "."):
        with pytest.raises(SampleError) as caught:
            read_frames(tmp_path / name, np.arange)
        with pytest.raises(SampleError):
            probe_video(tmp_path / name)
        faults[name] = str(caught.value)
        assert faults[name].startswith(str(tmp_path / name).rstrip("."))
        assert "\n" not in faults[name]
    assert "the file is empty" in faults["empty.mp4"]
    assert "has no video stream" in faults["sound.mp4"]
    assert "has no video stream" in faults["cover.mp4"]
    assert "no such file" in faults["none.mp4"]
    assert "cannot be opened as a video" in faults["text.mp4"]
    assert capfd.readouterr() == ("", "")  # FFmpeg keeps its own remarks to itself


def test_damaged_files_never_do_worse_than_a_sentence(tmp_path, written):
    rng = np.random.default_rng(0)
    outcomes = {"read": 0, "refused": 0}
    for name in ("b_frames.mp4", "vp8.webm", "mpeg4_b.avi", "x264.ts", "hevc_open.mp4"):
        whole = np.frombuffer(written(name).read_bytes(), np.uint8)
        path = tmp_path / name
        for _ in range(12):
            data = whole.copy()
            data[rng.integers(len(data), size=20)] = rng.integers(0, 256, 20)
            path.write_bytes(data[: rng.integers(1, 2 * len(data))].tobytes())
            try:
                frames = read_frames(path, lambda n: np.array([0, n // 2, n - 1]))
                assert len(frames) == 3
                outcomes["read"] += 1
            except SampleError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 5


def test_awkward_names_are_files(tmp_path):
    for name in ("a:b.mp4", "concat:x.mp4", "ü ö.mp4", "100%d.mp4", "-i.mp4"):
        path = tmp_path / name
        (write_video(tmp_path / "plain.mp4", 2)).rename(path)
        assert len(read_frames(path, np.arange)) == 2


SHARED = os.environ.get("VIDEOZOO_SHARED")
REAL = sorted(Path(SHARED, "data", "codecs").glob("*")) if SHARED else []


real_files = pytest.mark.skipif(
    not SHARED, reason="VIDEOZOO_SHARED, the folder of real videos, is not set"
)


@real_files
def test_real_files_equal_a_full_decode(decode_all):
    refused = []
    assert REAL
    for path in REAL:
        try:
            turns = probe_video(path).rotation // 90
        except SampleError:
            refused.append(path.name)
            continue
        assert_equals_full_decode(path, [np.rot90(f, -turns) for f in decode_all(path)])
    assert refused == ["WrongFile.mp4", "result.webm"]
