"""What `videozoo train FOLDER` does first: it encodes the videos, and says before how long."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from videozoo.data.clips.clip_list import ClipEntry
from videozoo.encoders.encoded_videos import EncodedVideos
from videozoo.encoders.find import open_encoder, recipe_of
from videozoo.encoders.recipe import Sampling
from videozoo.errors import SampleError
from videozoo.forecast import DRY_RUN, DryRunEndedError, spoken
from videozoo.inputs import prepare
from videozoo.training.unreadable import is_too_much, too_much_error
from videozoo.video.reader import VideoInfo, probe_video

ROWS, MOST_ROWS = 20, 60  # of a video
RATE = 10.0  # rows a second at most
PROBES = 20
TIMED = 8  # videos whose encoding tells how long all will take

Say = Callable[[str], None]


@dataclass
class FolderEncoder:
    """Encodes the videos of a folder, and says before how long that takes.

    Attributes:
        encoder: its name.
        device: where it computes.
        console: where to show progress.
        say: prints a line.
        keys: config keys that were typed, which go before what is chosen.
        videos: all of them, encoded; None: not yet.
    """

    encoder: str
    device: torch.device
    console: Console
    say: Say
    keys: Mapping[str, Any] = field(default_factory=dict)
    videos: EncodedVideos | None = None
    _places: dict[Path, int] = field(default_factory=dict)

    def __call__(self, entries: Sequence[ClipEntry]) -> list[np.ndarray | None]:
        """Encodes videos; returns float32 [n, D] of each, None where it cannot be read.

        Raises:
            VideozooError: there is no such encoder, or rows cannot be kept.
        """
        sampling = choose_sampling([entry.path for entry in entries], self.keys)
        recipe = recipe_of(open_encoder(self.encoder, self.device), sampling)
        videos = EncodedVideos(
            entries,
            recipe=recipe,
            feature_names=list(recipe.dims),
            num_classes=1 + max((n for e in entries for n in e.labels or ()), default=0),
            cached=self.keys.get("cache_rows", True),
        )
        self.say(
            f"{self.encoder} describes {sampling.most} frames of each video"
            f"{' and its sound' if sampling.sound else ''}"
        )
        if (seconds := self._time(videos)) >= 1 or DRY_RUN.get():
            self.say(f"about {spoken(seconds)} for {len(entries)} videos")
        if DRY_RUN.get():
            raise DryRunEndedError
        prepare(videos, self.device, self.console)
        self.videos = videos
        self._places = {entry.path: place for place, entry in enumerate(entries)}
        return [self._first_modality(index) for index in range(len(entries))]

    def check_readable(self, share: float) -> None:
        """Compares how many videos cannot be read with a share of all.

        Raises:
            VideozooError: they are more.
        """
        assert self.videos is not None, "the videos are encoded first"
        found = []
        for index in range(len(self.videos)):
            try:
                self.videos.stored(index)
            except SampleError as error:
                found.append((self.videos.name(index), str(error)))
        if is_too_much(len(found), len(self.videos), share):
            raise too_much_error(len(found), f"{len(self.videos)} videos", found, share)

    def part(self, entries: Sequence[ClipEntry]) -> EncodedVideos:
        """Returns some of the videos as a data set of their own."""
        assert self.videos is not None, "the videos are encoded first"
        return self.videos.subset([self._places[entry.path] for entry in entries], entries)

    def _time(self, videos: EncodedVideos) -> float:
        """Encodes a few videos; returns the seconds that all will take, 0 where nothing is known.

        Other videos each time: after a stop the first ones have their rows.
        """
        some = random.sample(range(len(videos)), min(2 * TIMED, len(videos)))
        seconds = new = 0.0
        for part in (some[:TIMED], some[TIMED:]):  # the first batch lays weights out
            few = videos.subset(part)
            start = time.perf_counter()
            few.prepare(self.device)
            if fresh := len(few) - few.kept_before:
                seconds, new = (time.perf_counter() - start) / fresh, new + fresh
        return seconds * new / max(len(some), 1) * len(videos)

    def _first_modality(self, index: int) -> np.ndarray | None:
        assert self.videos is not None
        name = next(iter(self.videos.recipe.dims))
        try:
            return self.videos.stored(index)[name].astype(np.float32)
        except SampleError:
            return None


def choose_sampling(paths: Sequence[Path], keys: Mapping[str, Any]) -> Sampling:
    """Chooses which moments of a data set's videos are described.

    They are ROWS a video, evenly spread over all of it; more, one a second, where videos are
    longer; fewer where they are so short that rows would be nearly the same.

    Args:
        paths: the videos; a few of them are looked into.
        keys: rows_per_second, max_rows, spread_rows, sound and motion where they were typed.
    """
    infos = probes(paths)
    seconds = [info.duration or (info.frames / (info.fps or 25.0)) for info in infos]
    middle = float(np.median(seconds)) if seconds else float(ROWS)
    most = int(np.clip(round(middle), ROWS, MOST_ROWS))
    return Sampling(
        keys.get("rows_per_second", RATE),
        keys.get("max_rows", most),
        keys.get("spread_rows", True),
        keys.get("sound", any(info.has_sound for info in infos)),
        keys.get("motion", True),
    )


def probes(paths: Sequence[Path]) -> list[VideoInfo]:
    """Looks into a few videos, evenly chosen; those that cannot be read are passed over."""
    infos = []
    for path in paths[:: max(1, len(paths) // PROBES)]:
        try:
            infos.append(probe_video(path))
        except SampleError:
            continue  # encoding or training names and counts it
    return infos
