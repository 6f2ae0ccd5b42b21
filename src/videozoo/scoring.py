"""The one scoring loop behind validation, test, infer and the API."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from videozoo.classifier import Classifier
from videozoo.config.keys import Settings
from videozoo.data.batch import Batch
from videozoo.data.dataset import Report, VideoDataset
from videozoo.data.loader import make_loader, raise_if_fatal
from videozoo.data.sampler import StepSampler
from videozoo.distributed import process_place
from videozoo.errors import VideozooError
from videozoo.forecast import METER
from videozoo.models.layers import autocast, full_precision, mean_logits

Say = Callable[[str], None]
"""Prints a line."""


def step_size(settings: Settings) -> int:
    """Returns how many samples all processes together score in a step."""
    _, world = process_place()
    size: int = settings.micro_batch or -(-settings.batch_size // world)
    return size * world


def score_batches(
    classifier: Classifier,
    dataset: VideoDataset,
    *,
    settings: Settings,
    device: torch.device,
    report: Report | None = None,
    say: Say = print,
    steps: range | None = None,
) -> Iterator[tuple[Batch, Tensor]]:
    """Yields each batch of this process's share, with its logits.

    A video that is scored by several views (crops and mirror images) gets the mean of their scores.
    Clips become floats as few at a time as a trunk takes at once, however long the protocol. Out of
    memory halves the part of a batch that goes through the model at once, and says so.

    Args:
        classifier: on `device`, ready to score: see Classifier.for_inference.
        dataset: the samples.
        settings: of the mode.
        device: where the model is.
        report: told of the progress.
        say: prints a line.
        steps: those to do; None: all.

    Yields:
        The batch (on the host) and its logits, float32 or float64 [B, K] on the device.
    """
    rank, world = process_place()
    size = step_size(settings)
    sampler = StepSampler(
        len(dataset),
        batch_size=size,
        micro_batch_size=size // world,
        shuffle=False,
        rank=rank,
        world=world,
    )
    if steps is not None:
        sampler.resume_at(0, steps.start)
        sampler.stop = steps.stop
    loader = make_loader(
        dataset,
        sampler,
        training=False,
        num_workers=settings.num_workers,
        pin_memory=device.type == "cuda",
        reader_timeout=settings.reader_timeout,
        say=say,
    )
    scorer = Scorer(classifier, device, settings.precision, say)
    done = 0 if steps is None else min(steps.start * size, len(dataset))
    for batch in map(raise_if_fatal, METER.watched(loader)):
        yield batch, scorer.logits(batch)
        if report is not None and batch.micro_batch is not None and batch.micro_batch.last:
            done += batch.micro_batch.step_size
            report(done, len(dataset))


def check_scores(scores: Tensor, classifier: Classifier) -> None:
    """Checks that scores are numbers: a result file has no word for others.

    Args:
        scores: [B, K].
        classifier: whose weights gave them.

    Raises:
        VideozooError: one is none.
    """
    if bool(scores.isfinite().all()):
        return
    wrong = [k for k, v in classifier.model.state_dict().items() if not v.isfinite().all()]
    raise VideozooError(
        "a score is not a number (NaN): the model has diverged"
        + (f"; its weights hold no numbers in {', '.join(wrong[:3])}" if wrong else "")
        + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
    )


class Scorer:
    """Takes batches through a model in parts that fit its device.

    Args:
        classifier: ready to score.
        device: where it is.
        precision: '32', '64' or 'bf16'.
        say: prints a line.
    """

    def __init__(
        self, classifier: Classifier, device: torch.device, precision: str, say: Say
    ) -> None:
        self._classifier = classifier
        self._device = device
        self._precision = precision
        self._say = say
        self._most = sys.maxsize  # views at once: fewer when memory has been too small

    def logits(self, batch: Batch) -> Tensor:
        """Returns the logits of a batch's videos, float [B, K].

        Raises:
            VideozooError: the memory is too small for a single view.
        """
        parts: list[Tensor] = []
        start, end = 0, len(batch) * batch.view_count
        while start < end:
            size = min(self._at_once(batch), end - start)
            logits = self._logits(batch, start, start + size)
            if logits is None:
                self._halve(size, batch.view_count)
                continue
            parts.append(logits)
            start += size
        logits = torch.cat(parts)  # [B * views, K]
        if batch.view_count == 1:
            return logits
        by_video = logits.view(len(batch), batch.view_count, -1)  # [B, views, K]
        return mean_logits(by_video, self._classifier.multi_label)  # [B, K]

    @torch.no_grad()  # with gradients a trunk takes all at once
    def _at_once(self, batch: Batch) -> int:
        """Returns how many views go through the model together."""
        best = getattr(self._classifier.model, "images_at_once", None)
        images = best(self._device) if best is not None and batch.images else None
        return min(self._most, max(1, images // batch.images)) if images else self._most

    def _logits(self, batch: Batch, start: int, stop: int) -> Tensor | None:
        """Returns the logits of some views; None where the memory is too small."""
        try:
            views = batch.view_part(start, stop, self._device)
            with torch.inference_mode(), autocast(self._device, self._precision):
                return full_precision(self._classifier(views))
        except torch.OutOfMemoryError:
            return None

    def _halve(self, size: int, views: int) -> None:
        if size == 1:
            raise VideozooError("out of memory with a single video; use --use-gpu False")
        self._most = (size + 1) // 2
        what = "crops of videos at once" if views > 1 else "videos at once (micro_batch)"
        self._say(f"out of memory: {what} from now on: {self._most}")
