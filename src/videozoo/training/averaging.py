"""A moving average of the weights: what is validated and saved in their place."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import PARAM_LIST, AveragedModel

from videozoo.classifier import Classifier


class Averaging:
    """An exponential moving average of a model's weights and running statistics.

    B. Polyak, A. Juditsky: "Acceleration of Stochastic Approximation by Averaging", 1992. After n
    updates the next one keeps the share min(decay, (1 + n) / (10 + n)) of the average, so that a
    short training does not average its beginning in for long.

    Attributes:
        classifier: with the averaged weights.

    Args:
        classifier: in training, on its device; the average begins with its weights.
        decay: share of the average that an update keeps in the long run.
    """

    def __init__(self, classifier: Classifier, *, decay: float) -> None:
        self._average = AveragedModel(
            classifier.model, multi_avg_fn=partial(_mix, decay=decay), use_buffers=True
        )
        self.classifier = classifier.with_model(self._average.module)

    def update(self, model: nn.Module) -> None:
        """Takes in the weights that a step has made."""
        self._average.update_parameters(model)

    def state(self) -> dict[str, Tensor]:
        """Returns what `load` goes on from."""
        state: dict[str, Tensor] = self._average.state_dict()
        return state

    def load(self, state: dict[str, Tensor]) -> None:
        """Goes on from what `state` returned."""
        self._average.load_state_dict(state)


@torch.no_grad()
def _mix(average: PARAM_LIST, weights: PARAM_LIST, updates: Tensor | int, *, decay: float) -> None:
    done = int(updates)
    if average[0].is_floating_point():
        torch._foreach_lerp_(average, weights, 1 - min(decay, (1 + done) / (10 + done)))
    else:  # a batch norm's counter
        torch._foreach_copy_(average, weights)
