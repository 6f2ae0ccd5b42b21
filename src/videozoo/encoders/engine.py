"""Videos become rows: read in threads, encoded in full batches beside that, kept as they come.

S. Abu-El-Haija et al.: "YouTube-8M: A Large-Scale Video Classification Benchmark",
arXiv:1609.08675, 2016, section 3.3: an image network's pooled features of sampled frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from videozoo.addresses.copies import content_sha256
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.sample import UInt8Array
from videozoo.encoders.encoder import Encoder
from videozoo.encoders.moments import read_moments
from videozoo.encoders.recipe import MOVES, SOUND, Recipe
from videozoo.encoders.row_store import Rows, RowStore
from videozoo.errors import SampleError
from videozoo.forecast import METER


@dataclass(frozen=True)
class Encoded:
    """What has become of a video.

    Attributes:
        entry: the video.
        content: what its rows are kept by; empty: it cannot be read.
        rows: float16 [n, D] by modality, or why there are none.
        kept: they were there already.
    """

    entry: ClipEntry
    content: str
    rows: Rows | SampleError
    kept: bool = False


@dataclass(frozen=True)
class Encoding:
    """What encodes videos.

    Attributes:
        recipe: which moments, how framed.
        open_encoder: gives the encoder; it is asked when the first video needs it.
        store: where rows are kept.
        threads: that read videos.
    """

    recipe: Recipe
    open_encoder: Callable[[], Encoder]
    store: RowStore
    threads: int

    def __call__(self, entries: Sequence[ClipEntry]) -> Iterator[Encoded]:
        """Yields each video in order with its rows, or why it cannot be read.

        Rows that are kept already are not computed again; new ones are kept as soon as a video's
        are complete.

        Raises:
            VideozooError: the encoder cannot be opened, or rows cannot be kept.
        """
        batcher: _Batcher | None = None
        waiting: deque[tuple[ClipEntry, _Video]] = deque()
        for entry, video in METER.watched(self._ahead(entries)):
            waiting.append((entry, video))
            if video.frames is not None:
                batcher = batcher or _Batcher(self.open_encoder())
                batcher.add(video)
            yield from self._complete(waiting)
        if batcher is not None:
            batcher.finish()
        yield from self._complete(waiting)

    def _complete(self, waiting: deque[tuple[ClipEntry, _Video]]) -> Iterator[Encoded]:
        """Takes the videos whose rows are complete from the front of the queue."""
        while waiting and (waiting[0][1].found is not None or waiting[0][1].encoded_all):
            entry, video = waiting.popleft()
            if video.found is not None:
                yield Encoded(entry, video.content, video.found, kept=True)
                continue
            rows = video.joined(self.recipe)
            self.store.put(video.content, rows, video.damage)
            yield Encoded(entry, video.content, rows)

    def _ahead(self, entries: Sequence[ClipEntry]) -> Iterator[tuple[ClipEntry, _Video]]:
        """Reads a few videos ahead of those that are asked for."""
        reading: deque[tuple[ClipEntry, Future[_Video]]] = deque()
        with ThreadPoolExecutor(self.threads) as pool:
            try:
                for entry in entries:
                    reading.append((entry, pool.submit(self._read, entry.path)))
                    if len(reading) > 2 * self.threads:
                        first, future = reading.popleft()
                        yield first, future.result()
                while reading:
                    first, future = reading.popleft()
                    yield first, future.result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _read(self, path: Path) -> _Video:
        """Reads a video, unless its rows are kept."""
        try:
            content = content_of(path)
            kept = self.store.get(content)
            if kept is not None:
                return _Video(content, found=kept.rows)
            sampling, framing = self.recipe.sampling, self.recipe.framing
            read = read_moments(
                path,
                rate=sampling.rate,
                most=sampling.most,
                spread=sampling.spread,
                sound=sampling.sound,
                motion=sampling.motion,
                window=self.recipe.window,
                resize=framing.resize,
                crop=framing.cut,
                resize_with=framing.resize_with,
                resample=framing.resample,
                square_pixels=framing.square_pixels,
            )
            beside = {MOVES: read.motion, SOUND: read.audio}
            found = {name: rows for name, rows in beside.items() if rows is not None}
            return _Video(content, frames=read.frames, beside=found, damage=read.damage)
        except SampleError as error:
            return _Video("", found=error)


def content_of(path: Path) -> str:
    """Returns what a video's rows are kept by: the SHA-256 of the file.

    Raises:
        SampleError: it cannot be read.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise SampleError("is no file", path=path)
    try:
        return content_sha256(path)
    except OSError as error:
        raise SampleError(f"cannot be read: {error.strerror}", path=path) from None


@dataclass
class _Video:
    """A video on its way.

    Attributes:
        content: what its rows are kept by.
        frames: uint8 [n, window, 3, H, W] that wait; None: none do.
        beside: float32 [n, D] of the modalities that the encoder does not give.
        encoded: what has come of the frames so far, by batch and modality.
        found: its rows, or why there are none; None: not yet.
        damage: what is known to be missing of it; None: nothing.
    """

    content: str
    frames: UInt8Array | None = None
    beside: dict[str, np.ndarray] = field(default_factory=dict)
    encoded: list[tuple[Tensor, ...]] = field(default_factory=list)
    found: Rows | SampleError | None = None
    damage: str | None = None

    @property
    def encoded_all(self) -> bool:
        """All of its frames are encoded."""
        return self.frames is not None and not len(self.frames)

    def joined(self, recipe: Recipe) -> Rows:
        """Returns its rows, float16 [n, D] by modality."""
        seen = [name for name in recipe.dims if name not in self.beside]
        rows = {
            name: torch.cat(parts).to(torch.float16).numpy()
            for name, parts in zip(seen, zip(*self.encoded, strict=True), strict=True)
        }
        return rows | {name: found.astype(np.float16) for name, found in self.beside.items()}


class _Batcher:
    """Fills batches with the frames of one video after another."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._videos: deque[_Video] = deque()
        self._count = 0  # frames that wait

    def add(self, video: _Video) -> None:
        """Takes a video's frames, and encodes as many full batches as there are."""
        assert video.frames is not None
        self._videos.append(video)
        self._count += len(video.frames)
        while self._count >= self._encoder.batch:
            self._encode(self._encoder.batch)

    def finish(self) -> None:
        """Encodes what is left, in a batch that is padded."""
        if self._count:
            self._encode(self._count)

    def _encode(self, count: int) -> None:
        parts: list[tuple[_Video, int]] = []
        frames: list[UInt8Array] = []
        left = count
        while left:
            video = self._videos[0]
            assert video.frames is not None
            taken = video.frames[:left]
            video.frames = video.frames[len(taken) :]
            if not len(video.frames):
                self._videos.popleft()
            frames.append(taken)
            parts.append((video, len(taken)))
            left -= len(taken)
        missing = self._encoder.batch - count
        if missing:
            frames.append(np.zeros((missing, *frames[0].shape[1:]), dtype=np.uint8))
        encoded = self._encoder(torch.from_numpy(np.concatenate(frames)))
        self._count -= count
        start = 0
        for video, size in parts:
            video.encoded.append(tuple(rows[start : start + size].cpu() for rows in encoded))
            start += size
