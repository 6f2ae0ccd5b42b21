"""Runs a classifier over samples: the one loop behind validation, test, infer and the API."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import torch
from torch import Tensor

from videozoo.config.keys import Settings
from videozoo.data.batches import Batch, ClipBatch
from videozoo.data.loader import SampleSource, checked, make_loader
from videozoo.data.samplers import StepSampler
from videozoo.errors import VideozooError
from videozoo.predict.folding import ready_to_score
from videozoo.predict.inputs import Classifier
from videozoo.predict.views import mean_logits, views_at, views_of
from videozoo.processes import process_place

Report = Callable[[int, int], None]
"""Told how many of how many samples are done."""
Say = Callable[[str], None]
"""Prints a line."""


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Returns the context that computes in `precision`: '32' or 'bf16'."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def score_batches(
    classifier: Classifier,
    source: SampleSource,
    *,
    settings: Settings,
    device: torch.device,
    ready: Callable[[Classifier, str], Classifier] = ready_to_score,
    report: Report | None = None,
    say: Say = print,
) -> Iterator[tuple[Batch, Tensor]]:
    """Yields each batch of this process's share, with its logits.

    The model is in test mode while this runs. A video that is scored by several views (crops and
    mirror images) gets the mean of their scores. Clips become floats as few at a time as a trunk
    takes at once, however long the protocol. Out of memory halves the part of a batch that goes
    through the model at once, and says so.

    Args:
        classifier: on `device`.
        source: the samples.
        settings: of the mode.
        device: where the model is.
        ready: makes what scores of the classifier and the precision.
        report: told of the progress.
        say: prints a line.

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
    done = 0
    try:
        classifier.eval()
        scorer = _Scorer(ready(classifier, settings.precision), device, settings.precision, say)
        for batch in map(checked, loader):
            yield batch, scorer.logits(batch)
            if report is not None and batch.chunk is not None and batch.chunk.last:
                done += batch.chunk.step_size
                report(done, len(source))
    finally:
        classifier.train(was_training)


class _Scorer:
    """Takes batches through a model in parts that fit its device.

    Args:
        ready: the model, ready to score.
        device: where it is.
        precision: '32' or 'bf16'.
        say: prints a line.
    """

    def __init__(self, ready: Classifier, device: torch.device, precision: str, say: Say) -> None:
        self._ready = ready
        self._device = device
        self._precision = precision
        self._say = say
        self._most = sys.maxsize  # views at once: fewer when memory has been too small

    def logits(self, batch: Batch) -> Tensor:
        """Returns the logits of a batch's videos, float32 [B, K].

        Raises:
            VideozooError: the memory is too small for a single view.
        """
        count = views_of(batch)
        parts: list[Tensor] = []
        start, end = 0, len(batch) * count
        while start < end:
            size = min(self._at_once(batch), end - start)
            logits = self._logits(batch, start, start + size)
            if logits is None:
                self._halve(size, count)
                continue
            parts.append(logits)
            start += size
        logits = torch.cat(parts)  # [B * count, K]
        if count == 1:
            return logits
        by_video = logits.view(len(batch), count, -1)  # [B, count, K]
        return mean_logits(by_video, self._ready.multi_label)  # [B, K]

    def _at_once(self, batch: Batch) -> int:
        """Returns how many views of a batch's videos become floats together."""
        images_at_once = getattr(self._ready.model, "images_at_once", None)
        if images_at_once is None or not isinstance(batch, ClipBatch):
            return self._most
        with torch.inference_mode():
            images = images_at_once(self._device)
        return min(self._most, max(1, images // batch.clips.shape[1]) if images else self._most)

    def _logits(self, batch: Batch, start: int, stop: int) -> Tensor | None:
        """Returns the logits of some views; None where the memory is too small."""
        try:
            views = views_at(batch, start, stop, self._device)
            with torch.inference_mode(), autocast(self._device, self._precision):
                return self._ready(views).float()  # type: ignore[no-any-return]
        except torch.OutOfMemoryError:
            return None

    def _halve(self, size: int, count: int) -> None:
        if size == 1:
            raise VideozooError("out of memory with a single video; use --use-gpu False")
        self._most = (size + 1) // 2
        what = "videos at once (micro_batch)" if count == 1 else "crops of videos at once"
        self._say(f"out of memory: {what} from now on: {self._most}")
