"""What AttentionLSTM is called, its config keys, how it is built and trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, NonNegativeFloat, PositiveFloat

from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import COUNT_NOTE, Count, Fraction, PositiveInt, Width, key
from videozoo.specs.schedules import at_epochs, piecewise
from videozoo.specs.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from videozoo.checkpoints.names import Table


class AttentionLSTMSettings(FeatureSettings):
    """The keys of AttentionLSTM."""

    NAME = "AttentionLSTM"
    CONFIG_FILE = "attention_lstm.txt"
    VIDEOS_KEY = "num_samples"
    MODEL_KEYS = (
        "feature_dims", "num_classes", "embedding_size", "lstm_size", "drop_rate", "hidden_sizes",
    )  # fmt: skip

    drop_rate: Fraction = key(0.5, description="dropout rate")
    embedding_size: Width = key(512, description="width of a frame's embedding")
    lstm_size: Width = key(1024, description="width of each direction's LSTM")
    hidden_sizes: Annotated[list[Width], Field(min_length=2, max_length=2)] = key(
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


def fluid_names(model: nn.Module, settings: FeatureSettings) -> Table:
    """Returns the original's names of the model's weights."""
    from videozoo.checkpoints.names import attention_lstm_names

    return attention_lstm_names(model, settings.feature_names)


def decays(name: str) -> bool:
    """Tells whether a parameter decays: weights and the LSTMs' own bias vectors do, as in Fluid."""
    return name.endswith((".weight", "_lstm.bias"))


def rate_factor(settings: AttentionLSTMSettings, videos: int) -> Callable[[int], float]:
    """Returns decay_gamma to the number of decay_epochs that are over, by the step."""
    boundaries = at_epochs(
        epochs=settings.decay_epochs, num_samples=videos, batch_size=settings.batch_size
    )
    return lambda step: piecewise(step, boundaries=boundaries, decay=settings.decay_gamma)


SPEC = ModelSpec(
    keys=AttentionLSTMSettings,
    construct=construct,
    optimizer="centered_rmsprop",
    weight_decay=lambda settings: float(settings.weight_decay),
    decays=decays,
    rate_factor=rate_factor,
    loss_is_sum=True,
    fluid_names=fluid_names,
)
