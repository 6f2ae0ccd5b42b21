"""What the page shows and what its keys do, without the web."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from videozoo.answers import Prediction
from videozoo.errors import VideozooError
from videozoo.labelling.label_file import UNCLEAR, LabelFile
from videozoo.labelling.label_order import (
    VideoToLabel,
    find_videos,
    folder_classes,
    helpful_order,
    score_videos,
)
from videozoo.labelling.shown_clips import ShownClips
from videozoo.text import class_name, counted, escaped, harmless

KEYS = "123456789abcdefghijklmopqrtvwxyz"  # of classes, in their order; n, s and u do other things
ENOUGH = 20  # labels that are worth a training
OUT = "labels.csv"
WEIGHTS = "checkpoints/LINEAR_best.safetensors"  # which a training on labels mostly writes
_AHEAD = 3  # copies that are made before they are looked at
_LONGEST = 100  # letters of a class's name


class LabelSession:
    """One labelling of a folder. A video's number is its place in the order.

    Args:
        folder: of the videos.
        out: the csv of the labels.
        weights: what says whose label helps most; None: nothing, so the order is random.
        classes: in the order of their keys, those that the csv has beside them behind; none: the
            folder's, the weights' and the csv's, sorted.
        console: where to print.

    Attributes:
        folder: of the videos.
        clips: copies to look at, by number.

    Raises:
        VideozooError: folder, csv, weights or classes have faults.
    """

    def __init__(
        self,
        folder: Path,
        *,
        out: Path,
        weights: str | None = None,
        classes: Sequence[str] = (),
        console: Console,
    ) -> None:
        typed = [class_name(name) for name in classes]
        if not all(typed) or len({*typed}) < len(typed):
            raise VideozooError(f"--classes {','.join(classes)}: give each name once: cat,dog")
        paths = find_videos(folder)
        self._file = LabelFile(out, {os.path.abspath(path) for path in paths})
        best: list[Sequence[Prediction]] = [()] * len(paths)
        names: list[str] = []
        if weights is not None:
            best, names = score_videos(paths, weights, console)
        given, csv = folder_classes(folder, paths), [*self._file.labels.values()]
        known = {*(typed or names or csv)} - {UNCLEAR}
        if typed or (known and not known & {*given}):  # folders may be days, or people
            given = [name if name in known else None for name in given]
        found = typed or sorted({*filter(None, given), *names, *csv})
        self.folder, self._console = folder, console
        self._classes = [name for name in dict.fromkeys([*found, *csv]) if name]
        self._videos = helpful_order(map(VideoToLabel, paths, given, best))
        self._keys = [os.path.abspath(video.path) for video in self._videos]
        self.clips = ShownClips([video.path for video in self._videos])
        more = ["--classes", ",".join(typed)] if typed else []
        more += ["--out", str(out)] if str(out) != OUT else []
        label = ["videozoo", "label", str(folder), "--weights", WEIGHTS, *more]
        self._commands = [shlex.join(["videozoo", "train", str(out)]), shlex.join(label)]
        self._before = self._counts().total() if weights is not None else 0  # trained on already
        self._enough = self._is_enough()

    def tell(self) -> None:
        """Prints how far the labelling is, and what to type where that is worth a training."""
        found, total = self._counts(), counted(len(self._keys), "video")
        lines = [f"{found.total()} of {total} labelled, in {self._file.path}"]
        lines += [f"  {name}: {found[name]}" for name in self._classes if found[name]]
        if self._enough:
            lines += ["to train, then to label what the model is least sure of:", *self._commands]
        self._console.print("\n".join(lines), highlight=False, soft_wrap=True)

    def _counts(self) -> Counter[str]:
        """Counts the videos of each class."""
        return Counter(filter(None, map(self._file.labels.get, self._keys)))

    def _is_enough(self) -> bool:
        """Whether a training is worth its while: 20 new labels or all, two classes of two."""
        found = self._counts()
        several = sum(number > 1 for number in found.values()) > 1
        return several and found.total() - self._before >= min(ENOUGH, len(self._keys))

    def checked(self, number: int) -> int:
        """Returns the number of a video; raises VideozooError where there is none of it."""
        if not 0 <= number < len(self._videos):
            raise VideozooError(f"there is no video {number}; reload the page")
        return number

    def next_after(self, number: int) -> int | None:
        """Returns the next video without an answer, from the first on behind the last; or None."""
        around = [*range(number + 1, len(self._keys)), *range(number + 1)]
        return next((i for i in around if self._keys[i] not in self._file.labels), None)

    def answer(self, number: int, label: str, *, new: bool = False) -> dict[str, Any]:
        """Saves a label and goes to the next video; see `state`.

        Args:
            number: of the video.
            label: a class, or UNCLEAR.
            new: it was typed, so it may be a class that there is not yet.

        Raises:
            VideozooError: there is no such video or class, or the csv cannot be written.
        """
        video, name = self._keys[self.checked(number)], self._typed(label) if new else label
        if not new and name not in (UNCLEAR, *self._classes):
            raise VideozooError(f"'{name:.100}' is none of the classes; reload the page")
        self._file.give(video, name)
        self._classes += [name] if name not in (UNCLEAR, *self._classes) else []
        if not self._enough and self._is_enough():
            self._enough = True
            self.tell()
        return self.state(self.next_after(number), f"{name or 'unclear'}: {self._name(number)}")

    def _typed(self, text: str) -> str:
        """Returns the class that was typed, as it is written already where it is known."""
        name = class_name(text)
        if not name or len(name) > _LONGEST or "," in name:
            told = f"a class has a name of 1 to {_LONGEST} letters, without commas"
            raise VideozooError(f"'{name:.100}': {told}")
        return next((one for one in self._classes if one.lower() == name.lower()), name)

    def undo(self) -> dict[str, Any]:
        """Takes the newest answer back and goes to its video; see `state`."""
        number = self._keys.index(self._file.undo())
        return self.state(number, f"taken back: {self._name(number)}")

    def state(self, number: int | None, said: str = "") -> dict[str, Any]:
        """Returns all that the page shows.

        Args:
            number: of the video; None: all have an answer.
            said: what was done just now.

        Raises:
            VideozooError: there is no such video.
        """
        found, keys = self._counts(), [*KEYS, *[""] * len(self._classes)]
        return {
            "video": None if number is None else self._video(self.checked(number)),
            "total": len(self._videos),
            "labelled": found.total(),
            "unclear": sum(self._file.labels.get(key) == UNCLEAR for key in self._keys),
            "classes": [(n, k, found[n]) for n, k in zip(self._classes, keys, strict=False)],
            "undo": self._file.can_undo,
            "commands": [harmless(c) for c in self._commands if self._enough],
            "said": said,
        }

    def _video(self, number: int) -> dict[str, Any]:
        ahead: int | None = number
        for _ in range(_AHEAD):
            if ahead is not None:
                self.clips.ask(ahead)
                ahead = self.next_after(ahead)
        video = self._videos[number]
        guess = next(((p.label, p.score) for p in video.best[:1] if p.label in self._classes), None)
        about = {"given": video.given, "guess": guess, "doubtful": video.is_doubtful}
        label = self._file.labels.get(self._keys[number])
        return {"number": number, "name": self._name(number), "label": label, **about}

    def _name(self, number: int) -> str:
        return escaped(str(self._videos[number].path.relative_to(self.folder)))
