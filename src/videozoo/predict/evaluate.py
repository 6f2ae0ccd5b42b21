"""How good a classifier is on labelled samples."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from math import isnan

import torch
import torch.distributed as dist
from torch import Tensor

from videozoo.config.keys import Settings
from videozoo.data.batches import Batch, FeatureBatch, Unreadable
from videozoo.data.loader import SampleSource
from videozoo.errors import VideozooError
from videozoo.metrics import ClipMetrics, MultiLabelMetrics, YouTube8MMetrics
from videozoo.metrics.losses import clip_loss, feature_loss
from videozoo.predict.inputs import Classifier
from videozoo.predict.scoring import Report, Say, score_batches
from videozoo.processes import process_place

VideoMetrics = YouTube8MMetrics | ClipMetrics | MultiLabelMetrics


@dataclass
class Evaluation:
    """What a test found.

    Attributes:
        metrics: hit_at_1, perr, gap, map, loss (features) or top1, top5, macro_f1, loss (clips)
            or map, hit_at_1, loss (clips of many classes).
        listed: samples in the list.
        evaluated: samples that the metrics are over.
        unreadable: samples that could not be read, with reasons.
        unlabelled: samples read whose record names no class; they are not evaluated.
        seconds: wall time of the whole loop, reading included.
        confusion: int64 [K, K] of clips, row: class, column: prediction; None for features and
            clips of many classes.
        average_precision: of each class [K], for clips of many classes; None: no video has it.
    """

    metrics: dict[str, float]
    listed: int
    evaluated: int
    unreadable: list[Unreadable] = field(default_factory=list)
    unlabelled: int = 0
    seconds: float = 0.0
    confusion: Tensor | None = None
    average_precision: list[float | None] | None = None


def video_losses(batch: Batch, logits: Tensor) -> Tensor:
    """Returns the loss of each video, float32 [B]; what an unlabelled video gives means nothing."""
    labels = batch.labels.to(logits.device)
    if labels.ndim == 2:  # a column a class
        return feature_loss(logits, labels)
    return clip_loss(logits, labels.clamp(min=0))


def metric_of(settings: Settings) -> VideoMetrics:
    """Returns what measures the classifiers of these settings, with nothing taken in yet."""
    if settings.family == "features":
        return YouTube8MMetrics(num_classes=settings.num_classes, top_k=settings.topk)
    if settings.multi_label:
        return MultiLabelMetrics(num_classes=settings.num_classes)
    return ClipMetrics(num_classes=settings.num_classes)


def monitored(settings: Settings) -> str:
    """Returns the metric whose highest value is best."""
    if settings.family == "features":
        return "gap"
    return "map" if settings.multi_label else "top1"


@dataclass
class _Tally:
    """What one process has seen of a test."""

    unreadable: list[Unreadable] = field(default_factory=list)
    unlabelled: int = 0
    evaluated: int = 0
    loss: float = 0.0
    fault: str | None = None

    @classmethod
    def of_all(cls, mine: _Tally) -> _Tally:
        """Returns the sum over all processes.

        Raises:
            VideozooError: the data of one of them show that the config is wrong.
        """
        _, world = process_place()
        shares: list[_Tally] = [mine] * world
        if world > 1:
            dist.all_gather_object(shares, mine)
        fault = next((share.fault for share in shares if share.fault is not None), None)
        if fault is not None:
            raise VideozooError(fault)
        return cls(
            unreadable=sorted((u for s in shares for u in s.unreadable), key=lambda u: u.index),
            unlabelled=sum(share.unlabelled for share in shares),
            evaluated=sum(share.evaluated for share in shares),
            loss=sum(share.loss for share in shares),
        )


def evaluate(
    classifier: Classifier,
    source: SampleSource,
    *,
    settings: Settings,
    device: torch.device,
    report: Report | None = None,
    say: Say = print,
) -> Evaluation:
    """Tests a classifier on labelled samples, over all processes.

    Args:
        classifier: on `device`.
        source: the samples.
        settings: of the mode: batch size, precision, topk, ...
        device: where the model is.
        report: told of the progress.
        say: prints a line.

    Raises:
        VideozooError: no sample could be evaluated, or the data show that the config is wrong.
    """
    start = time.perf_counter()
    metric = metric_of(settings).to(device)
    mine = _Tally()
    try:
        for batch, logits in score_batches(
            classifier, source, settings=settings, device=device, report=report, say=say
        ):
            _take_in(batch, logits, classifier, metric, mine)
    except VideozooError as error:
        mine.fault = str(error)  # raised in every process below: the others wait there
    tally = _Tally.of_all(mine)
    if tally.evaluated == 0:
        first = f"; the first: {tally.unreadable[0].reason}" if tally.unreadable else ""
        raise VideozooError(
            f"none of the {len(source)} samples could be evaluated: {len(tally.unreadable)}"
            f" unreadable, {tally.unlabelled} without a label{first}"
        )
    found = metric.compute()
    precisions = found.pop("average_precision", None)
    metrics = {key: float(value) for key, value in found.items()}
    return Evaluation(
        metrics={**metrics, "loss": tally.loss / tally.evaluated},
        listed=len(source),
        evaluated=tally.evaluated,
        unreadable=tally.unreadable,
        unlabelled=tally.unlabelled,
        seconds=time.perf_counter() - start,
        confusion=_confusion(metric) if isinstance(metric, ClipMetrics) else None,
        average_precision=None if precisions is None else _known(precisions),
    )


def _known(values: Tensor) -> list[float | None]:
    return [None if isnan(value) else value for value in values.reshape(-1).tolist()]


def _take_in(
    batch: Batch,
    logits: Tensor,
    classifier: Classifier,
    metric: VideoMetrics,
    tally: _Tally,
) -> None:
    """Adds a batch's real and labelled videos to the metric, and all to the tally."""
    tally.unreadable += batch.unreadable
    real = batch.weights > 0
    known = _names_classes(batch)
    keep = (real & known).to(logits.device)
    tally.unlabelled += int((real & ~known).sum())
    if keep.any():
        labels = batch.labels.to(logits.device)[keep]
        metric.update(classifier.scores(logits[keep]), labels)
        tally.evaluated += int(keep.sum())
        tally.loss += float(video_losses(batch, logits)[keep].sum(dtype=torch.float64))


def _names_classes(batch: Batch) -> Tensor:
    """Returns whose classes are known, bool [B]."""
    if isinstance(batch, FeatureBatch):
        return batch.labelled
    return batch.labels >= 0 if batch.labels.ndim == 1 else batch.labels.any(dim=1)


def _confusion(metric: ClipMetrics) -> Tensor:
    """Returns the confusion matrix over all processes; compute() leaves each with its own."""
    confusion = metric.confusion.clone()
    if process_place()[1] > 1:
        dist.all_reduce(confusion)
    return confusion.cpu()
