"""What scores are called, and what is to be said of those that mean little, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan

METRIC_NAMES = {
    "hit_at_1": "Hit@1",
    "perr": "PERR",
    "gap": "GAP",
    "map": "mAP",
    "top1": "top-1",
    "top5": "top-5",
    "macro_f1": "macro F1",
    "ece": "ECE",
    "loss": "loss",
}
FEW = 20  # videos: one is 5 % of the score
_NAMED = 5  # classes of a sentence


def score_notes(
    metrics: Mapping[str, float], *, evaluated: int, classes: int, of_classes: list[str]
) -> list[str]:
    """Returns what is to be known before scores are believed, a sentence each.

    Args:
        metrics: by name, those that are shown; NaN: not defined.
        evaluated: videos that they are over.
        classes: K; 0: not known.
        of_classes: what is to be said of classes, see class_notes.
    """
    notes = []
    if classes == 1:
        notes.append("there is one class alone: every answer is right, whatever the weights")
    elif classes in range(2, 6) and "top5" in metrics:
        notes.append(f"top-5 means nothing: of {classes} classes every answer is among five")
    if evaluated < FEW:
        what = "1 video was" if evaluated == 1 else f"{evaluated} videos were"
        notes.append(f"only {what} evaluated: each is {1 / max(1, evaluated):.0%} of the score")
    notes += of_classes
    for name, value in metrics.items():
        if isnan(value):
            notes.append(f"{name} is not defined: no evaluated video has a class")
    return notes


def class_notes(
    evaluated: Sequence[int],
    lost: Mapping[int, int],
    name: Callable[[int], str],
    *,
    zero_in_map: bool,
) -> list[str]:
    """Returns what is to be said of classes without an evaluated video.

    Args:
        evaluated: videos of each class, [K].
        lost: by class, how many could not be read.
        name: gives a class's name.
        zero_in_map: such classes count as 0 in mAP.
    """
    if len(evaluated) == 1:
        return []
    empty = [index for index, number in enumerate(evaluated) if number == 0]

    def named(indices: Sequence[int]) -> str:
        names = ", ".join(map(name, indices[:_NAMED]))
        more = f" and {len(indices) - _NAMED} more" if len(indices) > _NAMED else ""
        many = f"{len(indices)} of {len(evaluated)} classes: "
        return ("class " if len(indices) == 1 else many) + names + more

    notes = []
    if gone := [index for index in empty if lost.get(index)]:
        number = sum(lost[index] for index in gone)
        notes.append(f"not one of the {number} videos of {named(gone)} could be read")
    if rest := [index for index in empty if not lost.get(index)]:
        means = "mAP counts them as 0" if zero_in_map else "no score tells of them"
        notes.append(f"no video of {named(rest)} was evaluated; {means}")
    return notes
