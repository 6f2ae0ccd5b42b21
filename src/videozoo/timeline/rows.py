"""Windows of a video for models on features: rows are encoded once, whatever windows share them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from functools import cached_property
from itertools import islice

import numpy as np
import torch

from videozoo.data.sample import FeatureSample, UInt8Array
from videozoo.encoders.encoded_videos import EncodedVideos
from videozoo.encoders.encoder import Encoder
from videozoo.encoders.find import encoder_of
from videozoo.encoders.motion import GAP, motion_rows, pairs
from videozoo.encoders.recipe import MOVES, SOUND
from videozoo.encoders.row_clock import RowClock
from videozoo.encoders.row_store import Half
from videozoo.encoders.sound import SoundRows
from videozoo.encoders.sound_track import RATE, Float
from videozoo.errors import SampleError
from videozoo.timeline.source import Heard, Shown, Source
from videozoo.timeline.windows import WindowSamples
from videozoo.video.frame_times import FrameTimes
from videozoo.video.geometry import Planes
from videozoo.video.reader import resized_planes
from videozoo.video.rgb import SQUARE
from videozoo.video.stream import FAULTS, reason_of

PATIENCE = 1.0  # seconds that a stream's rows wait for others to be encoded with
_SOUND_LATE = 5.0  # seconds by which sound may come later than the picture beside it
_PAIR = -1  # in place of the number of a row's frame: the pair that motion is seen in


class _Seen:
    """A frame that may be wanted; it is converted when it is, once."""

    def __init__(self, shown: Shown, owner: RowWindows) -> None:
        self.start = shown.start
        self._frame, self._owner = shown.frame, owner

    @cached_property
    def pixels(self) -> UInt8Array:
        """Returns what the encoder takes of it, uint8 [3, H, W]."""
        framing = self._owner.dataset.recipe.framing
        address = self._owner.source.address
        try:
            pixels = self._owner.source.pixel_aspect if framing.square_pixels else SQUARE
            planes: Planes = resized_planes(
                self._frame, framing.resize, framing.resize_with, framing.resample, pixels
            )
            cut = np.empty((3, *framing.cut.extent(*planes[0].shape)), dtype=np.uint8)
            framing.cut.cut(planes, cut)
        except SampleError as error:
            raise error.at(address) from error
        except FAULTS as error:
            reason = f"a frame cannot be converted to RGB: {reason_of(error)}"
            raise SampleError(reason, path=address) from error
        return cut


class RowWindows(WindowSamples):
    """Makes the rows of a video, as many a second as a file as long as a window would have.

    Windows begin where a row does, so that they share rows: each is encoded once, in full batches;
    a stream's rows wait no longer than PATIENCE for the batch to fill.

    Args:
        videos: say how rows are made; there may be none.
        device: of the encoder.
    """

    dataset: EncodedVideos

    def __init__(self, videos: EncodedVideos, device: torch.device) -> None:
        self.dataset, self._device = videos, device
        self.hears = SOUND in videos.feature_names
        self._moves = MOVES in videos.feature_names

    def begin(self, source: Source, length: float) -> None:
        """Begins a video; see WindowSamples."""
        self.source = source
        recipe = self.dataset.recipe
        self._encoder: Encoder = encoder_of(recipe, self._device)
        sampling = recipe.sampling
        whole = FrameTimes(np.zeros(1), length)
        self._clock = RowClock.of(
            whole, rate=sampling.rate, most=sampling.most, spread=sampling.spread
        )
        self._length = length
        self._ended = False
        self._frames: deque[_Seen] = deque()
        self._wanted = self._moments()
        self._next = next(self._wanted)
        self._parts: list[UInt8Array] = []  # [3, H, W], of the row that is being made
        self._waiting: list[UInt8Array] = []  # [window, 3, H, W], of rows to be encoded
        self._since: float | None = None  # when a window began to wait for them
        self._motion: list[Float] = []  # [MOTION], of those rows
        self._first = 0  # number of the first of the rows that follow
        self._rows: deque[dict[str, Half]] = deque()  # [D] by modality
        self._heard: deque[Half] = deque()  # [BANDS]
        self._sound = SoundRows(self._clock.span) if self.hears else None

    def near(self, start: float) -> float:
        """Returns when the row begins that begins nearest to a time."""
        return round(start / self._clock.span) * self._clock.span

    def see(self, shown: Shown) -> None:
        """Takes the next frame; see WindowSamples."""
        self._frames.append(_Seen(shown, self))
        self._resolve()
        if self._sound is not None:
            late = _SOUND_LATE if self.source.has_sound else 0.0
            self._sound.hear(int((shown.start - late) * RATE), np.zeros(0, np.float32))

    def hear(self, heard: Heard) -> None:
        """Takes the next sound."""
        if self._sound is not None:
            self._sound.hear(heard.place, heard.samples)

    def finish(self) -> None:
        """Nothing more comes."""
        self._ended = True

    def take(self, start: float, length: float) -> FeatureSample | None:
        """Returns the sample of a window; see WindowSamples."""
        span = self._clock.span
        first, count = round(start / span), self._clock.count
        if length < self._length:  # all of a short video
            count = min(count, max(1, round(length / span)))
        if not self._are_there(first + count):
            return None
        while self._first < first:
            self._first += 1
            self._rows.popleft()
            if self.hears:
                self._heard.popleft()
        rows = list(islice(self._rows, count))
        stored = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
        if self.hears:
            stored[SOUND] = np.stack(list(islice(self._heard, count)))
        return self.dataset.sample(stored, self.source.address)

    def _are_there(self, needed: int) -> bool:
        """Whether so many rows are made, counted from the beginning; makes what can be made."""
        needed -= self._first
        while self._ended and len(self._rows) + len(self._waiting) < needed:
            self._resolve(once=True)
        if self._sound is not None:
            while self._ended and len(self._heard) + len(self._sound.rows) < needed:
                self._sound.finish_row()
            self._heard.extend(row.astype(np.float16) for row in self._sound.rows)
            self._sound.rows.clear()
            if len(self._heard) < needed:
                return False
        if len(self._rows) < needed <= len(self._rows) + len(self._waiting):
            now = time.monotonic()
            self._since = now if self._since is None else self._since
            if self._ended or (self.source.live and now - self._since >= PATIENCE):
                self._encode()
        return len(self._rows) >= needed

    def _moments(self) -> Iterator[tuple[float, int]]:
        """Yields when which frame of a row is looked at, row by row, in their order in time."""
        window, row = self.dataset.recipe.window, 0
        while True:
            wanted = [((row + (n + 0.5) / window) * self._clock.span, n) for n in range(window)]
            if self._moves:
                wanted.append(((row + 0.5) * self._clock.span, _PAIR))
            yield from sorted(wanted)
            row += 1

    def _resolve(self, *, once: bool = False) -> None:
        """Looks at the frames that are known now to be those on screen when they are wanted."""
        frames, rounding = self._frames, self.source.rounding
        while self._ended or frames[-1].start > self._next[0] + rounding:
            moment, number = self._next
            times = FrameTimes(np.array([f.start for f in frames]), self.source.end, rounding)
            at = np.array([moment])
            if number == _PAIR:
                before, after = pairs(times, at)[0].tolist()
                if not self._ended and frames[-1].start <= frames[before].start + GAP + rounding:
                    return
                self._move(frames[before], frames[after])
            else:
                self._parts.append(frames[int(times.on_screen(at)[0])].pixels)
            self._next = next(self._wanted)
            while len(frames) > 2 and frames[1].start <= self._next[0] + rounding:
                frames.popleft()
            if self._complete_row() and once:
                return

    def _move(self, before: _Seen, after: _Seen) -> None:
        both = np.stack([before.pixels, after.pixels])[None]  # [1, 2, 3, H, W]
        seconds = np.array([after.start - before.start])
        self._motion.append(motion_rows(both, seconds)[0])

    def _complete_row(self) -> bool:
        """Lets a row that has all of its frames wait; encodes rows in full batches."""
        moved = len(self._motion) > len(self._waiting) or not self._moves
        if len(self._parts) < self.dataset.recipe.window or not moved:
            return False
        self._waiting.append(np.stack(self._parts))
        self._parts = []
        if len(self._waiting) == self._encoder.batch:
            self._encode()
        return True

    def _encode(self) -> None:
        """Encodes the rows that wait, in one batch that is padded where they are fewer."""
        blank = np.zeros_like(self._waiting[0])
        missing = self._encoder.batch - len(self._waiting)
        frames = np.stack(self._waiting + [blank] * missing)  # [batch, window, 3, H, W]
        names = [name for name in self.dataset.recipe.dims if name not in (MOVES, SOUND)]
        encoded = [
            rows.to(torch.float16).numpy() for rows in self._encoder(torch.from_numpy(frames))
        ]
        for number in range(len(self._waiting)):
            row = {name: rows[number] for name, rows in zip(names, encoded, strict=True)}
            if self._moves:
                row[MOVES] = self._motion[number].astype(np.float16)
            self._rows.append(row)
        self._waiting, self._motion, self._since = [], self._motion[len(self._waiting) :], None
