"""What AttentionLSTM is called, its config keys and how it is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, NonNegativeFloat, PositiveFloat

from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import COUNT_NOTE, Count, Fraction, PositiveInt, key
from videozoo.specs.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn


class AttentionLSTMSettings(FeatureSettings):
    """The keys of AttentionLSTM."""

    NAME = "AttentionLSTM"
    CONFIG_FILE = "attention_lstm.txt"
    VIDEOS_KEY = "num_samples"
    MODEL_KEYS = (
        "feature_dims", "num_classes", "embedding_size", "lstm_size", "drop_rate", "hidden_sizes",
    )  # fmt: skip

    drop_rate: Fraction = key(0.5, description="dropout rate")
    embedding_size: PositiveInt = key(512, description="width of a frame's embedding")
    lstm_size: PositiveInt = key(1024, description="width of each direction's LSTM")
    hidden_sizes: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] = key(
        [8192, 4096], description="widths of the two hidden layers"
    )
    decay_epochs: list[PositiveInt] = key([5], description="epochs after which the rate decays")
    decay_gamma: PositiveFloat = key(0.1, description="factor of each decay")
    weight_decay: NonNegativeFloat = key(0.0008, description="L2 of the weights")
    num_samples: Count = key(None, description=f"videos an epoch for decay_epochs: {COUNT_NOTE}")


def construct(**arguments: Any) -> nn.Module:
    """Returns AttentionLSTM with fresh weights; see the model's constructor."""
    from videozoo.models.attention_lstm import AttentionLSTM

    return AttentionLSTM(**arguments)


SPEC = ModelSpec(keys=AttentionLSTMSettings, construct=construct)
