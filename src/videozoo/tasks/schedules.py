"""Learning-rate schedules: factors of the first rate, as pure functions of the step.

A schedule holds no state, so a resumed run needs none: the step alone decides.
"""

from __future__ import annotations

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
