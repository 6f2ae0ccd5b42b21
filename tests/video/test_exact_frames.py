"""The frames read are those of a full decode, and no more is decoded than they need."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from exact import FILES, DecodeAll, Written, assert_equals_full_decode, choices, colours_last
from PIL import Image

from videos import number_of
from videozoo.data.framing import Crop
from videozoo.errors import SampleError
from videozoo.video.chosen_frames import ChosenFrames
from videozoo.video.reader import decoder_version, probe_video, read_clip, read_frames
from videozoo.video.rgb import rgb_planes
from videozoo.video.stream import VideoStream
from videozoo.video.timeline import read_timeline

BILINEAR = Image.Resampling.BILINEAR


@pytest.mark.parametrize("name", FILES)
def test_frames_equal_those_of_a_full_decode(
    name: str, written: Written, decode_all: DecodeAll
) -> None:
    frames, _, _ = FILES[name]
    full = decode_all(written(name))
    assert [number_of(f) for f in full] == list(range(frames))
    assert_equals_full_decode(written(name), full)


@pytest.mark.parametrize("name", [name for name, (_, trusted, _) in FILES.items() if trusted])
def test_what_packets_foretell_is_not_decoded_as_a_whole(
    name: str, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_):
        raise AssertionError("all frames are decoded")

    monkeypatch.setattr("videozoo.video.chosen_frames.all_frames", refuse)
    for wanted in choices(FILES[name][0]):
        assert len(read_frames(written(name), lambda n, wanted=wanted: np.array(wanted)))


@pytest.mark.parametrize("name", FILES)
def test_packets_are_trusted_where_they_can_be(name: str, written: Written) -> None:
    frames, trusted, _ = FILES[name]
    with VideoStream(written(name)) as stream:
        timeline, seeming, _ = read_timeline(stream)
    assert (timeline is not None) == trusted
    if timeline is not None:
        assert len(timeline.times) == frames
    else:
        assert len(seeming) == frames


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
def test_decoding_begins_at_closed_groups_alone(
    name: str, accesses: bool, written: Written
) -> None:
    with VideoStream(written(name)) as stream:
        timeline = read_timeline(stream).timeline
    assert timeline.accesses[0].first == 0
    assert (len(timeline.accesses) > 1) == accesses


def test_only_what_is_needed_is_decoded(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_frames_that_none_refers_to_are_left_out(name: str, written: Written) -> None:
    frames, _, _ = FILES[name]
    with VideoStream(written(name)) as stream:
        timeline = read_timeline(stream).timeline
    assert frames / 4 < len(timeline.needless) <= frames
    assert timeline.needless <= set(timeline.packets)


def test_a_wanted_frame_comes_once(written: Written) -> None:
    with VideoStream(written("b_frames.mp4")) as stream:
        chosen = ChosenFrames(stream, lambda times: np.array([[5, 5], [2, 5]]))
        seen = [(number_of(np.stack(rgb_planes(frame))), places) for frame, places in chosen]
    assert seen == [(2, [2]), (5, [0, 1, 3])]
    assert chosen.count == 4
    frames = read_frames(written("b_frames.mp4"), lambda n: np.array([5, 2, 5]))
    assert frames[0] is frames[2]


def test_a_clip_is_resized_and_cropped_frame_by_frame(written: Written) -> None:
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


def test_long_files_are_read_twice_and_give_the_same(
    written: Written, decode_all: DecodeAll, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("videozoo.video.stream._KEPT_BYTES", 1000)
    for name in ("b_frames.mp4", "mpeg4_b.avi"):
        assert_equals_full_decode(written(name), decode_all(written(name)))


def test_an_index_out_of_range_is_a_mistake_of_the_program(written: Written) -> None:
    with pytest.raises(IndexError, match=r"frames 0\.\.40 are wanted of 40"):
        read_frames(written("b_frames.mp4"), lambda n: np.array([0, n]))


@pytest.mark.parametrize("name", ["b_frames.mp4", "vp9.webm"])
def test_a_decoder_that_contradicts_the_packets_is_believed(
    name: str, written: Written, decode_all: DecodeAll, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_probing(written: Written) -> None:
    info = probe_video(written("b_frames.mp4"))
    assert (info.frames, info.width, info.height) == (40, 64, 48)
    assert (info.fps, info.codec, info.rotation) == (25.0, "h264", 0)
    assert info.duration == pytest.approx(1.6)
    assert probe_video(written("mpeg4_b.avi")).frames == 20
    assert probe_video(written("no_duration.webm")).duration is None


def test_the_versions_are_named() -> None:
    assert decoder_version().startswith(f"PyAV {av.__version__}, libavcodec ")


SHARED = os.environ.get("VIDEOZOO_SHARED")
REAL = sorted(Path(SHARED, "data", "codecs").glob("*")) if SHARED else []


real_files = pytest.mark.skipif(
    not SHARED, reason="VIDEOZOO_SHARED, the folder of real videos, is not set"
)


@real_files
def test_real_files_equal_a_full_decode(decode_all: DecodeAll) -> None:
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
