"""Why a video was given a class: the part of a Predictor that answers it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from videozoo.classifier import Classifier
from videozoo.config.keys import Settings
from videozoo.data.batch import Batch
from videozoo.data.dataset import VideoDataset
from videozoo.errors import SampleError, VideozooError, did_you_mean
from videozoo.families import family_of
from videozoo.scoring import Scorer, check_scores

if TYPE_CHECKING:
    from videozoo.explain.explanation import Explanation

_SHOWN = 8  # classes that a sentence names


class ExplainingPredictor(ABC):
    """Explains what it says; see Predictor for what it is made of."""

    classifier: Classifier
    settings: Settings
    device: torch.device
    _scoring: Classifier

    @abstractmethod
    def name(self, index: int) -> str:
        """Returns the name of a class."""

    def explain(
        self, video: str | os.PathLike[str], label: str | None = None, *, segments: int = 10
    ) -> Explanation:
        """Says which moments of a video a class was named for, and where in the frames it is seen.

        Args:
            video: a file; for a feature model also a shard of one record.
            label: the class; None: the one of the highest score.
            segments: the video is divided into so many moments, or as many as the model sees.

        Raises:
            VideozooError: there is no such class, or it is not one video.
            SampleError: it cannot be read.
        """
        family, path = family_of(self.settings), os.fspath(video)
        dataset = family.open([path], labelled=False, recipe=self.classifier.recipe).dataset
        if len(dataset) != 1:
            raise VideozooError(f"{path}: holds {len(dataset)} videos; give one")
        dataset.prepare(self.device)
        ((_, found),) = self.explanations(dataset, label, segments=segments)
        if isinstance(found, SampleError):
            raise found
        return found

    def explanations(
        self, dataset: VideoDataset, label: str | None = None, *, segments: int = 10
    ) -> Iterator[tuple[str, Explanation | SampleError]]:
        """Returns the name of each sample and what `explain` says, or why it cannot be read.

        Args:
            dataset: to be prepared before the first is asked for.
            label: see `explain`.
            segments: see `explain`.

        Raises:
            VideozooError: there is no such class, or weights give scores that are no numbers.
        """
        names = [self.name(index) for index in range(self.settings.num_classes)]
        if label is not None and label not in names:
            more = ", ..." if len(names) > _SHOWN else ""
            told = did_you_mean(label, names) or f"; it knows {', '.join(names[:_SHOWN])}{more}"
            raise VideozooError(f"class {label}: the model knows no such class{told}")
        if segments < 2 or (len(names) == 1 and not self.classifier.multi_label):
            raise VideozooError("to explain takes two segments or more, and two classes")
        wanted = None if label is None else names.index(label)
        return self._explanations(dataset, wanted, segments)

    def _explanations(
        self, dataset: VideoDataset, wanted: int | None, segments: int
    ) -> Iterator[tuple[str, Explanation | SampleError]]:
        for number in range(len(dataset)):
            try:
                yield dataset.name(number), self._explained(dataset, number, wanted, segments)
            except SampleError as error:
                yield dataset.name(number), error

    def _explained(
        self, dataset: VideoDataset, number: int, wanted: int | None, segments: int
    ) -> Explanation:
        from videozoo.explain.explanation import Explanation
        from videozoo.explain.measures import best_view, grad_cam, moments_of, own_weights
        from videozoo.explain.stretches import find_stretches

        batch: Batch = dataset.collate([dataset.read(number)])
        cut = find_stretches(dataset, number, segments, read=batch.pictures() is None)
        scorer = Scorer(self._scoring, self.device, self.settings.precision, print)
        logits = scorer.logits(batch)  # [1, K]
        scores = self.classifier.scores(logits)  # [1, K]
        check_scores(scores, self.classifier)
        index = int(scores[0].argmax()) if wanted is None else wanted
        weights = own_weights(self.classifier, batch.to(self.device))  # [M, n]
        names = getattr(self.settings, "feature_names", ())
        by_modality = {} if weights is None else dict(zip(names, weights, strict=True))
        view = best_view(scorer, batch, index)
        pictures, middles = view.pictures(), [one.middle for one in cut.all]
        frames = cut.frames if pictures is None else pictures[middles].numpy()  # [S, 3, H, W]
        heat = grad_cam(self.classifier, view.to(self.device), index)  # [n, h, w]
        return Explanation(
            video=batch.videos[0],
            label=self.name(index),
            index=index,
            score=float(scores[0, index]),
            moments=moments_of(self.classifier, scorer, batch, logits, index, cut, by_modality),
            seconds=cut.seconds.tolist(),
            weights={name: of_rows.tolist() for name, of_rows in by_modality.items()},
            frames=None if frames is None else frames.transpose(0, 2, 3, 1),  # [S, H, W, 3]
            heat_maps=None if heat is None else heat[middles].numpy(),  # [S, h, w]
        )
