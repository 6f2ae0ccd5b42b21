"""Which videos are to be labelled, what is known of each, and whose label helps most."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from videozoo.answers import Prediction
from videozoo.data.clips.clip_files import PICKLE_SUFFIXES, look_through, why_missing
from videozoo.data.clips.side_names import tell_sides
from videozoo.errors import VideozooError
from videozoo.experiments import Weights, open_experiment
from videozoo.inference import open_inference
from videozoo.text import class_name

SURE = 0.8
"""The score from which another class than the given one says that the given one may be wrong."""


@dataclass(frozen=True)
class VideoToLabel:
    """A video, and what is known of it before a person has seen it.

    Attributes:
        path: the file.
        given: the class that its folder says; None: folders say nothing.
        best: the two best classes of the weights; none: it was not scored.
    """

    path: Path
    given: str | None
    best: Sequence[Prediction] = ()

    @property
    def is_doubtful(self) -> bool:
        """Whether the weights are sure of another class than the given one."""
        return any(p.score >= SURE and self.given not in (None, p.label) for p in self.best[:1])


def find_videos(folder: Path) -> list[Path]:
    """Returns the videos of a folder and its sub-folders, sorted.

    Raises:
        VideozooError: there is no such folder, or no video in it.
    """
    if not folder.is_dir():
        missing = why_missing(str(folder)) or "no such folder"
        missing = "is a file" if folder.exists() else missing
        raise VideozooError(f"{folder}: {missing}; give a folder of videos")
    content = look_through(folder)
    videos = [clip for clip in content.clips if clip.suffix.lower() not in PICKLE_SUFFIXES]
    if not videos:
        raise VideozooError(f"{folder}: {content.why_none()}")
    return videos


def folder_classes(folder: Path, videos: Sequence[Path]) -> list[str | None]:
    """Returns the class that the sub-folder of each video says; below train/ and val/, the next.

    Sub-folders are classes where each video lies in one and there are two at the least.
    """
    try:
        sides = {*tell_sides(folder, videos).of.values()}
    except VideozooError:  # it is not clear what the folders are, so they say nothing
        return [None] * len(videos)
    found: list[str | None] = []
    for video in videos:
        above = video.relative_to(folder).parts[:-1]
        above = above[1:] if above and above[0] in sides else above
        found.append(class_name(above[0]) if above else None)
    return found if None not in found and len({*found}) > 1 else [None] * len(videos)


def score_videos(
    videos: Sequence[Path], weights: str, console: Console
) -> tuple[list[Sequence[Prediction]], list[str]]:
    """Scores videos as infer does, and keeps the rows of an encoder as it does.

    Returns:
        The two best classes of each video, none where it cannot be read; and all class names.

    Raises:
        VideozooError: the weights cannot be used, or do not take videos.
    """
    named = Weights.named(weights)
    experiment = open_experiment(None, None, weights=named)
    paths = [str(video) for video in videos]
    inference = open_inference(
        paths, named, experiment, top_k=2, reject=None, save_dir=None, form="json", log_interval=10,
        console=console,
    )  # fmt: skip
    best = {result.video: result.predictions for result in inference.results()}
    predictor = inference.predictor
    names = [predictor.name(index) for index in range(predictor.settings.num_classes)]
    return [best[path] for path in paths], names


def helpful_order(videos: Iterable[VideoToLabel]) -> list[VideoToLabel]:
    """Puts those first whose label helps most.

    First those whose given class is contradicted, the surest first; then by how far the best score
    is above the second one, the least first, and the named classes take turns: neighbours in that
    order are often alike. What was not scored is last, in an order that is random and the same each
    time.
    """

    def rank(video: VideoToLabel) -> tuple[int, float, bytes]:
        random = hashlib.sha256(os.fsencode("/".join(video.path.parts[-2:]))).digest()
        scores = [prediction.score for prediction in video.best]
        if video.is_doubtful:
            return 0, -scores[0], random
        return 2 - bool(scores), sum(scores[:1]) - sum(scores[1:]), random

    turns: Counter[str] = Counter()
    placed = []
    for video in sorted(videos, key=rank):
        group = rank(video)[0]
        if group == 1:
            turns[video.best[0].label] += 1
        placed.append((group, turns[video.best[0].label] if group == 1 else 0, video))
    return [video for _, _, video in sorted(placed, key=lambda place: place[:2])]
