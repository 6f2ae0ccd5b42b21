"""What StNet is called, its config keys and how it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from videozoo.config.clip_keys import ClipSettings
from videozoo.config.keys import PositiveInt, key
from videozoo.specs.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn


class StNetSettings(ClipSettings):
    """The keys of StNet."""

    NAME = "STNET"
    CONFIG_FILE = "stnet.txt"
    MODEL_KEYS = ("num_classes", "num_layers", "seglen")

    seg_num: PositiveInt = key(7, description="segments a video is sampled at")
    seglen: PositiveInt = key(5, description="frames a segment")


def construct(**arguments: Any) -> nn.Module:
    """Returns StNet with fresh weights; see the model's constructor."""
    from videozoo.models.stnet import StNet

    return StNet(**arguments)


SPEC = ModelSpec(keys=StNetSettings, construct=construct)
