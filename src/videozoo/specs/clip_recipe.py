"""How the original trained its models on clips: SGD, L2 on everything, the rate falls in thirds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from videozoo.config.clip_keys import ClipSettings
from videozoo.specs.schedules import piecewise, thirds_of_epochs
from videozoo.specs.spec import ModelSpec


def clip_spec(**fields: Any) -> ModelSpec:
    """Returns the record of a clip model that is trained as the original's are.

    Args:
        **fields: the other fields of the record.
    """
    return ModelSpec(
        optimizer="sgd",
        optimizer_options=_momentum,
        weight_decay=lambda settings: float(settings.l2_weight_decay),
        decays=lambda name: True,
        rate_factor=_thirds,
        default_pretrain=_resnet50,
        **fields,
    )


def _momentum(settings: ClipSettings) -> Mapping[str, Any]:
    return {"momentum": settings.momentum}


def _thirds(settings: ClipSettings, videos: int) -> Callable[[int], float]:
    boundaries = thirds_of_epochs(
        epochs=settings.epoch, total_videos=videos, batch_size=settings.batch_size
    )
    decay = settings.learning_rate_decay
    return lambda step: piecewise(step, boundaries=boundaries, decay=decay)


def _resnet50(settings: ClipSettings) -> str | None:
    """Returns the image network that the original fetched, where its depth is the config's."""
    return "ResNet50_pretrained" if settings.num_layers == 50 else None
