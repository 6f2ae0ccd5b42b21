"""The learning rate of a training, and what is to be said of keys that change nothing."""

from __future__ import annotations

from collections.abc import Callable

from videozoo.config import Experiment
from videozoo.config.ini import MODES
from videozoo.config.keys import Settings
from videozoo.specs.schedules import cosine, warm_up
from videozoo.specs.spec import ModelSpec


def learning_rate(
    spec: ModelSpec, settings: Settings, *, videos: int, steps: int
) -> Callable[[int], float]:
    """Returns the learning rate after so many steps: it holds no state, so resuming needs none.

    Args:
        spec: has the model's own schedule.
        settings: of TRAIN.
        videos: an epoch's, as the schedule counts them.
        steps: of the whole training.
    """
    own = spec.rate_factor(settings, videos)

    def rate(step: int) -> float:
        first = settings.warmup_steps
        is_cosine = settings.schedule == "cosine"
        factor = cosine(step, first=first, last=steps) if is_cosine else own(step)
        return settings.learning_rate * factor * warm_up(step, steps=first)

    return rate


def schedule_videos(settings: Settings, listed: int) -> tuple[int, str | None]:
    """Returns the videos that the learning-rate schedule counts by, and a warning or None.

    Args:
        settings: of TRAIN.
        listed: samples in the training list.
    """
    key = settings.VIDEOS_KEY
    value = getattr(settings, key) if key is not None else None
    if not isinstance(value, int):
        return listed, None
    if abs(value - listed) > 0.1 * listed and settings.schedule is None:
        return value, (
            f"{key} is {value}, but the training list has {listed} samples: the learning"
            f" rate follows {key} as written; --set TRAIN.{key}=auto counts the list"
        )
    return value, None


def not_applied(experiment: Experiment) -> list[str]:
    """Returns what is to be said of keys that are given and have no effect."""
    settings, origins = experiment["TRAIN"], experiment.origins["TRAIN"]
    said = [
        sentence
        for key, sentence in settings.without_effect().items()
        if not origins[key].is_default
    ]
    training_keys = settings.keys_of("training")
    said += [
        f"{key} of [{mode}] is not applied: give it in [TRAIN]"
        for mode in MODES
        for key, value in experiment[mode]
        if key in training_keys and value != getattr(settings, key)
        if value != type(settings).model_fields[key].default
        if experiment.origins[mode][key].section == mode
    ]
    return said
