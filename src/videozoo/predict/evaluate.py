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
from videozoo.predict.inputs import Classifier
from videozoo.settings import Settings
from videozoo.tasks.losses import clip_loss, feature_loss

Report = Callable[[int, int], None]
"""Told how many of how many samples are done."""


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


def process_place() -> tuple[int, int]:
    """Returns this process's rank and the number of processes."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Returns the context that computes in `precision`: '32' or 'bf16'."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def score_batches(
    classifier: Classifier,
    source: SampleSource,
    *,
    settings: Settings,
    device: torch.device,
    report: Report | None = None,
) -> Iterator[tuple[Batch, Tensor]]:
    """Yields each batch of this process's share, with its logits.

    The model is in test mode while this runs. Out of memory halves the part of a batch that goes
    through the model at once.

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
    classifier.eval()
    done = 0
    size = chunk
    try:
        for batch in map(checked, loader):
            done += 0 if batch.chunk is None else batch.chunk.step_size if batch.chunk.last else 0
            logits: list[Tensor] = []
            while sum(map(len, logits)) < len(batch):
                start = sum(map(len, logits))
                part = batch.part(start, start + size)
                try:
                    with torch.inference_mode(), autocast(device, settings.precision):
                        logits.append(classifier(part.to(device)).float())
                except torch.OutOfMemoryError:
                    if size == 1:
                        raise VideozooError(
                            "out of memory with a single video; use --use-gpu False"
                        ) from None
                    size = (size + 1) // 2
            yield batch, torch.cat(logits)
            if report is not None:
                report(min(done, len(source)), len(source))
    finally:
        classifier.train(was_training)


def video_losses(batch: Batch, logits: Tensor) -> Tensor:
    """Returns the loss of each video, float32 [B]; what an unlabelled video gives means nothing."""
    labels = batch.labels.to(logits.device)
    if isinstance(batch, FeatureBatch):
        return feature_loss(logits, labels)
    return clip_loss(logits, labels.clamp(min=0))


def evaluate(
    classifier: Classifier,
    source: SampleSource,
    *,
    settings: Settings,
    device: torch.device,
    report: Report | None = None,
) -> Evaluation:
    """Tests a classifier on labelled samples, over all processes.

    Args:
        classifier: on `device`.
        source: the samples.
        settings: of the mode: batch size, precision, topk, ...
        device: where the model is.
        report: told of the progress.

    Raises:
        VideozooError: no sample could be evaluated.
    """
    start = time.perf_counter()
    metric: YouTube8MMetrics | ClipMetrics
    if settings.FEATURES:
        metric = YouTube8MMetrics(num_classes=settings.num_classes, top_k=settings.topk)
    else:
        metric = ClipMetrics(num_classes=settings.num_classes)
    metric = metric.to(device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    unreadable: list[Unreadable] = []
    unlabelled = evaluated = 0
    for batch, logits in score_batches(
        classifier, source, settings=settings, device=device, report=report
    ):
        unreadable += batch.unreadable
        real = batch.weights > 0
        known = batch.labelled if isinstance(batch, FeatureBatch) else batch.labels >= 0
        keep = (real & known).to(device)
        unlabelled += int((real & ~known).sum())
        evaluated += int(keep.sum())
        if keep.any():
            labels = batch.labels.to(device)[keep]
            metric.update(classifier.scores(logits[keep]), labels)
            loss += video_losses(batch, logits)[keep].sum().double()
    (unreadable, unlabelled, evaluated), loss = _over_processes(
        unreadable, unlabelled, evaluated, loss
    )
    if evaluated == 0:
        first = f"; the first: {unreadable[0].reason}" if unreadable else ""
        raise VideozooError(
            f"none of the {len(source)} samples could be evaluated: {len(unreadable)} unreadable,"
            f" {unlabelled} without a label{first}"
        )
    metrics = {key: float(value) for key, value in metric.compute().items()}
    metrics["loss"] = float(loss) / evaluated
    return Evaluation(
        metrics=metrics,
        listed=len(source),
        evaluated=evaluated,
        unreadable=sorted(unreadable, key=lambda u: u.index),
        unlabelled=unlabelled,
        seconds=time.perf_counter() - start,
        confusion=metric.confusion.cpu() if isinstance(metric, ClipMetrics) else None,
    )


def _over_processes(
    unreadable: list[Unreadable], unlabelled: int, evaluated: int, loss: Tensor
) -> tuple[tuple[list[Unreadable], int, int], Tensor]:
    _, world = process_place()
    if world == 1:
        return (unreadable, unlabelled, evaluated), loss
    shares: list[tuple[list[Unreadable], int, int] | None] = [None] * world
    dist.all_gather_object(shares, (unreadable, unlabelled, evaluated))
    dist.all_reduce(loss)
    known = [share for share in shares if share is not None]
    return (
        [u for share in known for u in share[0]],
        sum(share[1] for share in known),
        sum(share[2] for share in known),
    ), loss
