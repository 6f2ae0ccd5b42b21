"""Frames become upright RGB of the wanted size, in accurate colours."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from exact import DecodeAll, colours_last
from PIL import Image

from videos import pattern, set_display_matrix, write_video
from videozoo.data.framing import Crop
from videozoo.video.reader import probe_video, read_clip, read_frames
from videozoo.video.rgb import rgb_planes, upright, upright_size

BILINEAR = Image.Resampling.BILINEAR


@pytest.mark.parametrize("turn", [(0, 1, -1, 0), (-1, 0, 0, -1)])
def test_resizing_is_told_upright_sizes(turn: tuple[int, ...], tmp_path: Path) -> None:
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
def test_resizing_is_pillows_bilinear_on_accurate_colours(
    size: tuple[int, int], wanted: tuple[int, int], tmp_path: Path
) -> None:
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


def accurate_rgb(frame: av.VideoFrame) -> np.ndarray:
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


def doubled(chroma: np.ndarray) -> np.ndarray:
    down = np.arange(2 * chroma.shape[0]) / 2 - 0.25
    across = np.arange(2 * chroma.shape[1]) / 2
    return between(between(chroma, down).T, across).T


def between(lines: np.ndarray, at: np.ndarray) -> np.ndarray:
    at = at.clip(0, len(lines) - 1)
    low = at.astype(int)
    high = np.minimum(low + 1, len(lines) - 1)
    return lines[low] + (at - low)[:, None] * (lines[high] - lines[low])


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
def test_frames_are_turned_upright(
    matrix: tuple[int, ...],
    turn: Callable[[np.ndarray], np.ndarray],
    tmp_path: Path,
    decode_all: DecodeAll,
) -> None:
    path = set_display_matrix(write_video(tmp_path / "turned.mp4", 3), *matrix)
    frames = read_frames(path, np.arange)
    for frame, stored in zip(frames, decode_all(path), strict=True):
        assert np.array_equal(colours_last(frame), turn(stored))
    info = probe_video(path)
    assert (info.height, info.width) == frames[0].shape[1:]


def test_nearly_right_angles_are_right_angles() -> None:
    plane = pattern(1)[:, :, 0]
    matrix = np.array([300, 65000, 0, -65000, 300, 0, 0, 0, 1 << 30], dtype="=i4").tobytes()
    assert np.array_equal(upright(plane, matrix), np.rot90(plane, k=-1))


@pytest.mark.parametrize(("space", "red", "blue"), [(1, 0.2126, 0.0722), (5, 0.299, 0.114)])
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_follow_the_streams_own_matrix_and_range(
    space: int, red: float, blue: float, full_range: bool, tmp_path: Path
) -> None:
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


def test_frames_that_were_converted_are_freed_at_once(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 20, size=(128, 96))
    gc.disable()
    try:
        with av.open(str(path)) as file:
            for frame in file.decode(video=0):
                rgb_planes(frame, lambda width, height: (width // 4, height // 4))
                upright_size(frame)
            del frame
        left = [o for o in gc.get_objects() if type(o) is av.VideoFrame and o.width == 128]
        assert len(left) <= 1
    finally:
        gc.enable()
