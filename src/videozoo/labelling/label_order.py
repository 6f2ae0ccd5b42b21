"""Which videos are to be labelled, what is known of each, and whose label helps most."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
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
"""The score from which a class other than the given one says that the given one may be wrong."""


@dataclass(frozen=True)
class VideoToLabel:
    """A video, and what is known of it before a person has seen it.

    Attributes:
        path: the file.
        given: the class that its folder says; None: folders say nothing.
        best: the two best classes of the weights; none: there are no weights.
        fault: why the weights could not score it; None: they could.
    """

    path: Path
    given: str | None = None
    best: tuple[Prediction, ...] = ()
    fault: str | None = None

    @property
    def contradicted(self) -> bool:
        """Whether the weights are sure of another class than the given one."""
        best = self.best[0] if self.best else None
        differs = best is not None and self.given not in (None, best.label)
        return differs and best is not None and best.score >= SURE

    @property
    def margin(self) -> float:
        """How much the best score is above the second best; small: the weights are not sure."""
        scores = [prediction.score for prediction in self.best]
        return scores[0] - sum(scores[1:2]) if scores else 0.0


def find_videos(folder: Path) -> list[Path]:
    """Returns the videos of a folder and its sub-folders, sorted.

    Raises:
        VideozooError: there is no such folder, or no video in it.
    """
    if not folder.is_dir():
        missing = why_missing(str(folder)) or "no such folder"
        raise VideozooError(f"{folder}: {missing}; give a folder of videos")
    content = look_through(folder)
    videos = [clip for clip in content.clips if clip.suffix.lower() not in PICKLE_SUFFIXES]
    if not videos:
        raise VideozooError(f"{folder}: {content.why_none()}")
    return videos


def folder_classes(folder: Path, videos: Sequence[Path]) -> list[str | None]:
    """Returns the class that the sub-folder of each video says: below train/ and val/, the next.

    Sub-folders are classes where each video lies in one and there are two at the least.
    """
    try:
        sides = {*tell_sides(folder, videos).of.values()}
    except VideozooError:  # it is not clear what the folders are, so they say nothing
        return [None] * len(videos)
    found: list[str | None] = []
    for video in videos:
        above = video.relative_to(folder).parts[:-1]
        inside = above[1:] if above and above[0] in sides else above
        found.append(class_name(inside[0]) if inside else None)
    return found if None not in found and len({*found}) > 1 else [None] * len(videos)


def score_videos(
    videos: Sequence[VideoToLabel], weights: str, console: Console
) -> tuple[list[VideoToLabel], list[str]]:
    """Scores videos with weights, as infer does.

    Args:
        videos: all of them.
        weights: a path or a name of the zoo.
        console: where to show progress.

    Returns:
        The videos with their predictions, and the classes of the weights.

    Raises:
        VideozooError: the weights cannot be used, or do not take videos.
    """
    named = Weights.named(weights)
    inference = open_inference(
        [str(video.path) for video in videos],
        named,
        open_experiment(None, None, weights=named),
        top_k=2,
        reject=None,
        save_dir=None,
        form="json",
        log_interval=10,
        console=console,
    )
    results = {result.video: result for result in inference.results()}
    predictor = inference.predictor
    names = [predictor.name(index) for index in range(predictor.settings.num_classes)]
    scored = []
    for video in videos:
        found = results[str(video.path)]
        scored.append(replace(video, best=(*found.predictions,), fault=found.unreadable))
    return scored, names


def helpful_order(videos: Sequence[VideoToLabel], known: Collection[str]) -> list[VideoToLabel]:
    """Puts those first whose label helps most.

    First those whose given class is contradicted, the surest contradiction first; then by margin,
    the least sure first; what cannot be read comes last. Without scores the order is random, and
    the same each time: neighbours of a folder are often alike.

    Args:
        videos: all of them.
        known: classes of the weights; another given class cannot be contradicted.
    """

    def rank(video: VideoToLabel) -> tuple[int, float, bytes]:
        random = hashlib.sha256(os.fsencode("/".join(video.path.parts[-2:]))).digest()
        if video.fault is not None:
            return 2, 0.0, random
        if video.contradicted and video.given in known:
            return 0, -video.best[0].score, random
        return 1, video.margin, random

    return sorted(videos, key=rank)
