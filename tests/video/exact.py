"""Videos of many kinds, and what reading any video exactly means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from videozoo.video.reader import read_frames

How = dict[str, Any]  # arguments of write_video
Written = Callable[[str], Path]
DecodeAll = Callable[[Path], list[np.ndarray]]


def x264(options: str) -> How:
    return {"codec": "libx264", "options": {"x264-params": options}}


def x265(options: str) -> How:
    return {"codec": "libx265", "options": {"x265-params": f"log-level=none:{options}"}}


def alt_ref(codec: str) -> How:
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


def choices(n: int) -> Iterator[list[int]]:
    """Wanted frames: ends, middles, steps back, repetitions, all of them."""
    rng = np.random.default_rng(n)
    yield from ([0], [n - 1], [n // 2], [n - 1, 0, n // 2, 0], list(range(n)))
    yield from (rng.integers(0, n, 3).tolist() for _ in range(4))


def colours_last(frame: np.ndarray) -> np.ndarray:
    return frame.transpose(1, 2, 0)


def assert_equals_full_decode(path: Path, full: Sequence[np.ndarray]) -> None:
    asked = []
    for wanted in choices(len(full)):

        def choose(n, wanted=wanted):
            asked.append(n)
            return np.minimum(wanted, n - 1)

        frames = read_frames(path, choose)
        assert asked[-1] == len(full)
        for index, frame in zip(wanted, frames, strict=True):
            assert np.array_equal(colours_last(frame), full[index]), (path.name, wanted, index)
