"""The one scoring loop behind validation, test, infer and the API, and what names classes by it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from videozoo.answers import Prediction, Result, answered_classes, check_reject
from videozoo.classifier import Classifier, load_weights
from videozoo.config import Experiment
from videozoo.config.keys import Settings
from videozoo.data.batch import Batch
from videozoo.data.dataset import Report, VideoDataset
from videozoo.data.loader import make_loader, raise_if_fatal
from videozoo.data.sampler import StepSampler
from videozoo.distributed import process_place
from videozoo.errors import VideozooError
from videozoo.families import family_of
from videozoo.models.layers import autocast, full_precision, mean_logits
from videozoo.timelines import TimelinePredictor

Say = Callable[[str], None]
"""Prints a line."""


def score_batches(
    classifier: Classifier,
    dataset: VideoDataset,
    *,
    settings: Settings,
    device: torch.device,
    report: Report | None = None,
    say: Say = print,
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

    Yields:
        The batch (on the host) and its logits, float32 or float64 [B, K] on the device.
    """
    rank, world = process_place()
    size = settings.micro_batch or -(-settings.batch_size // world)
    sampler = StepSampler(
        len(dataset),
        batch_size=size * world,
        micro_batch_size=size,
        shuffle=False,
        rank=rank,
        world=world,
    )
    loader = make_loader(
        dataset,
        sampler,
        training=False,
        num_workers=settings.num_workers,
        pin_memory=device.type == "cuda",
    )
    scorer = _Scorer(classifier, device, settings.precision, say)
    done = 0
    for batch in map(raise_if_fatal, loader):
        yield batch, scorer.logits(batch)
        if report is not None and batch.micro_batch is not None and batch.micro_batch.last:
            done += batch.micro_batch.step_size
            report(done, len(dataset))


class _Scorer:
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


Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def path_list(paths: Paths) -> list[str]:
    """Returns one path, or several, as a list of strings."""
    return [os.fspath(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


class Predictor(TimelinePredictor):
    """Preprocessing, model and label names in one object.

    The weights are laid out for scoring when it is made; after they have changed, call `refresh`.

    Args:
        classifier: preprocessing and model.
        settings: of the mode INFER.
        labels: class names; None: predictions carry the class index as their label.
        device: where to run.
    """

    def __init__(
        self,
        *,
        classifier: Classifier,
        settings: Settings,
        labels: list[str] | None,
        device: torch.device,
    ) -> None:
        self.classifier = classifier.eval().to(device)
        self.settings = settings
        self.labels = labels
        self.device = device
        self.refresh()

    def refresh(self) -> None:
        """Takes in weights of `classifier` that have changed."""
        self._scoring = self.classifier.for_inference(self.settings.precision)

    def __call__(self, paths: Paths, *, top_k: int = 5) -> list[Any]:
        """Names what is in videos, in the form that most libraries give.

        Args:
            paths: one video file, or several files, folders or globs.
            top_k: predictions a video.

        Returns:
            Of one file its classes, [{"label": ..., "score": ...}, ...], best first; of a list, and
            of a folder or glob, such a list a video, in the order of `predict`.

        Raises:
            VideozooError: a path does not exist, or a video cannot be read: `predict` goes on.
        """
        results = self.predict(paths, top_k=top_k)
        for result in results:
            if result.unreadable is not None:
                raise VideozooError(f"{result.video}: {result.unreadable}")
        answers = [
            [{"label": p.label, "score": p.score} for p in result.predictions] for result in results
        ]
        is_file = isinstance(paths, str | os.PathLike) and os.path.isfile(paths)
        return answers[0] if is_file and len(answers) == 1 else answers

    def predict(
        self, paths: Paths, *, top_k: int = 20, reject: float | None = None
    ) -> list[Result]:
        """Names what is in videos.

        Args:
            paths: video files, folders or globs; YouTube-8M shards for a feature model.
            top_k: predictions a video; never more than there are classes.
            reject: the answer is none of the classes where the best score is below this.

        Returns:
            One result a video, in the order of the paths.

        Raises:
            VideozooError: a path does not exist, or `reject` is no score.
        """
        check_reject(reject)
        family = family_of(self.settings)
        samples = family.open(path_list(paths), labelled=False, recipe=self.classifier.recipe)
        samples.dataset.prepare(self.device)
        found = self.results(samples.dataset, top_k=top_k, reject=reject)
        return [result for _, result in found]

    def results(
        self,
        dataset: VideoDataset,
        *,
        top_k: int,
        reject: float | None = None,
        report: Report | None = None,
    ) -> Iterator[tuple[int, Result]]:
        """Yields (index, result) of each sample of this process's share, unreadable ones too."""
        for batch, logits in score_batches(
            self._scoring, dataset, settings=self.settings, device=self.device, report=report
        ):
            indices = () if batch.micro_batch is None else batch.micro_batch.indices
            failed = {u.index: u for u in batch.unreadable}
            scores = self.classifier.scores(logits).cpu()  # [B, K]
            best = scores.topk(min(top_k, self.settings.num_classes), dim=1).indices  # [B, top_k]
            rows = iter(zip(batch.videos, scores, best.tolist(), strict=True))
            for index in indices:
                if index in failed:
                    yield index, Result(failed[index].video, [], failed[index].reason)
                    continue
                video, of_video, classes = next(rows)
                chosen = answered_classes(
                    of_video,
                    multi_label=self.classifier.multi_label,
                    thresholds=self.classifier.calibration.thresholds,
                    reject=reject,
                )
                answer = None if chosen is None else self._predictions(chosen, of_video)
                yield index, Result(video, self._predictions(classes, of_video), answer=answer)

    def scores(self, batch: Batch) -> Tensor:
        """Returns the scores of a batch's videos, float [B, K] on the CPU."""
        scorer = _Scorer(self._scoring, self.device, self.settings.precision, print)
        return self.classifier.scores(scorer.logits(batch)).cpu()

    def _predictions(self, classes: list[int], scores: Tensor) -> list[Prediction]:
        values = scores[classes].tolist()
        return [Prediction(c, self.name(c), s) for c, s in zip(classes, values, strict=True)]

    def name(self, index: int) -> str:
        """Returns the name of a class, or its index where names are not known."""
        return str(index) if self.labels is None else self.labels[index]


def load_predictor(
    path: Path, *, experiment: Experiment | None = None, device: torch.device
) -> Predictor:
    """Loads a checkpoint for prediction.

    Args:
        path: a native .safetensors file; with `experiment` also a Fluid folder or archive.
        experiment: the config to use instead of the checkpoint's own.
        device: where to run.

    Raises:
        VideozooError: the file is missing or does not fit.
    """
    weights = load_weights(path, experiment)
    return Predictor(
        classifier=weights.classifier,
        settings=weights.experiment["INFER"],
        labels=weights.labels,
        device=device,
    )
