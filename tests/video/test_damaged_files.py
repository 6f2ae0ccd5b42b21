"""A damaged file counts as far as it decodes; what is no video is one sentence."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from exact import DecodeAll, Written, assert_equals_full_decode, x264

from videos import pattern, write_video
from videozoo.errors import SampleError
from videozoo.video.reader import probe_video, read_frames
from videozoo.video.stream import VideoStream


def cut(path: Path, keep: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi", "cut.ts"])
def test_a_truncated_file_counts_as_far_as_it_decodes(
    name: str, tmp_path: Path, decode_all: DecodeAll
) -> None:
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


def test_a_damaged_packet_ends_the_video(tmp_path: Path, decode_all: DecodeAll) -> None:
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
    # what was decoded for the first answer does not count where the second one is shorter
    assert read_frames(path, lambda n: np.arange(20, 30) if n > 25 else np.arange(0)) == []


def write_sound(path: Path, *, cover: bool = False) -> None:
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


def test_what_is_no_video_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
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


def test_damaged_files_never_do_worse_than_a_sentence(tmp_path: Path, written: Written) -> None:
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


def test_awkward_names_are_files(tmp_path: Path) -> None:
    for name in ("a:b.mp4", "concat:x.mp4", "ü ö.mp4", "100%d.mp4", "-i.mp4"):
        path = tmp_path / name
        (write_video(tmp_path / "plain.mp4", 2)).rename(path)
        assert len(read_frames(path, np.arange)) == 2
