"""The config keys of the models on frame features."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, PositiveFloat, model_validator

from videozoo.config.keys import Fraction, PositiveInt, Settings, UnitInterval, Width, key


class FeatureSettings(Settings):
    """The keys of the models on YouTube-8M frame features."""

    family = "features"

    feature_num: PositiveInt | None = key(None, description="number of modalities", accepted=True)
    feature_names: list[str] = key(["rgb", "audio"], description="modalities, as records call them")
    feature_dims: list[Width] = key([1024, 128], description="values a frame, by modality")
    multi_label: bool = key(
        True,
        description="a video may have many classes, scores are sigmoids; False: it has one,"
        " softmax",
    )
    encoder: str | None = key(
        None,
        description="what describes videos by rows, where the list holds videos:"
        " efficientnet_lite0, resnet18 to resnet152, hf:OWNER/NAME or a trained TSN or STNET;"
        " None: records of features alone are taken",
    )
    rows_per_second: PositiveFloat = key(1.0, description="rows a second of an encoded video")
    max_rows: Width = key(300, description="rows of an encoded video at most")
    spread_rows: bool = key(
        False,
        description="a longer video's rows are spread over all of it; False: the rest is left out",
    )
    sound: bool = key(True, description="describe an encoded video's sound too, as 'audio'")
    motion: bool = key(
        False, description="describe how things move in an encoded video too, as 'motion'"
    )
    cache_rows: bool = key(
        True, description="keep the rows of encoded videos for other runs", scope="free"
    )
    frame_drop: Fraction = key(
        0.0, description="share of the training frames left out at random", scope="training"
    )
    distill_from: Annotated[list[str], Field(min_length=1)] | None = key(
        None,
        description="trained feature models (.safetensors) to learn the mean scores of",
        scope="training",
    )
    distill_weight: UnitInterval = key(
        0.5,
        description="share of those scores in what is learnt; the labels have the rest",
        scope="training",
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

    @property
    def frames_sampled(self) -> int | None:
        """Frames that the model sees of each video; None: all."""
        return None

    @property
    def whitening(self) -> str | None:
        """File of the eigenvalues that un-whiten rgb; None: rgb is left as it is."""
        return None

    def sample_bytes(self) -> int:
        """Returns the memory of a video of YouTube-8M's length as it is read."""
        return (self.frames_sampled or 300) * sum(self.feature_dims)

    def preprocessing(self) -> dict[str, Any]:
        """Returns what is done to a video before the model; see Settings.preprocessing."""
        frames: dict[str, Any] = {"frames": "all"}
        if self.frames_sampled is not None:
            frames = {"frames": self.frames_sampled, "sampling": "evenly, with repeats"}
        return {
            **frames,
            "feature_names": list(self.feature_names),
            "feature_dims": list(self.feature_dims),
            "dequantise": "v * 4 / 255 + 4 / 512 - 2",
        }

    def without_effect(self) -> dict[str, str]:
        """Returns what is to be said of keys that change nothing."""
        said = super().without_effect()
        default = type(self).model_fields["distill_weight"].default
        if self.distill_from is None and self.distill_weight != default:
            said["distill_weight"] = "distill_weight is not applied: distill_from names no models"
        return said
