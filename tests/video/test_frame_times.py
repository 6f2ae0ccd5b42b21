"""Frames are chosen by the times at which they are on screen."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from videos import number_of, pattern, write_video
from videozoo.data.framing import Crop
from videozoo.errors import SampleError
from videozoo.video import chosen_frames
from videozoo.video.frame_times import FrameTimes, Seen, frame_times
from videozoo.video.reader import read_frames, read_timed_clip, seeming_times

# frames of 1/25 s: a slow second, then three frames close together, then a long picture
TIMES = [0, 12, 25, 26, 27, 60]


def square(width: int, height: int) -> tuple[int, int]:
    return 48, 48


def shown_at(path: Path, *moments: float) -> list[int]:
    """Returns the numbers of the frames of `pattern` that are on screen."""
    wanted = np.array(moments)
    clip, *_ = read_timed_clip(
        path, lambda times: times.on_screen(wanted), resize=square, crop=Crop(48)
    )
    return [number_of(frame) for frame in clip]


def test_the_last_frame_that_appeared_is_on_screen() -> None:
    times = FrameTimes(np.array([1.0, 1.5, 1.5, 4.0]), 5.0)
    moments = np.array([[0.0, 1.0], [1.4999, 1.5], [3.9, 9.0]])
    assert times.on_screen(moments).tolist() == [[0, 0], [0, 2], [2, 3]]
    assert (times.start, times.seconds, len(times)) == (1.0, 4.0, 4)


def told(*times: int | None, last: int = 0, clocks: list[int] | None = None) -> list[Seen]:
    clock = clocks or times
    durations = [0] * (len(times) - 1) + [last]
    return [Seen(*one) for one in zip(times, clock, durations, strict=True)]


@pytest.mark.parametrize(
    ("seen", "jumps", "starts", "end"),
    [
        (told(5, 6, 9, last=3), False, [0.5, 0.6, 0.9], 1.2),
        (told(5, 6, 9, 12), False, [0.5, 0.6, 0.9, 1.2], 1.5),  # stays for the usual time
        (told(None, None, None), False, [0.0, 0.2, 0.4], 0.6),  # at 5 frames a second
        (told(7, 7, 7), False, [0.7, 0.9, 1.1], 1.3),
        (told(None, 9, None, 13), False, [0.7, 0.9, 1.1, 1.3], 1.5),
        (told(0, 4, 2, 6, last=2), False, [0.0, 0.2, 0.4, 0.6], 0.8),
        (told(0, 2, 900), False, [0.0, 0.2, 90.0], 135.0),
        (told(50, 52, 4, 6, last=2), True, [5.0, 5.2, 5.4, 5.6], 5.8),
        (told(0, 2, 900, 902, last=2), True, [0.0, 0.2, 0.4, 0.6], 0.8),
        # packets tell by their order of decoding that the clock is sound
        (told(4, 9, 6, last=1, clocks=[2, 4, 6]), True, [0.4, 0.6, 0.9], 1.15),
        (told(3, last=4), False, [0.3], 0.7),
        (told(3), False, [0.3], 0.5),
    ],
)
def test_sense_is_made_of_any_times(
    seen: list[Seen], jumps: bool, starts: list[float], end: float
) -> None:
    """Units of 1/10 s."""
    stream: Any = SimpleNamespace(time_base=Fraction(1, 10), fps=5.0, clock_jumps=jumps)
    times = frame_times(stream, seen)
    np.testing.assert_allclose(times.starts, starts)
    assert times.end == pytest.approx(end, abs=0.06)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.mov"])
def test_frames_of_a_varying_rate_are_those_on_screen(name: str, tmp_path: Path) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = write_video(tmp_path / name, 6, codec=codec, times=TIMES)
    start = seeming_times(path).start
    moments = [start + t for t in (0.0, 0.47, 0.5, 0.99, 1.0, 1.05, 1.081, 2.39, 2.41, 9.0)]
    assert shown_at(path, *moments) == [0, 0, 1, 1, 2, 3, 4, 4, 5, 5]


def test_a_gif_s_frames_stay_as_long_as_it_says(tmp_path: Path) -> None:
    pictures = [Image.fromarray(pattern(number)) for number in range(3)]
    path = tmp_path / "a.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=[1000, 200, 15_000])
    assert shown_at(path, 0.9, 1.1, 1.3, 12.0) == [0, 1, 2, 2]
    assert seeming_times(path).seconds == pytest.approx(16.2, abs=0.02)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.avi", "mpeg4"), ("a.ts", "libx264"), ("a.mpg", "mpeg2video")]
)
def test_what_must_be_decoded_whole_is_decoded_once(
    name: str, codec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / name, 30, codec=codec)
    decodings = []
    all_frames = chosen_frames.all_frames

    def counting(stream, faults):
        decodings.append(stream)
        return all_frames(stream, faults)

    monkeypatch.setattr(chosen_frames, "all_frames", counting)
    start = seeming_times(path).start
    assert shown_at(path, start + 0.5) == [12]
    assert len(decodings) == 1


def test_a_choice_by_count_is_made_once(tmp_path: Path) -> None:
    """It may be drawn at random: asked again, it would want other frames."""
    path = write_video(tmp_path / "a.avi", 30, codec="mpeg4")
    asked = []

    def choose(n: int) -> np.ndarray:
        asked.append(n)
        return np.array([7 * len(asked)])

    (frame,) = read_frames(path, choose)
    assert (asked, number_of(frame)) == ([30], 7)


def test_two_recordings_in_one_file_follow_each_other(tmp_path: Path) -> None:
    parts = [write_video(tmp_path / f"{n}.ts", n) for n in (25, 50)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    start = seeming_times(path).start
    assert shown_at(path, start + 0.5, start + 1.5, start + 2.5) == [12, 12, 37]
    _, times, _ = read_timed_clip(path, lambda _: np.array([0]), resize=square, crop=Crop(48))
    assert times.seconds == pytest.approx(3, abs=0.05)


def test_a_file_that_breaks_off_ends_there(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.mkv", 100, options={"g": "5"})
    path = tmp_path / "cut.mkv"
    data = whole.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    readable = read_frames(path, np.arange)
    assert len(readable) < 90
    assert shown_at(path, 99.0) == [number_of(readable[-1])]


def test_a_picture_is_a_video_of_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(pattern(9)).save(path)
    times = seeming_times(path)
    assert (times.start, len(times)) == (0, 1)
    assert 0 < times.seconds <= 1
    assert shown_at(path, 0.0, 0.5) == [9, 9]


def test_times_of_what_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("no video")
    with pytest.raises(SampleError, match=r"a\.mp4"):
        seeming_times(path)


@pytest.mark.parametrize("resize_with", ["swscale", "pillow"])
def test_resizing_may_be_bicubic(resize_with: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 1, size=(96, 96), options={"crf": "10"})
    clips = {
        resample: read_timed_clip(
            path,
            lambda _: np.array([0]),
            resize=square,
            crop=Crop(48),
            resize_with=resize_with,
            resample=resample,
        )[0][0].astype(int)
        for resample in ("bilinear", "bicubic")
    }
    (frame,) = read_frames(path, np.arange)
    image = Image.fromarray(frame.transpose(1, 2, 0))
    wanted = np.asarray(image.resize((48, 48), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    errors = {name: np.abs(clip - wanted).mean() for name, clip in clips.items()}
    assert errors["bicubic"] < errors["bilinear"] * 0.8  # their bicubic kernels differ a little
