"""What the page shows and what a key does, without the web."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from videozoo.errors import VideozooError
from videozoo.labelling.label_file import UNCLEAR, LabelFile
from videozoo.labelling.label_order import (
    VideoToLabel,
    find_videos,
    folder_classes,
    helpful_order,
    score_videos,
)
from videozoo.labelling.shown_clips import ShownClip, ShownClips
from videozoo.text import class_name, counted, escaped, harmless

KEYS = "123456789abcdefghijklmopqrtvwxyz"  # of classes, in their order; n, s and u do other things
ENOUGH = 20
"""Labels that are worth a training."""
OUT = "labels.csv"
WEIGHTS = "checkpoints/LINEAR_best.safetensors"  # which a training on labels writes, mostly
_AHEAD = 3  # copies that are made before they are looked at
_LONGEST = 100  # letters of a class's name


class LabelSession:
    """One labelling of a folder: the videos in their order, and where it stands.

    Args:
        folder: that holds them.
        videos: in the order in which they are shown; a video's number is its place there.
        classes: their names, in the order of their keys; others that the csv has come behind them.
        file: where answers go.
        commands: what to type at the end: to train, and to go on.
        trained: on the labels that there are, so that they do not count for the next training.
        console: where the commands are printed as soon as they are worth their while.
    """

    def __init__(
        self,
        folder: Path,
        videos: Sequence[VideoToLabel],
        *,
        classes: Sequence[str],
        file: LabelFile,
        commands: Sequence[str],
        trained: bool,
        console: Console,
    ) -> None:
        self.folder, self._videos, self._file = folder, videos, file
        self._clips = ShownClips([video.path for video in videos])
        self._console = console
        self._numbers = {os.path.abspath(v.path): i for i, v in enumerate(videos)}
        others = [answer.label for answer in file.answers.values() if answer.label != UNCLEAR]
        self.classes = [*dict.fromkeys([*classes, *others])]
        self.commands = commands
        self._before = self.counts().total() if trained else 0
        self._told = self.is_enough

    def counts(self) -> Counter[str]:
        """Returns how many videos of the folder have each class."""
        labels = (self._file.label(video.path) for video in self._videos)
        return Counter(label for label in labels if label)

    def summary(self) -> str:
        """Says in a line how far the labelling is."""
        found = self.counts()
        classes = ", ".join(f"{name} {found[name]}" for name in self.classes if found[name])
        return (
            f"{found.total()} of {counted(len(self._videos), 'video')} labelled, in"
            f" {self._file.path}{': ' if classes else ''}{classes}"
        )

    def tell(self) -> None:
        """Prints how far the labelling is, and what to type where that is worth a training."""
        commands = [f"  {command}" for command in self.commands] if self.is_enough else []
        lines = [self.summary(), *(["now, or after some more:"] if commands else []), *commands]
        self._console.print("\n".join(lines), highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Removes the copies that were looked at."""
        self._clips.close()

    @property
    def is_enough(self) -> bool:
        """Whether a training is worth its while: 20 labels or all, two classes of two videos."""
        found = self.counts()
        most = min(ENOUGH, len(self._videos))
        several = sum(number > 1 for number in found.values()) > 1
        return several and found.total() - self._before >= most

    def clip(self, number: int) -> Future[ShownClip]:
        """Returns the copy of a video to look at.

        Raises:
            VideozooError: there is no such video.
        """
        return self._clips.ask(self._checked(number))

    def next_after(self, number: int) -> int | None:
        """Returns the next video without an answer, from the first on behind the last; or None."""
        total = len(self._videos)
        around = ((number + 1 + i) % total for i in range(total))
        return next((i for i in around if self._file.label(self._videos[i].path) is None), None)

    def answer(self, number: int, label: str, *, new: bool = False) -> dict[str, Any]:
        """Saves a label and goes to the next video.

        Args:
            number: of the video.
            label: a class, or UNCLEAR.
            new: it was typed, so it may be a class that there is not yet.

        Returns:
            See `state`.

        Raises:
            VideozooError: there is no such video or class, or the csv cannot be written.
        """
        video = self._videos[self._checked(number)]
        name = self._typed(label) if new else label
        if name != UNCLEAR and name not in self.classes:
            raise VideozooError(f"'{name:.100}' is none of the classes; reload the page")
        self._file.give(video.path, name)
        if self.is_enough and not self._told:
            self._told = True
            self.tell()
        return self.state(self.next_after(number), f"{name or 'unclear'}: {self._name(number)}")

    def _typed(self, text: str) -> str:
        """Returns the class that somebody has typed, and makes it one where it is new.

        Raises:
            VideozooError: it can be no name.
        """
        name = class_name(text)
        if not name or len(name) > _LONGEST or "," in name:
            raise VideozooError(
                f"'{name:.100}': a class has a name of 1 to {_LONGEST} letters, without commas"
            )
        known = {one.lower(): one for one in self.classes}
        if name.lower() not in known:
            self.classes.append(name)
        return known.get(name.lower(), name)

    def undo(self) -> dict[str, Any]:
        """Takes the last answer back and goes to its video; see `state`.

        Raises:
            VideozooError: there is none, or the csv cannot be written.
        """
        number = self._numbers[self._file.undo()]
        return self.state(number, f"taken back: {self._name(number)}")

    def state(self, number: int | None, said: str = "") -> dict[str, Any]:
        """Returns all that the page shows.

        Args:
            number: of the video; None: all have an answer.
            said: what was done just now.

        Raises:
            VideozooError: there is no such video.
        """
        found = self.counts()
        unclear = [v for v in self._videos if self._file.label(v.path) == UNCLEAR]
        keys = KEYS.ljust(len(self.classes))
        return {
            "video": None if number is None else self._video(self._checked(number)),
            "total": len(self._videos),
            "labelled": found.total(),
            "unclear": len(unclear),
            "classes": [
                {"name": name, "key": key.strip(), "count": found[name]}
                for name, key in zip(self.classes, keys, strict=False)
            ],
            "undo": self._file.can_undo,
            "commands": list(map(harmless, self.commands)) if self.is_enough else [],
            "said": said,
        }

    def _video(self, number: int) -> dict[str, Any]:
        video = self._videos[number]
        ahead: int | None = number
        for _ in range(_AHEAD):
            if ahead is not None:
                self._clips.ask(ahead)
                ahead = self.next_after(ahead)
        best = video.best[0] if video.best and video.best[0].label in self.classes else None
        return {
            "number": number,
            "name": self._name(number),
            "given": video.given,
            "guess": best and {"label": best.label, "score": best.score},
            "contradicted": video.contradicted,
            "label": self._file.label(video.path),
        }

    def _name(self, number: int) -> str:
        return escaped(str(self._videos[number].path.relative_to(self.folder)))

    def _checked(self, number: int) -> int:
        if not 0 <= number < len(self._videos):
            raise VideozooError(f"there is no video {number}; reload the page")
        return number


def open_session(
    folder: Path,
    *,
    out: Path,
    weights: str | None = None,
    classes: Sequence[str] = (),
    console: Console,
) -> LabelSession:
    """Finds videos, scores them and puts them into order.

    Args:
        folder: of the videos.
        out: the csv of the labels.
        weights: what says whose label helps most; None: nothing, so the order is random.
        classes: none: the folder's, the weights' and the csv's.
        console: where to show progress.

    Raises:
        VideozooError: folder, csv, weights or classes have faults.
    """
    typed = [class_name(name) for name in classes]
    if not all(typed) or len({*typed}) < len(typed):
        raise VideozooError(f"--classes {','.join(classes)}: give each name once: cat,dog")
    paths = find_videos(folder)
    file = LabelFile(out, paths)
    videos = [VideoToLabel(path) for path in paths]
    names: list[str] = []
    if weights is not None:
        videos, names = score_videos(videos, weights, console)
    given = folder_classes(folder, paths)
    known = {*(typed or names or [answer.label for answer in file.answers.values()])} - {UNCLEAR}
    if typed or (known and not known & {*given}):  # folders that say something else: days, people
        given = [name if name in known else None for name in given]
    pairs = zip(videos, given, strict=True)
    order = helpful_order([replace(video, given=name) for video, name in pairs], names)
    found = typed or sorted({name for name in given if name is not None} | {*names})
    return LabelSession(
        folder,
        order,
        classes=found,
        file=file,
        commands=_commands(folder, out, typed),
        trained=weights is not None,
        console=console,
    )


def _commands(folder: Path, out: Path, classes: Sequence[str]) -> list[str]:
    """Returns what trains on the labels, and what goes on with the labelling then."""
    again = ["videozoo", "label", str(folder), "--weights", WEIGHTS]
    again += ["--classes", ",".join(classes)] if classes else []
    again += ["--out", str(out)] if out != Path(OUT) else []
    return [shlex.join(["videozoo", "train", str(out)]), shlex.join(again)]
