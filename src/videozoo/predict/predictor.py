"""Names what is in videos: preprocessing, model and class names in one object."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from videozoo.config import Experiment
from videozoo.config.keys import Settings
from videozoo.data.loader import SampleSource
from videozoo.predict.devices import choose_device
from videozoo.predict.folding import FoldedOnce
from videozoo.predict.inputs import Classifier
from videozoo.predict.samples import open_samples
from videozoo.predict.scoring import Report, score_batches
from videozoo.predict.weights import load_weights


@dataclass(frozen=True)
class Prediction:
    """One class and its score, between 0 and 1. `label` is the index where no name is known."""

    index: int
    label: str
    score: float


@dataclass(frozen=True)
class Result:
    """What a video was given: its classes by falling score; or why it could not be read."""

    video: str
    predictions: list[Prediction]
    unreadable: str | None = None


class Predictor:
    """Preprocessing, model and label names in one object.

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
        self._ready = FoldedOnce()

    def predict(
        self, paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, top_k: int = 20
    ) -> list[Result]:
        """Names what is in videos.

        Args:
            paths: video files, folders or globs; YouTube-8M shards for a feature model.
            top_k: predictions a video; never more than there are classes.

        Returns:
            One result a video, in the order of the paths.

        Raises:
            VideozooError: a path does not exist.
        """
        given = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
        samples = open_samples(self.settings, [os.fspath(p) for p in given], labelled=False)
        return [result for _, result in self.results(samples.source, top_k=top_k)]

    def results(
        self, source: SampleSource, *, top_k: int, report: Report | None = None
    ) -> Iterator[tuple[int, Result]]:
        """Yields (index, result) of each sample of this process's share, unreadable ones too."""
        for batch, logits in score_batches(
            self.classifier,
            source,
            settings=self.settings,
            device=self.device,
            ready=self._ready,
            report=report,
        ):
            indices = () if batch.chunk is None else batch.chunk.indices
            failed = {u.index: u for u in batch.unreadable}
            scores, classes = self.classifier.scores(logits).topk(
                min(top_k, self.settings.num_classes), dim=1
            )
            rows = iter(zip(batch.videos, scores.tolist(), classes.tolist(), strict=True))
            for index in indices:
                if index in failed:
                    yield index, Result(failed[index].video, [], failed[index].reason)
                    continue
                video, values, names = next(rows)
                found = [Prediction(c, self.name(c), s) for c, s in zip(names, values, strict=True)]
                yield index, Result(video, found)

    def name(self, index: int) -> str:
        """Returns the name of a class, or its index where names are not known."""
        return str(index) if self.labels is None else self.labels[index]


def load_predictor(
    path: Path, *, experiment: Experiment | None = None, use_gpu: bool = True
) -> Predictor:
    """Loads a checkpoint for prediction.

    Args:
        path: a native .safetensors file; with `experiment` also a Fluid folder or archive.
        experiment: the config to use instead of the checkpoint's own.
        use_gpu: run on a GPU where there is one.

    Raises:
        VideozooError: the file is missing or does not fit.
    """
    weights = load_weights(path, experiment)
    device, _ = choose_device(use_gpu)
    return Predictor(
        classifier=weights.classifier,
        settings=weights.experiment["INFER"],
        labels=weights.labels,
        device=device,
    )
