"""Runs a classifier over samples: the one loop behind validation, test, infer and the API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor

from videozoo.data.batches import Batch, FeatureBatch, Unreadable
from videozoo.data.loader import SampleSource, checked, make_loader
from videozoo.data.samplers import StepSampler
from videozoo.errors import VideozooError
from videozoo.metrics import ClipMetrics, YouTube8MMetrics
from videozoo.metrics.losses import clip_loss, feature_loss
from videozoo.models.folding import folded
from videozoo.predict.inputs import Classifier
from videozoo.processes import process_place
from videozoo.settings import Settings

Report = Callable[[int, int], None]
"""Told how many of how many samples are done."""
Say = Callable[[str], None]
"""Prints a line."""


@dataclass
class Evaluation:
    """What a test found.

    Attributes:
        metrics: hit_at_1, perr, gap, map, loss (features) or top1, top5, macro_f1, loss (clips).
        listed: samples in the list.
        evaluated: samples that the metrics are over.
        unreadable: samples that could not be read, with reasons.
        unlabelled: samples read whose record names no class; they are not evaluated.
        seconds: wall time of the whole loop, reading included.
        confusion: int64 [K, K] of clips, row: class, column: prediction; None for features.
    """

    metrics: dict[str, float]
    listed: int
    evaluated: int
    unreadable: list[Unreadable] = field(default_factory=list)
    unlabelled: int = 0
    seconds: float = 0.0
    confusion: Tensor | None = None


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Returns the context that computes in `precision`: '32' or 'bf16'."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def ready_to_score(classifier: Classifier, precision: str) -> Classifier:
    """Returns what computes a classifier's scores fastest: in test mode, batch norms folded.

    Args:
        classifier: its weights stay; where there is nothing to fold, it is itself returned.
        precision: '32', or 'bf16' to be run in `autocast`.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = folded(classifier.model, dtype=dtype)
    if model is classifier.model:
        return classifier.eval()
    ready = Classifier(inputs=classifier.inputs, model=model, multi_label=classifier.multi_label)
    return ready.eval()


def score_batches(
    classifier: Classifier,
    source: SampleSource,
    *,
    settings: Settings,
    device: torch.device,
    report: Report | None = None,
    say: Say = print,
) -> Iterator[tuple[Batch, Tensor]]:
    """Yields each batch of this process's share, with its logits.

    The model is in test mode while this runs. Out of memory halves the part of a batch that goes
    through the model at once, and says so.

    Yields:
        The batch (on the host) and its logits, float32 [B, K] on the device.
    """
    rank, world = process_place()
    chunk = settings.micro_batch or -(-settings.batch_size // world)
    sampler = StepSampler(
        len(source),
        batch_size=chunk * world,
        chunk_size=chunk,
        shuffle=False,
        rank=rank,
        world=world,
    )
    loader = make_loader(
        source,
        sampler,
        training=False,
        num_workers=settings.num_workers,
        pin_memory=device.type == "cuda",
    )
    was_training = classifier.training
    done, size = 0, chunk
    try:
        classifier.eval()
        ready = ready_to_score(classifier, settings.precision)
        for batch in map(checked, loader):
            parts: list[Tensor] = []
            start = 0
            while start < len(batch):
                part = batch.part(start, start + size)
                logits = _logits(ready, part, device, settings.precision)
                if logits is None:
                    size = _halved(size, say)
                    continue
                parts.append(logits)
                start += len(part)
            yield batch, torch.cat(parts)
            if report is not None and batch.chunk is not None and batch.chunk.last:
                done += batch.chunk.step_size
                report(done, len(source))
    finally:
        classifier.train(was_training)


def _logits(
    classifier: Classifier, batch: Batch, device: torch.device, precision: str
) -> Tensor | None:
    """Returns the logits of a batch; None where the memory is too small."""
    try:
        with torch.inference_mode(), autocast(device, precision):
            return classifier(batch.to(device)).float()  # type: ignore[no-any-return]
    except torch.OutOfMemoryError:
        return None


def _halved(size: int, say: Say) -> int:
    if size == 1:
        raise VideozooError("out of memory with a single video; use --use-gpu False")
    half = (size + 1) // 2
    say(f"out of memory: videos at once (micro_batch) from now on: {half}")
    return half


def video_losses(batch: Batch, logits: Tensor) -> Tensor:
    """Returns the loss of each video, float32 [B]; what an unlabelled video gives means nothing."""
    labels = batch.labels.to(logits.device)
    if isinstance(batch, FeatureBatch):
        return feature_loss(logits, labels)
    return clip_loss(logits, labels.clamp(min=0))


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
    metric: YouTube8MMetrics | ClipMetrics
    if settings.FEATURES:
        metric = YouTube8MMetrics(num_classes=settings.num_classes, top_k=settings.topk)
    else:
        metric = ClipMetrics(num_classes=settings.num_classes)
    metric = metric.to(device)
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
    metrics = {key: float(value) for key, value in metric.compute().items()}
    return Evaluation(
        metrics={**metrics, "loss": tally.loss / tally.evaluated},
        listed=len(source),
        evaluated=tally.evaluated,
        unreadable=tally.unreadable,
        unlabelled=tally.unlabelled,
        seconds=time.perf_counter() - start,
        confusion=_confusion(metric) if isinstance(metric, ClipMetrics) else None,
    )


def _take_in(
    batch: Batch,
    logits: Tensor,
    classifier: Classifier,
    metric: YouTube8MMetrics | ClipMetrics,
    tally: _Tally,
) -> None:
    """Adds a batch's real and labelled videos to the metric, and all to the tally."""
    tally.unreadable += batch.unreadable
    real = batch.weights > 0
    known = batch.labelled if isinstance(batch, FeatureBatch) else batch.labels >= 0
    keep = (real & known).to(logits.device)
    tally.unlabelled += int((real & ~known).sum())
    if keep.any():
        labels = batch.labels.to(logits.device)[keep]
        metric.update(classifier.scores(logits[keep]), labels)
        tally.evaluated += int(keep.sum())
        tally.loss += float(video_losses(batch, logits)[keep].sum(dtype=torch.float64))


def _confusion(metric: ClipMetrics) -> Tensor:
    """Returns the confusion matrix over all processes; compute() leaves each with its own."""
    confusion = metric.confusion.clone()
    if process_place()[1] > 1:
        dist.all_reduce(confusion)
    return confusion.cpu()
