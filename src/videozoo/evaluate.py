"""How good a classifier is on labelled samples."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
from videozoo.evaluation_share import Share
from videozoo.families import family_of
from videozoo.metrics.by_class import ClassFigures, class_figures, figures_by_class
from videozoo.parts import Parts
from videozoo.score_notes import class_notes, score_notes
from videozoo.scoring import Say, score_batches


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
        average_precision: of each class [K], None where no video has it; None: videos have one
            class each, and it was not asked for.
        class_names: one a class, where they are known.
        support: int64 [K], the evaluated videos of each class, where one may have many.
        right: int64 [K], those of them whose score of the class reaches its threshold; None: no
            thresholds are known, or it was not asked for.
        called: int64 [K], all videos whose score does.
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
    right: Tensor | None = None
    called: Tensor | None = None
    lost_classes: Counter[int] = field(default_factory=Counter)

    @property
    def classes(self) -> list[ClassFigures] | None:
        """Precision, recall, F1 and average precision of each class [K], as far as known."""
        if self.confusion is not None:
            return figures_by_class(self.confusion, self.average_precision)
        if self.support is None:
            return None
        return class_figures(self.support, self.right, self.called, self.average_precision)

    @property
    def class_count(self) -> int:
        """K, where it is known; else 0."""
        return len(self.videos_by_class or self.class_names or ())

    @property
    def videos_by_class(self) -> list[int] | None:
        """The evaluated videos of each class [K]; None: they are not known."""
        if self.confusion is not None:
            return [int(n) for n in self.confusion.sum(1)]
        return None if self.support is None else [int(n) for n in self.support]

    @property
    def notes(self) -> list[str]:
        """What is to be known before the scores are believed, a sentence each."""
        return self.notes_on(self.metrics)

    def notes_on(self, metrics: Mapping[str, float]) -> list[str]:
        """Returns the notes that some of the metrics need."""
        of_classes: list[str] = []
        if self.videos_by_class is not None:
            of_classes = class_notes(
                self.videos_by_class,
                self.lost_classes,
                self.name,
                zero_in_map="gap" in self.metrics,
            )
        return score_notes(
            metrics,
            evaluated=self.evaluated,
            classes=self.class_count,
            of_classes=of_classes,
        )

    def name(self, index: int) -> str:
        """Returns the name of a class, or its index where names are not known."""
        return str(index) if self.class_names is None else self.class_names[index]


def evaluate(
    classifier: Classifier,
    dataset: VideoDataset,
    *,
    settings: Settings,
    device: torch.device,
    report: Report | None = None,
    say: Say = print,
    parts: Parts | None = None,
    by_class: bool = False,
) -> Evaluation:
    """Tests a classifier on labelled samples, over all processes.

    Args:
        classifier: on `device`; it stays as it is.
        dataset: the samples.
        settings: of the mode: batch size, precision, topk, ...
        device: where the model is.
        report: told of the progress.
        say: prints a line.
        parts: keep what is done there, and what each video was given, and go on from it; None:
            nothing is kept.
        by_class: measure the average precision of each class too, and its figures at thresholds.

    Raises:
        VideozooError: no sample could be evaluated, or the data show that the config is wrong.
    """
    fault = None
    new_share = partial(
        Share,
        family_of(settings),
        videos=len(dataset) if by_class else None,
        thresholds=classifier.calibration.thresholds,
    )
    share = new_share(device)  # the first imports torchmetrics: no time of the test
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
        _take_in_all(share, new_share, classifier, logits, device, parts)
    except VideozooError as error:
        fault = str(error)  # raised in every process below: the others wait there
    faults = [one for one in gathered(fault) if one is not None]
    if faults:
        raise VideozooError(faults[0])
    total = Share(family_of(settings), torch.device("cpu"))
    for counts in gathered(share.counts()):
        total.add(counts)
    unreadable = sorted(total.unreadable, key=lambda u: u.index)
    shard = None if parts is None else parts.span.shard
    if total.evaluated == 0 and shard is None:
        if parts is not None:
            parts.discard()
        first = f"; the first: {unreadable[0].reason}" if unreadable else ""
        raise VideozooError(
            f"none of the {len(dataset)} samples could be evaluated: {len(unreadable)}"
            f" unreadable, {total.unlabelled} without a label{first}"
        )
    metrics: dict[str, float] = {}
    of_classes: dict[str, Any] = {}
    if shard is None:  # a shard's would say little
        metrics, of_classes = _figures(share)
        metrics["loss"] = fsum(total.losses) / total.evaluated
    return Evaluation(
        metrics=metrics,
        listed=len(dataset) if parts is None else len(parts.span.indices()),
        evaluated=total.evaluated,
        unreadable=unreadable,
        damaged=sorted(total.damaged, key=lambda one: one.index),
        unlabelled=total.unlabelled,
        seconds=time.perf_counter() - start + share.seconds,
        lost_classes=_classes_of(dataset, unreadable),
        **of_classes,
    )


def _take_in_all(
    share: Share,
    new_share: Callable[[torch.device], Share],
    classifier: Classifier,
    score: Callable[..., Iterator[tuple[Batch, Tensor]]],
    device: torch.device,
    parts: Parts | None,
) -> None:
    """Adds this process's samples to its share, those of finished parts among them."""
    left = None if parts is None else parts.left
    first = 0 if left is None else left.start
    for path in () if parts is None else parts.own:
        share.add_part(path, device)
    part, began = new_share(device), time.perf_counter()

    def finish(steps: int) -> None:
        nonlocal part, began
        if parts is not None:
            part.seconds = time.perf_counter() - began
            parts.add(part.part(), steps_done=steps)
        part.seconds = 0.0  # those of this run are counted already
        share.add(part.counts(), part.states())
        part, began = new_share(device), time.perf_counter()

    steps = first
    for batch, logits in score(steps=left):
        part.take_in(batch, logits, classifier, lines=parts is not None)
        if batch.micro_batch is not None and batch.micro_batch.last:
            steps = batch.micro_batch.step + 1
            if parts is not None and parts.is_due:
                finish(steps)
    if steps > first:
        finish(steps)


def _figures(share: Share) -> tuple[dict[str, float], dict[str, Any]]:
    """Returns the metrics by name, and what else an Evaluation says of classes, by attribute."""
    found: dict[str, Tensor] = {}
    for metric in share.metrics:
        found |= metric.compute()
    of_classes: dict[str, Any] = {key: found.pop(key, None) for key in ("right", "called")}
    own = getattr(share.metrics[0], "average_precision", None)
    precisions = found.pop("average_precision", own)
    of_classes["average_precision"] = None if precisions is None else _known(precisions)
    for key, state in (("confusion", "confusion"), ("support", "labels_per_class")):
        own = getattr(share.metrics[0], state, None)
        of_classes[key] = None if own is None else sum(gathered(own.cpu()))
    return {key: float(value) for key, value in found.items()}, of_classes


def _classes_of(dataset: VideoDataset, unreadable: list[Unreadable]) -> Counter[int]:
    """Counts the classes of samples that could not be read, as far as the list names them."""
    found: Counter[int] = Counter()
    for one in unreadable:
        with suppress(VideozooError):
            found.update(dataset.classes(one.index))
    return found


def _known(values: Tensor) -> list[float | None]:
    return [None if isnan(value) else value for value in values.reshape(-1).tolist()]
