"""What a report tells of a test beyond its scores: pure functions of what was found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import comb, sqrt

from videozoo.reports.run_files import Cells, Predicted

BINS = 10
Bin = tuple[float, float, int, float, float]
"""Videos of similar scores: from, to, how many, mean score, share that is right."""


def doubtful_labels(predictions: Sequence[Predicted]) -> list[tuple[Predicted, float]]:
    """Finds videos whose label is probably wrong, the surest first, with the score to reach.

    The model names another class, with a score that is not below the mean score of the videos which
    that class's label and the model agree on.

    Source: C. Northcutt et al., "Confident Learning", JAIR 70, 2021, section 3.1; its thresholds
    average over all videos of a label, those here over the ones called so, which is stricter.
    """
    scores: dict[str, list[float]] = defaultdict(list)
    for one in predictions:
        if one.right:
            scores[one.called].append(one.score)
    usual = {name: sum(found) / len(found) for name, found in scores.items()}
    doubts = [(one, usual.get(one.called, 2.0)) for one in predictions if not one.right]
    return sorted((d for d in doubts if d[0].score >= d[1]), key=lambda doubt: -doubt[0].score)


def reliability(predictions: Sequence[Predicted]) -> list[Bin]:
    """Sorts videos into equal bins of their best score; empty bins are left out."""
    bins: dict[int, list[Predicted]] = defaultdict(list)
    for one in predictions:
        bins[min(BINS - 1, max(0, int(one.score * BINS)))].append(one)
    return [
        (k / BINS, (k + 1) / BINS, len(found), sum(one.score for one in found) / len(found),
         sum(one.right for one in found) / len(found))
        for k, found in sorted(bins.items())
    ]  # fmt: skip


def likely_range(share: float, count: int) -> tuple[float, float]:
    """Returns the 95 % interval of a share (E. Wilson: "Probable Inference", JASA 22, 1927)."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * sqrt(share * (1 - share) / count + (z / count / 2) ** 2)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def mixed_up(cells: Cells) -> Cells:
    """Returns the pairs of classes that are mixed up, the most frequent first."""
    return sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda c: (-c[2], c[:2]))


def matrix_of(cells: Cells, most: int) -> tuple[list[str], list[list[int]]]:
    """Returns the names of the classes that occur, and their matrix [K][K], a row a class.

    Of more than `most` classes, those that are mixed up most.
    """
    wrong = Counter(dict.fromkeys((name for cell in cells for name in cell[:2]), 0))
    for true, predicted, count in mixed_up(cells):
        wrong[true] += count
        wrong[predicted] += count
    names = sorted(name for name, _ in wrong.most_common(most))
    place = {name: k for k, name in enumerate(names)}
    rows = [[0] * len(names) for _ in names]
    for true, predicted, count in cells:
        if true in place and predicted in place:
            rows[place[true]][place[predicted]] = count
    return names, rows


Pairs = list[tuple[Predicted, Predicted]]


def compared(
    mine: Sequence[Predicted], others: Sequence[Predicted]
) -> tuple[int, Pairs, Pairs, float]:
    """Compares what two models call the same videos.

    Returns:
        How many videos both have; those that only this one names right, and only the other one; and
        how likely so large a difference is by chance (exact two-sided sign test, after McNemar).
    """
    theirs = {one.video: one for one in others}
    pairs = [(one, theirs[one.video]) for one in mine if one.video in theirs]
    better = [(a, b) for a, b in pairs if a.right and not b.right]
    worse = [(a, b) for a, b in pairs if b.right and not a.right]
    n, k = len(better) + len(worse), min(len(better), len(worse))
    return len(pairs), better, worse, min(1.0, 2 * sum(comb(n, i) for i in range(k + 1)) / 2**n)
