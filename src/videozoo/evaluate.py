"""How good a classifier is on labelled samples."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING

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
from videozoo.predict import Say, score_batches

if TYPE_CHECKING:
    from torchmetrics import Metric


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

    @property
    def classes(self) -> list[ClassFigures] | None:
        """Precision, recall and F1 of each class [K]; None where a video may have many classes."""
        return None if self.confusion is None else figures_by_class(self.confusion)

    def name(self, index: int) -> str:
        """Returns the name of a class, or its index where names are not known."""
        return str(index) if self.class_names is None else self.class_names[index]


@dataclass
class _Tally:
    """What one process has seen of a test."""

    unreadable: list[Unreadable] = field(default_factory=list)
    damaged: list[Damaged] = field(default_factory=list)
    unlabelled: int = 0
    evaluated: int = 0
    loss: float = 0.0
    fault: str | None = None

    def of_all(self) -> _Tally:
        """Returns the sum over all processes.

        Raises:
            VideozooError: the data of one of them show that the config is wrong.
        """
        shares: list[_Tally] = gathered(self)
        fault = next((share.fault for share in shares if share.fault is not None), None)
        if fault is not None:
            raise VideozooError(fault)
        return _Tally(
            unreadable=sorted((u for s in shares for u in s.unreadable), key=lambda u: u.index),
            damaged=sorted((d for s in shares for d in s.damaged), key=lambda d: d.index),
            unlabelled=sum(share.unlabelled for share in shares),
            evaluated=sum(share.evaluated for share in shares),
            loss=sum(share.loss for share in shares),
        )


def evaluate(
    classifier: Classifier,
    dataset: VideoDataset,
    *,
    settings: Settings,
    device: torch.device,
    report: Report | None = None,
    say: Say = print,
) -> Evaluation:
    """Tests a classifier on labelled samples, over all processes.

    Args:
        classifier: on `device`; it stays as it is.
        dataset: the samples.
        settings: of the mode: batch size, precision, topk, ...
        device: where the model is.
        report: told of the progress.
        say: prints a line.

    Raises:
        VideozooError: no sample could be evaluated, or the data show that the config is wrong.
    """
    family = family_of(settings)
    metric = family.metric().to(device)  # the first imports torchmetrics: no time of the test
    start = time.perf_counter()
    mine = _Tally()
    scoring = classifier.for_inference(settings.precision)
    try:
        for batch, logits in score_batches(
            scoring, dataset, settings=settings, device=device, report=report, say=say
        ):
            _take_in(batch, logits, scoring, family, metric, mine)
    except VideozooError as error:
        mine.fault = str(error)  # raised in every process below: the others wait there
    tally = mine.of_all()
    if tally.evaluated == 0:
        first = f"; the first: {tally.unreadable[0].reason}" if tally.unreadable else ""
        raise VideozooError(
            f"none of the {len(dataset)} samples could be evaluated: {len(tally.unreadable)}"
            f" unreadable, {tally.unlabelled} without a label{first}"
        )
    found = metric.compute()
    precisions = found.pop("average_precision", None)
    confusion = getattr(metric, "confusion", None)
    metrics = {key: float(value) for key, value in found.items()}
    return Evaluation(
        metrics={**metrics, "loss": tally.loss / tally.evaluated},
        listed=len(dataset),
        evaluated=tally.evaluated,
        unreadable=tally.unreadable,
        damaged=tally.damaged,
        unlabelled=tally.unlabelled,
        seconds=time.perf_counter() - start,
        confusion=None if confusion is None else sum(gathered(confusion.cpu())),
        average_precision=None if precisions is None else _known(precisions),
    )


def _known(values: Tensor) -> list[float | None]:
    return [None if isnan(value) else value for value in values.reshape(-1).tolist()]


def _take_in(
    batch: Batch,
    logits: Tensor,
    classifier: Classifier,
    family: Family,
    metric: Metric,
    tally: _Tally,
) -> None:
    """Adds a batch's real and labelled videos to the metric, and all to the tally."""
    tally.unreadable += batch.unreadable
    tally.damaged += batch.damaged
    real = batch.weights > 0
    keep = (real & batch.labelled).to(logits.device)
    tally.unlabelled += int((real & ~batch.labelled).sum())
    if keep.any():
        labels, kept = batch.labels.to(logits.device)[keep], logits[keep]
        metric.update(classifier.scores(kept), labels)
        tally.evaluated += int(keep.sum())
        tally.loss += float(family.loss(kept, labels).sum(dtype=torch.float64))
