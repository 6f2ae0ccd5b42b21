"""Learning-rate schedules: factors of the first rate, as pure functions of the step.

A schedule holds no state, so a resumed run needs none: the step alone decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def piecewise(step: int, *, boundaries: Sequence[float], decay: float) -> float:
    """Multiplies by `decay` at each boundary that the step has reached.

    Args:
        step: optimizer steps done so far.
        boundaries: ascending, in steps.
        decay: factor of each decay.
    """
    return float(decay ** sum(step >= boundary for boundary in boundaries))


def thirds_of_epochs(*, epochs: int, total_videos: int, batch_size: int) -> list[float]:
    """Returns the boundaries of the clip models: after one and after two thirds of the epochs.

    An epoch counts int(total_videos / batch_size + 1) steps, as in the original.
    """
    steps = int(total_videos / batch_size + 1)
    return [epochs / 3 * steps, epochs * 2 / 3 * steps]


def at_epochs(*, epochs: Sequence[int], num_samples: int, batch_size: int) -> list[float]:
    """Returns the boundaries of AttentionLSTM: epoch * num_samples / batch_size steps."""
    return [epoch * num_samples / batch_size for epoch in epochs]


def staircase(step: int, *, every: int, decay: float, last_step: int) -> float:
    """Multiplies by `decay` every `every` steps until `last_step` (NeXtVLAD).

    Args:
        step: optimizer steps done so far.
        every: steps between two decays.
        decay: factor of each decay.
        last_step: the rate stays as it is from here on.
    """
    return float(decay ** (min(step, last_step) // max(1, every)))


def cosine(step: int, *, first: int, last: int) -> float:
    """Falls from 1 to 0 along half a cosine.

    I. Loshchilov, F. Hutter: "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    equation 5, without restarts.

    Args:
        step: optimizer steps done so far.
        first: where it begins to fall; 1 before.
        last: where it is 0.
    """
    share = (step - first) / max(1, last - first)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, max(0.0, share))))


def warm_up(step: int, *, steps: int) -> float:
    """Rises in a line: 1 / steps at the first step, 1 from step `steps` - 1 on.

    P. Goyal et al.: "Accurate, Large Minibatch SGD", 2017, section 2.2.
    """
    return min(1.0, (step + 1) / steps) if steps else 1.0
