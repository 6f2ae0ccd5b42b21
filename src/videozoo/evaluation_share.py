"""What one process sees of a test."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from videozoo.answers import Evaluated, answered_classes, evaluated_of
from videozoo.classifier import Classifier
from videozoo.data.batch import Batch
from videozoo.data.sample import Damaged, Unreadable
from videozoo.families import Family
from videozoo.scoring import check_scores

if TYPE_CHECKING:
    from torchmetrics import Metric


class Share:
    """What one process has seen of a test: the metrics and the counts.

    Args:
        family: of the settings.
        device: where the metrics are.
        videos: where each class is to be measured too: most that all processes will see; else None.
        thresholds: float [K], the scores from which classes are named; None: not known.

    Attributes:
        metrics: the family's, and that of each class where there is one.
        lines: what each video was given, as Evaluated.as_json has it, where that is asked for.
    """

    def __init__(
        self,
        family: Family,
        device: torch.device,
        *,
        videos: int | None = None,
        thresholds: Tensor | None = None,
    ) -> None:
        self.family = family
        of_classes = (
            None if videos is None else family.class_metric(videos=videos, thresholds=thresholds)
        )
        found: list[Metric | None] = [family.metric(), of_classes]
        self.metrics = [metric.to(device) for metric in found if metric is not None]
        self.unreadable: list[Unreadable] = []
        self.damaged: list[Damaged] = []
        self.losses: list[float] = []  # of each batch
        self.lines: list[str] = []
        self.evaluated = self.unlabelled = 0
        self.seconds = 0.0

    def take_in(self, batch: Batch, logits: Tensor, classifier: Classifier, *, lines: bool) -> None:
        """Adds a batch's real and labelled videos to the metrics, and all to the counts.

        Args:
            batch: of a list, so that it knows its samples' indices.
            logits: of its videos, float [B, K].
            classifier: that gave them.
            lines: keep what each video was given.
        """
        self.unreadable += batch.unreadable
        self.damaged += batch.damaged
        real = batch.weights > 0
        keep = (real & batch.labelled).to(logits.device)
        self.unlabelled += int((real & ~batch.labelled).sum())
        if keep.any():
            labels, kept = batch.labels.to(logits.device)[keep], logits[keep]
            scores = classifier.scores(kept)
            check_scores(scores, classifier)
            for metric in self.metrics:
                metric.update(scores, labels)
            self.evaluated += int(keep.sum())
            self.losses.append(float(self.family.loss(kept, labels).sum(dtype=torch.float64)))
            if lines:
                evaluated = evaluated_videos(_names(batch, keep.cpu()), scores, labels, classifier)
                self.lines += [one.as_json(index) for index, one in evaluated]

    def counts(self) -> dict[str, Any]:
        """Returns all but the metrics and lines."""
        return {
            "unreadable": [(u.index, u.video, u.reason) for u in self.unreadable],
            "damaged": [(d.index, d.video, d.reason) for d in self.damaged],
            "losses": self.losses,
            "evaluated": self.evaluated,
            "unlabelled": self.unlabelled,
            "seconds": self.seconds,
        }

    def states(self) -> list[dict[str, Any]]:
        """Returns what the metrics have taken in."""
        return [metric.metric_state for metric in self.metrics]

    def part(self) -> bytes:
        """Returns all of it, for a part."""
        file = io.BytesIO()
        whole = {"counts": self.counts(), "metrics": self.states(), "lines": self.lines}
        torch.save(whole, file)
        return file.getvalue()

    def add_part(self, path: Path, device: torch.device) -> None:
        """Adds what a part holds, but for its lines: `evaluated_in` reads those."""
        kept = torch.load(path, map_location=device, weights_only=True)
        self.add(kept["counts"], kept["metrics"])

    def add(self, counts: dict[str, Any], states: list[dict[str, Any]] | None = None) -> None:
        """Adds what another share has seen."""
        self.unreadable += [Unreadable(*one) for one in counts["unreadable"]]
        self.damaged += [Damaged(*one) for one in counts["damaged"]]
        self.losses += counts["losses"]
        self.evaluated += counts["evaluated"]
        self.unlabelled += counts["unlabelled"]
        self.seconds += counts["seconds"]
        for metric, state in zip(self.metrics, states or (), strict=states is not None):
            for name, value in state.items():  # sums, and lists that are joined: no others
                setattr(metric, name, getattr(metric, name) + value)
            metric._update_count += 1  # else torchmetrics takes it for empty


def evaluated_in(part: Path) -> Iterator[tuple[int, Evaluated]]:
    """Yields what each video of a part was given, with its index in the list."""
    kept = torch.load(part, map_location="cpu", weights_only=True)
    yield from map(evaluated_of, kept["lines"])


def evaluated_videos(
    names: list[tuple[int, str]], scores: Tensor, labels: Tensor, classifier: Classifier
) -> Iterator[tuple[int, Evaluated]]:
    """Yields what each video was given, with its index in the list.

    Args:
        names: index and name of the videos, B of them.
        scores: [B, K], 0 to 1.
        labels: int64 [B], the class of each; or bool [B, K].
        classifier: that gave the scores.
    """
    from videozoo.metrics.youtube8m import best_classes  # brings torchmetrics

    scores, labels = scores.cpu(), labels.cpu()
    values, classes = (t.tolist() for t in best_classes(scores, min(2, scores.shape[1])))
    for row, (index, name) in enumerate(names):
        own = labels[row]
        true = [int(own)] if own.ndim == 0 else own.nonzero()[:, 0].tolist()
        answer = answered_classes(
            scores[row],
            multi_label=classifier.multi_label,
            thresholds=classifier.calibration.thresholds,
            reject=None,
        )
        (best, second), (score, lower) = ([*two, None][:2] for two in (classes[row], values[row]))
        margin = None if lower is None else score - lower
        predicted = [best] if answer is None else answer
        yield index, Evaluated(name, true, predicted, score, second, margin)


def _names(batch: Batch, keep: Tensor) -> list[tuple[int, str]]:
    """Returns index and name of the videos of a batch that are kept: bool [B]."""
    assert batch.micro_batch is not None
    failed = {one.index for one in batch.unreadable}
    read = (index for index in batch.micro_batch.indices if index not in failed)
    named = zip(read, batch.videos, keep.tolist(), strict=False)  # a placeholder has no index
    return [(index, video) for index, video, kept in named if kept]
