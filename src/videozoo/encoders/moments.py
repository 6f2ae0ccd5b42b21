"""What is read of a video before an encoder sees it: frames and sound of the same moments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from videozoo.encoders.motion import motion_rows, pairs
from videozoo.encoders.row_clock import RowClock
from videozoo.encoders.sound import sound_rows
from videozoo.encoders.sound_track import Float
from videozoo.video.frame_times import FrameTimes, Int64Array
from videozoo.video.geometry import Cut, ResizeRule, UInt8Array
from videozoo.video.reader import read_timed_clip


@dataclass(frozen=True)
class Moments:
    """The rows of a video before they are encoded.

    Attributes:
        frames: uint8 [n, window, 3, H, W], resized and cropped.
        motion: float32 [n, MOTION], how things move at these moments; None: not wanted.
        audio: float32 [n, BANDS], log-mel spectra of the same stretches; None: not wanted.
        clock: the stretch of the video that each row stands for.
        damage: what is known to be missing of pictures and sound; None: nothing. Sound that could
            not be read is silence.
    """

    frames: UInt8Array
    motion: Float | None
    audio: Float | None
    clock: RowClock
    damage: str | None = None


def read_moments(
    path: Path,
    *,
    resize: ResizeRule,
    crop: Cut,
    rate: float = 1.0,
    most: int = 300,
    spread: bool = False,
    window: int = 1,
    resize_with: str = "swscale",
    resample: str = "bilinear",
    square_pixels: bool = False,
    motion: bool = False,
    sound: bool = True,
) -> Moments:
    """Reads the rows of a video: the frames on screen in the middle of each, and what is heard.

    Args:
        path: the video. Without a sound track it is silent; of a damaged one, what cannot be
            decoded is.
        resize: answers width and height of an upright frame with those wanted.
        crop: what is cut out of it then.
        rate: rows a second.
        most: rows of a video.
        spread: whether `most` rows of a longer video are spread over all of it, see `RowClock`.
        window: frames of a row.
        resize_with: "swscale" or "pillow", see `read_clip`.
        resample: "bilinear" or "bicubic", the kernel of resizing.
        square_pixels: see `read_timed_clip`.
        motion: whether motion is wanted.
        sound: whether spectra are wanted.

    Raises:
        SampleError: not one frame can be decoded, or one is smaller than the crop.
        ValueError: a row is shorter than the spectra's windows, see `sound_rows`.
    """

    def clock_of(times: FrameTimes) -> RowClock:
        return RowClock.of(times, rate=rate, most=most, spread=spread)

    def choose(times: FrameTimes) -> Int64Array:
        chosen = times.on_screen(clock_of(times).moments(window))  # [n, window]
        if motion:
            chosen = np.concatenate([chosen, moving(times)], axis=1)  # [n, window + 2]
        return chosen

    def moving(times: FrameTimes) -> Int64Array:
        return pairs(times, clock_of(times).moments()[:, 0])  # [n, 2]

    flat, times, damage = read_timed_clip(
        path,
        choose,
        resize=resize,
        crop=crop,
        resize_with=resize_with,
        resample=resample,
        square_pixels=square_pixels,
    )  # [n * (window + 2), 3, H, W]
    clock = clock_of(times)
    frames = flat.reshape(clock.count, -1, *flat.shape[1:])  # [n, window + 2, 3, H, W]
    moved = None
    if motion:
        seconds = np.diff(times.starts[moving(times)], axis=1)[:, 0]  # [n]
        moved = motion_rows(frames[:, window:], seconds)  # [n, MOTION]
        frames = frames[:, :window].copy()  # the others need no memory while these wait
    audio, fault = sound_rows(path, clock) if sound else (None, None)  # [n, BANDS]
    known = [str(one) for one in (damage, fault) if one is not None]
    return Moments(frames, moved, audio, clock, "; ".join(known) or None)
