"""How the feature models are trained: optimizers and schedules of the original library."""

from __future__ import annotations

import torch
from torch.optim import Adam, Optimizer

from videozoo.predict.inputs import Classifier
from videozoo.specs.attention_cluster import AttentionClusterSettings
from videozoo.specs.attention_lstm import AttentionLSTMSettings
from videozoo.specs.nextvlad import NeXtVLADSettings
from videozoo.tasks.optimizers import CenteredRMSProp, weight_decay_split
from videozoo.tasks.schedules import at_epochs, piecewise, staircase
from videozoo.tasks.task import VideoTask


class AttentionClusterTask(VideoTask):
    """Mean loss, Adam, a constant rate."""

    def __init__(
        self, *, classifier: Classifier, settings: AttentionClusterSettings, videos: int
    ) -> None:
        super().__init__(
            classifier=classifier, learning_rate=settings.learning_rate, seed=settings.seed
        )

    def configure_optimizers(self) -> Optimizer:
        """Returns Adam with its usual moments."""
        return Adam(self.parameters(), lr=self.learning_rate, fused=True)

    def rate_factor(self, step: int) -> float:
        """Returns 1: the rate does not decay."""
        return 1.0


class AttentionLSTMTask(VideoTask):
    """Summed loss, centred RMSProp with L2, the rate decays at given epochs."""

    loss_is_sum = True

    def __init__(
        self, *, classifier: Classifier, settings: AttentionLSTMSettings, videos: int
    ) -> None:
        super().__init__(
            classifier=classifier, learning_rate=settings.learning_rate, seed=settings.seed
        )
        self.weight_decay = settings.weight_decay
        self.decay_gamma = settings.decay_gamma
        self.boundaries = at_epochs(
            epochs=settings.decay_epochs, num_samples=videos, batch_size=settings.batch_size
        )

    def configure_optimizers(self) -> Optimizer:
        """Returns centred RMSProp; weights and LSTM biases carry L2, linear biases do not."""
        model = self.classifier.model
        decayed, plain = weight_decay_split("AttentionLSTM", model.named_parameters())
        groups = [
            {"params": decayed, "weight_decay": self.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ]
        return CenteredRMSProp(groups, lr=self.learning_rate)

    def rate_factor(self, step: int) -> float:
        """Returns decay_gamma to the number of decay_epochs that are over."""
        return piecewise(step, boundaries=self.boundaries, decay=self.decay_gamma)


class NeXtVLADTask(VideoTask):
    """Mean loss, Adam with L2 on the last layer, the rate decays in a staircase."""

    def __init__(self, *, classifier: Classifier, settings: NeXtVLADSettings, videos: int) -> None:
        super().__init__(
            classifier=classifier, learning_rate=settings.learning_rate, seed=settings.seed
        )
        self.settings = settings
        self.every = videos // settings.batch_size

    def configure_optimizers(self) -> Optimizer:
        """Returns Adam; the last linear layer alone carries L2."""
        model = self.classifier.model
        decayed, plain = weight_decay_split("NEXTVLAD", model.named_parameters())
        groups = [
            {"params": decayed, "weight_decay": self.settings.l2_penalty},
            {"params": plain, "weight_decay": 0.0},
        ]
        return Adam(groups, lr=self.learning_rate, fused=True)

    def rate_factor(self, step: int) -> float:
        """Returns learning_rate_decay to the number of boundaries passed."""
        return staircase(
            step,
            every=self.every,
            decay=self.settings.learning_rate_decay,
            last_step=self.settings.max_iter,
        )

    def clip(self) -> None:
        """Clips the norm of all gradients, as the paper does, where clip_gradients asks for it."""
        if self.settings.clip_gradients:
            torch.nn.utils.clip_grad_norm_(self.parameters(), self.settings.gradient_clip_norm)
