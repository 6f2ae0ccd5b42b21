"""How good a classifier is on labelled samples."""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import fsum, isnan
from typing import Any

import torch
from torch import Tensor

from videozoo.classifier import Classifier
from videozoo.config.keys import Settings
from videozoo.data.batch import Batch
from videozoo.data.dataset import Report, VideoDataset
from videozoo.data.sample import Damaged, Unreadable
from videozoo.distributed import gathered
from videozoo.errors import VideozooError
from videozoo.families import Family, family_of
from videozoo.metrics.by_class import ClassFigures, figures_by_class
from videozoo.parts import Parts
from videozoo.score_notes import class_notes, score_notes
from videozoo.scoring import Say, check_scores, score_batches


@dataclass
class Evaluation:
    """What a test found.

    Attributes:
        metrics: top1, top5, macro_f1, ece, loss (one class a video); hit_at_1, perr, gap, map,
            loss (features of many) or map, hit_at_1, ece, loss (clips of many).
        listed: samples in the list.
        evaluated: samples that the metrics are over.
        unreadable: samples that could not be read, with reasons.
        damaged: samples read of which something is known to be missing, and what.
        unlabelled: samples read whose record names no class; they are not evaluated.
        seconds: wall time of the whole loop, reading included.
        confusion: int64 [K, K], row: class, column: prediction; None where a video may have many
            classes.
        average_precision: of each class [K], for clips of many classes; None: no video has it.
        class_names: one a class, where they are known.
        support: int64 [K], the evaluated videos of each class, of features of many classes.
        lost_classes: how many of the unreadable samples the list says to be of each class.
    """

    metrics: dict[str, float]
    listed: int
    evaluated: int
    unreadable: list[Unreadable] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    unlabelled: int = 0
    seconds: float = 0.0
    confusion: Tensor | None = None
    average_precision: list[float | None] | None = None
    class_names: list[str] | None = None
    support: Tensor | None = None
    lost_classes: Counter[int] = field(default_factory=Counter)

    @property
    def classes(self) -> list[ClassFigures] | None:
        """Precision, recall and F1 of each class [K]; None where a video may have many classes."""
        return None if self.confusion is None else figures_by_class(self.confusion)

    @property
    def class_count(self) -> int:
        """K, where it is known; else 0."""
        return len(self.videos_by_class or self.class_names or ())

    @property
    def videos_by_class(self) -> list[int] | None:
        """The evaluated videos of each class [K], 1 for some; None: they are not known."""
        if self.confusion is not None:
            return [int(n) for n in self.confusion.sum(1)]
        if self.support is not None:
            return [int(n) for n in self.support]
        if self.average_precision is not None:
            return [int(value is not None) for value in self.average_precision]
        return None

    @property
    def notes(self) -> list[str]:
        """What is to be known before the scores are believed, a sentence each."""
        of_classes: list[str] = []
        if self.videos_by_class is not None:
            of_classes = class_notes(
                self.videos_by_class,
                self.lost_classes,
                self.name,
                zero_in_map=self.support is not None,
            )
        return score_notes(
            self.metrics,
            evaluated=self.evaluated,
            classes=self.class_count,
            of_classes=of_classes,
        )

    def name(self, index: int) -> str:
        """Returns the name of a class, or its index where names are not known."""
        return str(index) if self.class_names is None else self.class_names[index]


class _Share:
    """What one process has seen of a test: the metric and the counts.

    Args:
        family: of the settings.
        device: where the metric is.
    """

    def __init__(self, family: Family, device: torch.device) -> None:
        self.family = family
        self.metric = family.metric().to(device)
        self.unreadable: list[Unreadable] = []
        self.damaged: list[Damaged] = []
        self.losses: list[float] = []  # of each batch
        self.evaluated = self.unlabelled = 0
        self.seconds = 0.0

    def take_in(self, batch: Batch, logits: Tensor, classifier: Classifier) -> None:
        """Adds a batch's real and labelled videos to the metric, and all to the counts."""
        self.unreadable += batch.unreadable
        self.damaged += batch.damaged
        real = batch.weights > 0
        keep = (real & batch.labelled).to(logits.device)
        self.unlabelled += int((real & ~batch.labelled).sum())
        if keep.any():
            labels, kept = batch.labels.to(logits.device)[keep], logits[keep]
            scores = classifier.scores(kept)
            check_scores(scores, classifier)
            self.metric.update(scores, labels)
            self.evaluated += int(keep.sum())
            self.losses.append(float(self.family.loss(kept, labels).sum(dtype=torch.float64)))

    def counts(self) -> dict[str, Any]:
        """Returns all but the metric."""
        return {
            "unreadable": [(u.index, u.video, u.reason) for u in self.unreadable],
            "damaged": [(d.index, d.video, d.reason) for d in self.damaged],
            "losses": self.losses,
            "evaluated": self.evaluated,
            "unlabelled": self.unlabelled,
            "seconds": self.seconds,
        }

    def part(self) -> bytes:
        """Returns all of it, for a part."""
        file = io.BytesIO()
        torch.save({"counts": self.counts(), "metric": self.metric.metric_state}, file)
        return file.getvalue()

    def add(self, counts: dict[str, Any], metric: dict[str, Any] | None = None) -> None:
        """Adds what another share has seen."""
        self.unreadable += [Unreadable(*one) for one in counts["unreadable"]]
        self.damaged += [Damaged(*one) for one in counts["damaged"]]
        self.losses += counts["losses"]
        self.evaluated += counts["evaluated"]
        self.unlabelled += counts["unlabelled"]
        self.seconds += counts["seconds"]
        for name, state in (metric or {}).items():  # sums, and lists that are joined: no others
            setattr(self.metric, name, getattr(self.metric, name) + state)
        if metric is not None:
            self.metric._update_count += 1  # else torchmetrics takes it for empty


def evaluate(
    classifier: Classifier,
    dataset: VideoDataset,
    *,
    settings: Settings,
    device: torch.device,
    report: Report | None = None,
    say: Say = print,
    parts: Parts | None = None,
) -> Evaluation:
    """Tests a classifier on labelled samples, over all processes.

    Args:
        classifier: on `device`; it stays as it is.
        dataset: the samples.
        settings: of the mode: batch size, precision, topk, ...
        device: where the model is.
        report: told of the progress.
        say: prints a line.
        parts: keep what is done there, and go on from it; None: nothing is kept.

    Raises:
        VideozooError: no sample could be evaluated, or the data show that the config is wrong.
    """
    family, fault = family_of(settings), None
    share = _Share(family, device)  # the first imports torchmetrics: no time of the test
    start = time.perf_counter()
    try:
        logits = partial(
            score_batches,
            classifier.for_inference(settings.precision),
            dataset,
            settings=settings,
            device=device,
            report=report,
            say=say,
        )
        _take_in_all(share, classifier, logits, device, parts)
    except VideozooError as error:
        fault = str(error)  # raised in every process below: the others wait there
    faults = [one for one in gathered(fault) if one is not None]
    if faults:
        raise VideozooError(faults[0])
    total = _Share(family, torch.device("cpu"))
    for counts in gathered(share.counts()):
        total.add(counts)
    unreadable = sorted(total.unreadable, key=lambda u: u.index)
    if total.evaluated == 0:
        if parts is not None:
            parts.discard()
        first = f"; the first: {unreadable[0].reason}" if unreadable else ""
        raise VideozooError(
            f"none of the {len(dataset)} samples could be evaluated: {len(unreadable)}"
            f" unreadable, {total.unlabelled} without a label{first}"
        )
    metric = share.metric
    found = metric.compute()
    precisions = found.pop("average_precision", None)
    confusion = getattr(metric, "confusion", None)
    support = getattr(metric, "labels_per_class", None)
    metrics = {key: float(value) for key, value in found.items()}
    return Evaluation(
        metrics={**metrics, "loss": fsum(total.losses) / total.evaluated},
        listed=len(dataset),
        evaluated=total.evaluated,
        unreadable=unreadable,
        damaged=sorted(total.damaged, key=lambda one: one.index),
        unlabelled=total.unlabelled,
        seconds=time.perf_counter() - start + share.seconds,
        confusion=None if confusion is None else sum(gathered(confusion.cpu())),
        support=None if support is None else sum(gathered(support.cpu())),
        average_precision=None if precisions is None else _known(precisions),
        lost_classes=_classes_of(dataset, unreadable),
    )


def _take_in_all(
    share: _Share,
    classifier: Classifier,
    score: Callable[..., Iterator[tuple[Batch, Tensor]]],
    device: torch.device,
    parts: Parts | None,
) -> None:
    """Adds this process's samples to its share, those of finished parts among them."""
    first = 0 if parts is None else parts.steps_done
    for path in () if parts is None else parts.own:
        share.add(**torch.load(path, map_location=device, weights_only=True))
    part, began = _Share(share.family, device), time.perf_counter()

    def finish(steps: int) -> None:
        nonlocal part, began
        if parts is not None:
            part.seconds = time.perf_counter() - began
            parts.add(part.part(), steps_done=steps)
        part.seconds = 0.0  # those of this run are counted already
        share.add(part.counts(), part.metric.metric_state)
        part, began = _Share(share.family, device), time.perf_counter()

    steps = first
    for batch, logits in score(first_step=first):
        part.take_in(batch, logits, classifier)
        if batch.micro_batch is not None and batch.micro_batch.last:
            steps = batch.micro_batch.step + 1
            if parts is not None and parts.is_due:
                finish(steps)
    if steps > first:
        finish(steps)


def _classes_of(dataset: VideoDataset, unreadable: list[Unreadable]) -> Counter[int]:
    """Counts the classes of samples that could not be read, as far as the list names them."""
    found: Counter[int] = Counter()
    for one in unreadable:
        with suppress(VideozooError):
            found.update(dataset.classes(one.index))
    return found


def _known(values: Tensor) -> list[float | None]:
    return [None if isnan(value) else value for value in values.reshape(-1).tolist()]
