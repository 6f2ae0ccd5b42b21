"""What AttentionCluster is called, its config keys, how it is built and trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, model_validator

from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import Fraction, Width, key
from videozoo.specs.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from videozoo.checkpoints.names import Table


class AttentionClusterSettings(FeatureSettings):
    """The keys of AttentionCluster."""

    NAME = "AttentionCluster"
    CONFIG_FILE = "attention_cluster.txt"
    MODEL_KEYS = ("feature_dims", "cluster_nums", "num_classes", "drop_rate", "hidden_sizes")

    drop_rate: Fraction = key(0.5, description="dropout rate")
    seg_num: Annotated[int, Field(ge=1, le=10_000)] = key(
        100, description="frames sampled from each video"
    )
    cluster_nums: list[Width] = key([32, 32], description="clusters, by modality")
    hidden_sizes: Annotated[list[Width], Field(min_length=2, max_length=2)] = key(
        [1024, 4096], description="widths of the two hidden layers"
    )

    @model_validator(mode="after")
    def _one_cluster_number_a_modality(self) -> Self:
        if len(self.cluster_nums) != len(self.feature_names):
            raise ValueError(
                f"cluster_nums has {len(self.cluster_nums)} entries,"
                f" feature_names {len(self.feature_names)}"
            )
        return self

    @property
    def frames_sampled(self) -> int:
        """Frames that the model sees of each video."""
        return self.seg_num


def construct(**arguments: Any) -> nn.Module:
    """Returns AttentionCluster with fresh weights; see the model's constructor."""
    from videozoo.models.attention_cluster import AttentionCluster

    return AttentionCluster(**arguments)


def fluid_names(model: nn.Module, settings: FeatureSettings) -> Table:
    """Returns the original's names of the model's weights."""
    from videozoo.checkpoints.names import attention_cluster_names

    return attention_cluster_names(model, settings.feature_names)


SPEC = ModelSpec(keys=AttentionClusterSettings, construct=construct, fluid_names=fluid_names)
