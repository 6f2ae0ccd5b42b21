"""What NeXtVLAD is called, its config keys, how it is built and trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from pydantic import NonNegativeFloat, PositiveFloat, model_validator

from videozoo.config.feature_keys import FeatureSettings
from videozoo.config.keys import COUNT_NOTE, Count, Fraction, PositiveInt, Width, key
from videozoo.specs.schedules import staircase
from videozoo.specs.spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn

    from videozoo.checkpoints.names import Table


class NeXtVLADSettings(FeatureSettings):
    """The keys of NeXtVLAD."""

    NAME = "NEXTVLAD"
    CONFIG_FILE = "nextvlad.txt"
    VIDEOS_KEY = "lr_boundary_examples"
    MODEL_KEYS = (
        "feature_dims", "num_classes", "cluster_size", "hidden_size", "groups", "expansion",
        "drop_rate", "gating_reduction",
    )  # fmt: skip

    video_feature_size: Width = key(1024, description="width of rgb; feature_dims overrides")
    audio_feature_size: Width = key(128, description="width of audio; feature_dims overrides")
    cluster_size: Width = key(128, description="clusters")
    hidden_size: Width = key(2048, description="width of the hidden layer")
    groups: Width = key(8, description="groups that a frame is split into")
    expansion: Width = key(2, description="factor that widens a frame before the split")
    drop_rate: Fraction = key(0.5, description="dropout rate")
    gating_reduction: Width = key(8, description="factor that narrows the gate's middle")
    eigen_file: str | None = key(
        None,
        description="eigenvalues (.npy) that un-whiten rgb; None: rgb is left as it is",
        scope="free",
    )
    lr_boundary_examples: Count = key(None, description=f"videos between two decays: {COUNT_NOTE}")
    max_iter: PositiveInt = key(700_000, description="steps after which the rate decays no more")
    learning_rate_decay: PositiveFloat = key(0.8, description="factor of each decay")
    l2_penalty: NonNegativeFloat = key(1e-5, description="L2 of the last layer")
    gradient_clip_norm: PositiveFloat = key(
        1.0, description="norm for clip_gradients; else not applied"
    )
    clip_gradients: bool = key(False, description="clip gradients, as the paper does")

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

    @property
    def whitening(self) -> str | None:
        """File of the eigenvalues that un-whiten rgb; None: rgb is left as it is."""
        return self.eigen_file

    def without_effect(self) -> dict[str, str]:
        """Returns what is to be said of keys that change nothing."""
        said = super().without_effect()
        if not self.clip_gradients:
            said["gradient_clip_norm"] = (
                "gradient_clip_norm is not applied, as in the original; --set"
                " TRAIN.clip_gradients=True applies it, as in the paper"
            )
        return said


def construct(**arguments: Any) -> nn.Module:
    """Returns NeXtVLAD with fresh weights; see the model's constructor."""
    from videozoo.models.nextvlad import NeXtVLAD

    return NeXtVLAD(**arguments)


def fluid_names(model: nn.Module, settings: FeatureSettings) -> Table:
    """Returns the original's names of the model's weights."""
    from videozoo.checkpoints.names import nextvlad_names

    return nextvlad_names(model, settings.feature_names)


def rate_factor(settings: NeXtVLADSettings, videos: int) -> Callable[[int], float]:
    """Returns learning_rate_decay to the number of boundaries passed, by the step."""
    every, last = videos // settings.batch_size, settings.max_iter
    decay = settings.learning_rate_decay
    return lambda step: staircase(step, every=every, decay=decay, last_step=last)


def clip_norm(settings: NeXtVLADSettings) -> float | None:
    """Returns the norm that the paper clips gradients to; the original read it, and did not."""
    return settings.gradient_clip_norm if settings.clip_gradients else None


SPEC = ModelSpec(
    keys=NeXtVLADSettings,
    construct=construct,
    weight_decay=lambda settings: float(settings.l2_penalty),
    decays=lambda name: name.startswith("classifier."),
    rate_factor=rate_factor,
    clip_norm=clip_norm,
    fast_engines=(),
    fluid_names=fluid_names,
)
