"""A clip that is written anew has the frames, times, colours and uprightness of its source."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import PictureType, VideoFrame

from videos import number_of, pattern, set_display_matrix, skip_by_edit_list, write_video
from videozoo.config import load_experiment
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.clips.dataset import ClipDataset
from videozoo.errors import SampleError, VideozooError
from videozoo.specs import find_spec
from videozoo.video.chosen_frames import all_frames
from videozoo.video.reader import probe_video, read_frames
from videozoo.video.rgb import display_matrix
from videozoo.video.stream import DecodingError, VideoStream
from videozoo.video.timeline import read_timeline
from videozoo.video.write import Encoding, WrittenClip, write_clip

ENCODING = Encoding(short_side=288, gop=4, preset="ultrafast")
B_FRAMES = {"x264-params": "keyint=12:bframes=3:b-pyramid=normal"}


def encode(source: Path, encoding: Encoding = ENCODING) -> tuple[Path, WrittenClip]:
    target = source.with_name(f"{source.name}.new.mp4")
    return target, write_clip(source, target, encoding=encoding)


def frames_of(path: Path) -> list[np.ndarray]:
    return read_frames(path, np.arange)


def times_of(path: Path) -> list[Fraction]:
    """Seconds from the first frame on."""
    with VideoStream(path) as stream:
        unit = next(stream.packets()).time_base
        times = [frame.pts * unit for frame in all_frames(stream)]
    return [time - times[0] for time in times]


def difference(
    source: Path, path: Path, *, short_size: int = 40, target_size: int = 32, resize: str = "4:3"
) -> float:
    """Mean absolute difference of the clips that the reader makes of two files."""
    clips = [
        ClipDataset(
            [ClipEntry(p, None, str(p))],
            num_classes=1,
            seg_num=3,
            seglen=2,
            short_size=short_size,
            target_size=target_size,
            resize=resize,
        )
        .read(0, None)
        .clip.astype(int)
        for p in (source, path)
    ]
    return float(np.abs(clips[0] - clips[1]).mean())


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("b_frames.mp4", {"options": B_FRAMES}),
        ("open.mkv", {"options": {"x264-params": "keyint=10:bframes=3:open-gop=1:scenecut=0"}}),
        ("mpeg4.avi", {"codec": "mpeg4", "options": {"bf": "2", "g": "8"}}),
        ("mpeg2.mpg", {"codec": "mpeg2video", "options": {"bf": "2"}}),
        ("x264.ts", {"options": B_FRAMES}),
        ("vp9.webm", {"codec": "libvpx-vp9", "options": {"cpu-used": "4"}}),
        ("ten_bits.mp4", {"pixels": "yuv420p10le"}),
        ("colours.mov", {"codec": "qtrle", "pixels": "rgb24"}),
        ("one.mp4", {"frames": 1}),
    ],
)
def test_the_same_frames_in_the_same_order(name: str, how: dict, tmp_path: Path) -> None:
    n = how.pop("frames", 20)
    source = write_video(tmp_path / name, n, size=(96, 64), **how)
    path, clip = encode(source)
    assert clip == WrittenClip(n, (96, 64), (96, 64))
    assert [number_of(f) for f in frames_of(path)] == list(range(n))
    assert difference(source, path) < 6
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([source.name, path.name])


def test_the_file_is_quick_to_reach(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=3:bframes=1"}
    path, _ = encode(write_video(tmp_path / "a.mp4", 11, options=options))
    with VideoStream(path) as stream:
        timeline = read_timeline(stream).timeline
        assert stream.codec == "h264"
    assert timeline is not None
    assert [access.first for access in timeline.accesses] == [0, 4, 8]
    with av.open(str(path)) as file:
        assert [s.type for s in file.streams] == ["video"]
        packets = [p for p in file.demux() if p.size]
        assert all(p.pts == p.dts for p in packets)  # no frame refers to a later one
        assert file.streams.video[0].codec_context.pix_fmt == "yuv420p"
    with av.open(str(path)) as file:
        kinds = [PictureType(frame.pict_type).name for frame in file.decode(video=0)]
    assert "".join(kinds) == "IPPPIPPPIPP"  # the new file's own groups alone


@pytest.mark.parametrize("name", ["variable.mkv", "variable.mp4"])
def test_times_stay(name: str, tmp_path: Path) -> None:
    ticks = [i * i + i + 7 for i in range(12)]
    source = write_video(tmp_path / name, 12, times=ticks, options=B_FRAMES)
    path, _ = encode(source)
    assert times_of(path) == times_of(source)
    if name.endswith(".mp4"):
        assert times_of(path) == [Fraction(t - 7, 25) for t in ticks]
    assert [number_of(f) for f in frames_of(path)] == list(range(12))


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        (None, 0.2, range(5)),
        (0.4, None, range(10, 20)),
        (0.2, 0.4, range(5, 10)),
        (0.21, 0.41, range(6, 11)),
        (0.0, 9.0, range(20)),
    ],
)
def test_a_part_has_the_frames_from_start_to_before_end(
    start: float | None, end: float | None, wanted: range, tmp_path: Path
) -> None:
    source = write_video(tmp_path / "a.mp4", 20, options=B_FRAMES)
    target = tmp_path / "part.mp4"
    clip = write_clip(source, target, start=start, end=end, encoding=ENCODING)
    assert clip.frames == len(wanted)
    assert [number_of(f) for f in frames_of(target)] == list(wanted)
    assert times_of(target) == [Fraction(i, 25) for i in range(len(wanted))]


def test_a_part_behind_the_end_is_refused(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", 5)
    with pytest.raises(SampleError, match=r"a\.mp4: no frame of it between 2 s and 3 s"):
        write_clip(source, tmp_path / "b.mp4", start=2, end=3, encoding=ENCODING)
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_frames_that_are_not_shown_stay_away(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", 20, options=B_FRAMES)
    path, clip = encode(skip_by_edit_list(source, 3))
    assert clip.frames == len(frames_of(source)) == 17
    assert [number_of(f) for f in frames_of(path)] == list(range(3, 20))


@pytest.mark.parametrize(
    "matrix",
    [(0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)],
    ids=["90", "180", "270", "mirrored", "mirrored and turned"],
)
def test_rotation_is_in_the_picture(matrix: tuple[int, ...], tmp_path: Path) -> None:
    source = set_display_matrix(write_video(tmp_path / "a.mp4", 6, size=(96, 64)), *matrix)
    path, clip = encode(source)
    assert clip.size == clip.new_size == ((96, 64) if matrix[0] else (64, 96))
    assert probe_video(path).rotation == 0
    with av.open(str(path)) as file:
        assert display_matrix(next(file.decode(video=0))) is None
    for old, new in zip(frames_of(source), frames_of(path), strict=True):
        assert old.shape == new.shape
        assert np.abs(old.astype(int) - new).mean() < 8


@pytest.mark.parametrize(
    ("size", "short_side", "wanted"),
    [
        ((96, 64), 32, (48, 32)),
        ((64, 96), 32, (32, 48)),
        ((96, 64), 64, (96, 64)),
        ((96, 64), 288, (96, 64)),
        ((65, 49), 288, (64, 48)),
        ((101, 75), 50, (68, 50)),
    ],
)
def test_sizes(
    size: tuple[int, int], short_side: int, wanted: tuple[int, int], tmp_path: Path
) -> None:
    source = write_video(tmp_path / "a.mp4", 5, size=size, pixels="yuv444p")
    path, clip = encode(source, Encoding(short_side=short_side, preset="ultrafast"))
    assert (clip.size, clip.new_size) == (size, wanted)
    assert frames_of(path)[0].shape == (3, wanted[1], wanted[0])
    assert [number_of(f) for f in frames_of(path)] == list(range(5))


@pytest.mark.parametrize("rule", ["4:3", "aspect"])
def test_the_reader_resizes_prepared_clips_of_the_usual_size_as_it_did(
    rule: str, tmp_path: Path
) -> None:
    """A frame that has short_size already would be left alone: the size must be another one."""
    source = write_video(tmp_path / "a.mp4", 3, size=(640, 360))
    path, clip = encode(source)
    assert clip.new_size == (512, 288)
    assert difference(source, path, short_size=256, target_size=224, resize=rule) < 6
    for model in ("TSN", "STNET"):
        experiment = load_experiment(find_spec(model).keys, None)
        sizes = {experiment[mode].model_dump()["short_size"] for mode in ("TRAIN", "TEST")}
        assert Encoding().short_side not in sizes


def test_a_single_pixel(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.mp4", 3, size=(1, 1), pixels="yuv444p")
    assert encode(source)[1] == WrittenClip(3, (1, 1), (2, 2))


def write_colours(path: Path, codec: str, pixels: str, options: dict[str, str]) -> Path:
    """Writes five even pictures; which colours the file means is for its reader to say."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 32, 32, pixels
        for colour in ((200, 30, 40), (30, 180, 60), (20, 40, 220), (10, 10, 10), (250, 245, 240)):
            array = np.full((32, 32, 3), colour, dtype=np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(array)))
        file.mux(stream.encode(None))
    return path


def first_frame(path: Path) -> VideoFrame:
    with VideoStream(path) as stream:
        return next(all_frames(stream))


def tags(frame: VideoFrame) -> tuple[int, int]:
    """Matrix and range: BT.470BG is SMPTE 170M, and limited need not be told."""
    matrix = 6 if frame.colorspace == 5 else frame.colorspace
    return matrix, frame.color_range or 1


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "options"),
    [
        ("untold.mp4", "libx264", "yuv420p", {}),
        ("hd.mp4", "libx264", "yuv420p", {"colorspace": "bt709", "color_range": "tv"}),
        ("wide.mp4", "libx264", "yuv420p", {"colorspace": "bt2020nc", "color_range": "tv"}),
        ("full.mp4", "libx264", "yuv420p", {"colorspace": "bt709", "color_range": "pc"}),
        ("jpeg.mov", "mjpeg", "yuvj420p", {}),
        ("ten_bits.mov", "prores_ks", "yuv422p10le", {"colorspace": "bt709"}),
        ("rgb.mov", "qtrle", "rgb24", {}),
        ("grey.mkv", "ffv1", "gray", {}),
        ("planes.mp4", "libx264rgb", "rgb24", {"crf": "4"}),
        ("palette.gif", "gif", "rgb8", {}),
    ],
)
@pytest.mark.parametrize("short_side", [288, 16])
def test_colours_stay(
    name: str, codec: str, pixels: str, options: dict, short_side: int, tmp_path: Path
) -> None:
    source = write_colours(tmp_path / name, codec, pixels, options)
    path, _ = encode(source, Encoding(short_side=short_side, crf=4))
    old_frame, new_frame = first_frame(source), first_frame(path)
    assert tags(new_frame) == ((6, 1) if old_frame.format.is_rgb else tags(old_frame))
    for old, new in zip(frames_of(source), frames_of(path), strict=True):
        means = [frame.reshape(3, -1).mean(axis=1) for frame in (old, new)]
        assert np.abs(means[0] - means[1]).max() < 3


def test_a_file_that_breaks_off_counts_with_what_can_be_decoded(tmp_path: Path) -> None:
    options = {"x264-params": "keyint=5:bframes=0"}
    source = write_video(tmp_path / "a.mkv", 20, options=options)
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    path, clip = encode(source)
    assert clip.frames == len(frames_of(source)) == len(frames_of(path))
    assert 0 < clip.frames < 20


def test_unreadable_files(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    with pytest.raises(DecodingError, match="no such file"):
        encode(source)
    source.write_bytes(b"no video at all")
    with pytest.raises(SampleError, match=r"a\.mp4: cannot be opened as a video"):
        encode(source)
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_a_target_that_cannot_be_written_ends_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_video(tmp_path / "a.mp4", 3)
    with pytest.raises(VideozooError, match=r"b\.mp4: cannot be written") as caught:
        write_clip(source, tmp_path / "nowhere" / "b.mp4", encoding=ENCODING)
    assert not isinstance(caught.value, SampleError)
    if os.path.exists("/dev/full"):
        target = tmp_path / "c.mp4"
        monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
        os.symlink("/dev/full", tmp_path / ".guessed.mp4.part")
        with pytest.raises(VideozooError, match=r"c\.mp4: cannot be written: No space") as caught:
            write_clip(source, target, encoding=ENCODING)
        assert not isinstance(caught.value, SampleError)
        assert not target.exists()


def test_stopping_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_video(tmp_path / "a.mp4", 8)
    decode = VideoStream.decode
    calls = []

    def stop(self: VideoStream, packet: object) -> object:
        calls.append(packet)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return decode(self, packet)  # type: ignore[arg-type]

    monkeypatch.setattr(VideoStream, "decode", stop)
    with pytest.raises(KeyboardInterrupt):
        encode(source)
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_the_pattern_survives_at_all() -> None:
    """What the tests above lean on: neighbouring numbers look different."""
    assert number_of(pattern(5).transpose(2, 0, 1)) != number_of(pattern(6).transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"short_side": 255}, "--short-side 255: give an even number"),
        ({"short_side": 8}, "--short-side 8"),
        ({"gop": 0}, "--gop 0"),
        ({"crf": 0}, "--crf 0"),
        ({"crf": 52}, "--crf 52"),
        ({"preset": "fats"}, "--preset fats: unknown; did you mean 'fast'"),
    ],
)
def test_settings_out_of_range(wrong: dict, message: str) -> None:
    with pytest.raises(VideozooError) as caught:
        Encoding(**wrong)
    assert message in str(caught.value)


def test_no_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("videozoo.video.write.ENCODER", "libnone")
    with pytest.raises(VideozooError, match="is built without libnone"):
        Encoding()
