"""How the clip models are trained."""

from __future__ import annotations

from torch.optim import SGD, Optimizer

from videozoo.config.clip_keys import ClipSettings
from videozoo.predict.inputs import Classifier
from videozoo.tasks.freezing import freeze, layer_groups
from videozoo.tasks.schedules import piecewise, thirds_of_epochs
from videozoo.tasks.task import VideoTask


class ClipTask(VideoTask):
    """Cross-entropy, SGD with momentum and L2, the rate decays after each third of the epochs."""

    def __init__(self, *, classifier: Classifier, settings: ClipSettings, videos: int) -> None:
        super().__init__(
            classifier=classifier, learning_rate=settings.learning_rate, seed=settings.seed
        )
        self.settings = settings
        self.frozen = freeze(classifier.model, settings.freeze_stages)
        self.boundaries = thirds_of_epochs(
            epochs=settings.epoch, total_videos=videos, batch_size=settings.batch_size
        )

    def configure_optimizers(self) -> Optimizer:
        """Returns SGD; with layer_decay, earlier stages of the trunk have smaller rates."""
        decay = self.settings.layer_decay
        return SGD(
            layer_groups(self.classifier.model, decay) if decay else self.parameters(),
            lr=self.learning_rate,
            momentum=self.settings.momentum,
            weight_decay=self.settings.l2_weight_decay,
        )

    def rate_factor(self, step: int) -> float:
        """Returns learning_rate_decay to the number of thirds that are over."""
        decay = self.settings.learning_rate_decay
        return piecewise(step, boundaries=self.boundaries, decay=decay)
