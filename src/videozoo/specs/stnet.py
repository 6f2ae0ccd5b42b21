"""What StNet is called, its config keys, how it is built and trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from videozoo.config.clip_keys import ClipSettings
from videozoo.config.keys import PositiveInt, key
from videozoo.specs.clip_recipe import clip_spec

if TYPE_CHECKING:
    from torch import nn

    from videozoo.checkpoints.names import Table


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


def fluid_names(model: nn.Module, settings: ClipSettings) -> Table:
    """Returns the original's names of the model's weights."""
    from videozoo.checkpoints.names import stnet_names

    return stnet_names(model)


SPEC = clip_spec(keys=StNetSettings, construct=construct, fast_engines=(), fluid_names=fluid_names)
