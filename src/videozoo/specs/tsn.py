"""What TSN is called, its config keys, how it is built and trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import model_validator

from videozoo.config.clip_keys import ClipSettings
from videozoo.specs.clip_recipe import clip_spec

if TYPE_CHECKING:
    from torch import nn

    from videozoo.checkpoints.names import Table


class TSNSettings(ClipSettings):
    """The keys of TSN."""

    NAME = "TSN"
    CONFIG_FILE = "tsn.txt"
    MODEL_KEYS = ("num_classes", "num_layers")

    @model_validator(mode="after")
    def _one_frame_a_segment(self) -> Self:
        if self.seglen != 1:
            raise ValueError(
                f"seglen is {self.seglen}, but TSN takes one frame a segment: seglen = 1"
            )
        if self.frame_interval != 1:
            raise ValueError(
                f"frame_interval is {self.frame_interval}, but TSN takes one frame a segment:"
                " frame_interval = 1"
            )
        return self


def construct(**arguments: Any) -> nn.Module:
    """Returns TSN with fresh weights; see the model's constructor."""
    from videozoo.models.tsn import TSN

    return TSN(**arguments)


def fluid_names(model: nn.Module, settings: ClipSettings) -> Table:
    """Returns the original's names of the model's weights."""
    from videozoo.checkpoints.names import tsn_names

    return tsn_names(model)


SPEC = clip_spec(
    keys=TSNSettings, construct=construct, fast_engines=("openvino",), fluid_names=fluid_names
)
