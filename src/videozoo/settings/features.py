"""The config keys of the models on frame features."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from videozoo.settings.recipe import Settings
from videozoo.settings.shared import COUNT_NOTE, Count, Positive, Rate, Share


class FeatureSettings(Settings):
    """The keys of the models on YouTube-8M frame features."""

    FEATURES = True

    feature_num: Positive | None = Field(None, description="accepted: number of modalities")
    feature_names: list[str] = Field(
        ["rgb", "audio"], description="modalities, as records call them"
    )
    feature_dims: list[Positive] = Field([1024, 128], description="values a frame, by modality")
    frame_drop: Share = Field(0.0, description="share of the training frames left out at random")
    distill_from: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="trained feature models (.safetensors) to learn the mean scores of"
    )
    distill_weight: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="share of those scores in what is learnt; the labels have the rest"
    )

    @model_validator(mode="after")
    def _one_entry_a_modality(self) -> Self:
        count = len(self.feature_names)
        if len(self.feature_dims) != count:
            raise ValueError(
                f"feature_dims has {len(self.feature_dims)} entries, feature_names {count}"
            )
        if self.feature_num is not None and self.feature_num != count:
            raise ValueError(
                f"feature_num is {self.feature_num}, feature_names has {count} entries"
            )
        return self


class AttentionClusterSettings(FeatureSettings):
    """The keys of AttentionCluster."""

    NAME = "AttentionCluster"
    MODEL_KEYS = ("feature_dims", "cluster_nums", "num_classes", "drop_rate", "hidden_sizes")

    drop_rate: Share = Field(0.5, description="dropout rate")
    seg_num: Positive = Field(100, description="frames sampled from each video")
    cluster_nums: list[Positive] = Field([32, 32], description="clusters, by modality")
    hidden_sizes: Annotated[list[Positive], Field(min_length=2, max_length=2)] = Field(
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


class AttentionLSTMSettings(FeatureSettings):
    """The keys of AttentionLSTM."""

    NAME = "AttentionLSTM"
    MODEL_KEYS = (
        "feature_dims", "num_classes", "embedding_size", "lstm_size", "drop_rate", "hidden_sizes",
    )  # fmt: skip

    drop_rate: Share = Field(0.5, description="dropout rate")
    embedding_size: Positive = Field(512, description="width of a frame's embedding")
    lstm_size: Positive = Field(1024, description="width of each direction's LSTM")
    hidden_sizes: Annotated[list[Positive], Field(min_length=2, max_length=2)] = Field(
        [8192, 4096], description="widths of the two hidden layers"
    )
    decay_epochs: list[Positive] = Field([5], description="epochs after which the rate decays")
    decay_gamma: Rate = Field(0.1, description="factor of each decay")
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.0008, description="L2 of the weights")
    num_samples: Count = Field(None, description=f"videos an epoch for decay_epochs: {COUNT_NOTE}")


class NeXtVLADSettings(FeatureSettings):
    """The keys of NeXtVLAD."""

    NAME = "NEXTVLAD"
    MODEL_KEYS = (
        "feature_dims", "num_classes", "cluster_size", "hidden_size", "groups", "expansion",
        "drop_rate", "gating_reduction",
    )  # fmt: skip

    video_feature_size: Positive = Field(1024, description="width of rgb; feature_dims overrides")
    audio_feature_size: Positive = Field(128, description="width of audio; feature_dims overrides")
    cluster_size: Positive = Field(128, description="clusters")
    hidden_size: Positive = Field(2048, description="width of the hidden layer")
    groups: Positive = Field(8, description="groups that a frame is split into")
    expansion: Positive = Field(2, description="factor that widens a frame before the split")
    drop_rate: Share = Field(0.5, description="dropout rate")
    gating_reduction: Positive = Field(8, description="factor that narrows the gate's middle")
    eigen_file: str | None = Field(
        None, description="eigenvalues (.npy) that un-whiten rgb; None: rgb is left as it is"
    )
    lr_boundary_examples: Count = Field(
        None, description=f"videos between two decays: {COUNT_NOTE}"
    )
    max_iter: Positive = Field(700_000, description="steps after which the rate decays no more")
    learning_rate_decay: Rate = Field(0.8, description="factor of each decay")
    l2_penalty: Annotated[float, Field(ge=0)] = Field(1e-5, description="L2 of the last layer")
    gradient_clip_norm: Rate = Field(1.0, description="norm for clip_gradients; else not applied")
    clip_gradients: bool = Field(False, description="clip gradients, as the paper does")

    @model_validator(mode="before")
    @classmethod
    def _dims_from_sizes(cls, values: dict[str, Any]) -> dict[str, Any]:
        sizes = [values.get("video_feature_size", 1024), values.get("audio_feature_size", 128)]
        # Sizes that are no sizes are named by their own keys: here they would be named again.
        sound = all(type(size) is int and size > 0 for size in sizes)
        if values.get("feature_dims") is None and sound:
            return {**values, "feature_dims": sizes}
        return values

    @model_validator(mode="after")
    def _groups_divide(self) -> Self:
        for dim in self.feature_dims:
            if dim * self.expansion % self.groups:
                raise ValueError(
                    f"groups = {self.groups} does not divide {dim} x expansion {self.expansion}"
                )
        return self
