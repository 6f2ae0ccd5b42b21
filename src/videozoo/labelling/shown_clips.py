"""Copies of videos that every browser plays, made a little before they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from videozoo.distributed import usable_cores
from videozoo.errors import SampleError
from videozoo.video.stream import VideoStream
from videozoo.video.write import Encoding, write_clip

MOST_SECONDS = 30.0
_KEPT = 40  # copies: who looks back sees them at once
_ENCODING = Encoding(short_side=480, gop=48, crf=23, preset="veryfast")


class ShownClips:
    """H.264 copies in a temporary folder: HEVC, MPEG-2 or AVI is shown as any other file is.

    Args:
        videos: those that may be asked for, by number.
    """

    def __init__(self, videos: Sequence[Path]) -> None:
        self._videos = videos
        self._folder = TemporaryDirectory(prefix="videozoo-label-", ignore_cleanup_errors=True)
        self._pool = ThreadPoolExecutor(usable_cores())
        self._asked: dict[int, Future[tuple[Path | None, str]]] = {}

    def ask(self, number: int) -> Future[tuple[Path | None, str]]:
        """Returns the copy of a video, and what is not all of it; or None, and why not."""
        found = self._asked.pop(number, None) or self._pool.submit(self._made, number)
        self._asked[number] = found  # the newest stand last
        if len(self._asked) > _KEPT:
            old = next(iter(self._asked))
            self._asked.pop(old).cancel()
            self._target(old).unlink(missing_ok=True)
        return found

    def _target(self, number: int) -> Path:
        return Path(self._folder.name) / f"{number}.mp4"

    def _made(self, number: int) -> tuple[Path | None, str]:
        video, target = self._videos[number], self._target(number)
        try:
            with VideoStream(video) as stream:
                seconds = stream.duration or 0.0
            end = MOST_SECONDS if seconds > MOST_SECONDS else None
            written = write_clip(video, target, end=end, encoding=_ENCODING)
        except SampleError as error:
            return None, f"it cannot be read: {error.reason.removeprefix(f'{video}: ')}"
        part = f"the first {MOST_SECONDS:.0f} s of {seconds:.0f} s" if end else ""
        return target, part or str(written.damage or "")

    def close(self) -> None:
        """Removes all copies; one that is being made is finished first."""
        self._pool.shutdown(cancel_futures=True)
        self._folder.cleanup()
