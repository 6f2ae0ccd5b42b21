"""What names classes by a classifier's scores."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from videozoo.addresses.places import is_file, listed_path
from videozoo.answers import Prediction, Result, answered_classes, check_reject
from videozoo.classifier import Classifier, load_weights
from videozoo.config import Experiment
from videozoo.config.keys import Settings
from videozoo.data.batch import Batch
from videozoo.data.dataset import VideoDataset
from videozoo.data.labels import check_class_names, read_label_file
from videozoo.data.sampler import MicroBatch
from videozoo.distributed import choose_device
from videozoo.errors import VideozooError
from videozoo.experiments import Weights
from videozoo.explaining import ExplainingPredictor
from videozoo.families import family_of
from videozoo.inputs import open_trained, open_weights, protocol
from videozoo.scoring import Scorer, check_scores, score_batches
from videozoo.timelines import TimelinePredictor

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def path_list(paths: Paths) -> list[str]:
    """Returns one path, or several, as a list of strings."""
    return [os.fspath(p) for p in ([paths] if isinstance(paths, str | os.PathLike) else paths)]


class Predictor(TimelinePredictor, ExplainingPredictor):
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
        one = isinstance(paths, str | os.PathLike) and is_file(listed_path(os.fspath(paths)))
        return answers[0] if one and len(answers) == 1 else answers

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
        self, dataset: VideoDataset, *, top_k: int, reject: float | None = None, **how: Any
    ) -> Iterator[tuple[int, Result]]:
        """Yields (index, result) of each sample of this process's share, unreadable ones too.

        Args:
            dataset: the samples.
            top_k: predictions a video; never more than there are classes.
            reject: the answer is none of the classes where the best score is below this.
            how: report, say and steps of score_batches.

        Raises:
            VideozooError: the weights give scores that are no numbers.
        """
        for _, results in self.batches(dataset, top_k=top_k, reject=reject, **how):
            yield from results

    def batches(
        self, dataset: VideoDataset, *, top_k: int, reject: float | None = None, **how: Any
    ) -> Iterator[tuple[MicroBatch, list[tuple[int, Result]]]]:
        """Yields what `results` does, batch by batch."""
        for batch, logits in score_batches(
            self._scoring, dataset, settings=self.settings, device=self.device, **how
        ):
            assert batch.micro_batch is not None
            scores = self.classifier.scores(logits).cpu()  # [B, K]
            check_scores(scores, self.classifier)
            yield batch.micro_batch, list(self._of_batch(batch, scores, top_k, reject))

    def _of_batch(
        self, batch: Batch, scores: Tensor, top_k: int, reject: float | None
    ) -> Iterator[tuple[int, Result]]:
        indices = () if batch.micro_batch is None else batch.micro_batch.indices
        failed = {u.index: u for u in batch.unreadable}
        damage = {d.index: d.reason for d in batch.damaged}
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
            named = self._predictions(classes, of_video)
            yield index, Result(video, named, answer=answer, damage=damage.get(index))

    def scores(self, batch: Batch) -> Tensor:
        """Returns the scores of a batch's videos, float [B, K] on the CPU."""
        scorer = Scorer(self._scoring, self.device, self.settings.precision, print)
        return self.classifier.scores(scorer.logits(batch)).cpu()

    def _predictions(self, classes: list[int], scores: Tensor) -> list[Prediction]:
        values = scores[classes].tolist()
        return [Prediction(c, self.name(c), s) for c, s in zip(classes, values, strict=True)]

    @property
    def answers(self) -> bool:
        """Whether results have answers even where nothing is to be rejected."""
        thresholds = self.classifier.calibration.thresholds
        return self.classifier.multi_label and thresholds is not None

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


def open_predictor(
    weights: Weights, experiment: Experiment, console: Console, videos: Sequence[str] | None
) -> tuple[Predictor, dict[str, Any], VideoDataset | None]:
    """Returns the model of [INFER], how its scores are made, and the samples.

    Args:
        weights: which.
        experiment: their config.
        console: told where it computes.
        videos: what is to be read, looked at before weights are fetched; None: a stream.

    Raises:
        VideozooError: the weights are missing or do not fit, or so do class names or samples.
    """
    settings = experiment["INFER"]
    dataset = None
    if videos is None:
        loaded = open_weights(weights, experiment)
        labels = loaded.labels
        if settings.labels is not None:
            labels = read_label_file(settings.labels)
            check_class_names(labels, settings.num_classes, settings.labels)
    else:
        loaded, samples, labels = open_trained(weights, experiment, list(videos), "INFER")
        dataset = samples.dataset
    device = choose_device(settings.use_gpu, console.print)
    predictor = Predictor(
        classifier=loaded.classifier, settings=settings, labels=labels, device=device
    )
    return predictor, protocol(loaded, experiment, "INFER"), dataset
