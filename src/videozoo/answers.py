"""What a video is given: its classes by falling score, and the answer that these make."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING

from videozoo.errors import VideozooError

if TYPE_CHECKING:
    from torch import Tensor

NONE_OF_THESE = "none of these"
MOST_SHOWN = 20  # results that a command prints


@dataclass(frozen=True)
class Prediction:
    """One class and its score, between 0 and 1. `label` is the index where no name is known."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Result:
    """What a video was given: its classes by falling score; or why it could not be read.

    Attributes:
        video: as the list calls it, or the id in its record.
        predictions: the best classes.
        unreadable: why it could not be read; None: it could.
        answer: the classes that it is said to have, best first; none of them: it is "none of
            these"; None: nothing says how high a score has to be.
        damage: what is known to be missing of it, though it could be read; None: nothing.
    """

    video: str
    predictions: list[Prediction]
    unreadable: str | None = None
    answer: list[Prediction] | None = None
    damage: str | None = None

    @property
    def rejected(self) -> bool:
        """Whether the answer is "none of these"."""
        return self.answer is not None and not self.answer

    def as_json(self, index: int) -> str:
        """Returns a line of JSON that `result_of` reads.

        Args:
            index: of the sample in its list.
        """
        predictions = [astuple(p) for p in self.predictions]
        answer = None if self.answer is None else [astuple(p) for p in self.answer]
        return json.dumps([index, self.video, predictions, self.unreadable, answer, self.damage])


def result_of(line: str) -> tuple[int, Result]:
    """Returns the sample's index and what it was given, from a line of `Result.as_json`."""
    index, video, predictions, unreadable, answer, note = json.loads(line)
    given = None if answer is None else [Prediction(*p) for p in answer]
    return index, Result(video, [Prediction(*p) for p in predictions], unreadable, given, note)


@dataclass(frozen=True)
class Evaluated:
    """What an evaluated video was given, beside what it is; classes are indices.

    Attributes:
        video: as the list calls it, or the id in its record.
        true: its classes.
        predicted: the classes that it is said to have, best first: the best one, or those whose
            scores reach their thresholds, where these are known.
        score: the best score.
        second: the class of the second-best score; None: there is one class.
        margin: the best score minus the second-best; None: there is one class.
    """

    video: str
    true: list[int]
    predicted: list[int]
    score: float
    second: int | None
    margin: float | None

    def as_json(self, index: int) -> str:
        """Returns a line of JSON that `evaluated_of` reads; `index` is the sample's in its list."""
        return json.dumps([index, *astuple(self)])


def evaluated_of(line: str) -> tuple[int, Evaluated]:
    """Returns the sample's index and what it was given, from a line of `Evaluated.as_json`."""
    index, *values = json.loads(line)
    return index, Evaluated(*values)


@dataclass
class Inferred:
    """What an infer has found: counts, and the first results.

    Attributes:
        listed: samples in the list.
        rejected: those whose answer is "none of these".
        shown: results of the first samples that could be read.
        unreadable: name and reason of those that could not.
        damaged: name and reason of those that could in part.
    """

    listed: int = 0
    rejected: int = 0
    shown: list[Result] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)

    def add(self, result: Result) -> None:
        """Counts a result."""
        self.listed += 1
        self.rejected += result.rejected
        if result.damage is not None:
            self.damaged.append((result.video, result.damage))
        if result.unreadable is not None:
            self.unreadable.append((result.video, result.unreadable))
        elif len(self.shown) < MOST_SHOWN:
            self.shown.append(result)

    @property
    def predicted(self) -> int:
        """Samples that could be read."""
        return self.listed - len(self.unreadable)


def counted_results(results: Iterable[Result]) -> Inferred:
    """Returns the counts of results."""
    found = Inferred()
    for result in results:
        found.add(result)
    return found


def check_reject(reject: float | None) -> None:
    """Checks a score to reject below.

    Raises:
        VideozooError: it is none.
    """
    if reject is not None and not 0 <= reject <= 1:
        raise VideozooError(f"reject {reject:g}: is no score; scores lie between 0 and 1")


def answered_classes(
    scores: Tensor, *, multi_label: bool, thresholds: Tensor | None, reject: float | None
) -> list[int] | None:
    """Returns the classes that a video is said to have, best first.

    A video that may have many has those whose scores reach their thresholds, or `reject` where no
    thresholds are known. None are named where the best score is below `reject`.

    Args:
        scores: calibrated, 0 to 1, [K].
        multi_label: a video may have many classes.
        thresholds: float [K], of a calibration; None: not known.
        reject: the score below which nothing is named; None: no such score.

    Returns:
        None where neither thresholds nor `reject` say how high a score has to be.
    """
    if not multi_label:
        best = int(scores.argmax())
        return None if reject is None else [best] if float(scores[best]) >= reject else []
    needed = reject if thresholds is None else thresholds.to(scores)  # [K]
    if needed is None:
        return None
    if reject is not None and float(scores.max()) < reject:
        return []
    enough = scores >= needed  # [K]
    ranked = scores.argsort(descending=True, stable=True)  # [K]
    chosen: list[int] = ranked[enough[ranked]].tolist()
    return chosen
