"""What Linear is called, its config keys, how it is built and trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, NonNegativeFloat

from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import key
from videozoo.specs.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn


class LinearSettings(FeatureSettings):
    """The keys of Linear."""

    NAME = "LINEAR"
    CONFIG_FILE = "linear.txt"
    MODEL_KEYS = ("feature_dims", "num_classes", "cosines")

    cosines: Annotated[int, Field(ge=0, le=1000)] = key(
        3, description="cosines over time that are taken of each value"
    )
    weight_decay: NonNegativeFloat = key(0.0, description="L2 of the weights")


def construct(**arguments: Any) -> nn.Module:
    """Returns Linear with fresh weights; see the model's constructor."""
    from videozoo.models.linear import Linear

    return Linear(**arguments)


SPEC = ModelSpec(
    keys=LinearSettings,
    construct=construct,
    weight_decay=lambda settings: float(settings.weight_decay),
    decays=lambda name: name == "classifier.weight",
    fast_engines=("openvino",),
)
