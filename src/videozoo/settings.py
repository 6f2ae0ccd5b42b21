"""Every config key, typed: one class a model. The descriptions are the reference of the keys.

A config file has the sections MODEL, TRAIN, VALID, TEST and INFER. A key may stand in any of them;
what stands in MODEL is the default for the four modes. Keys marked "accepted" came with the
original's files and change nothing.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
Count = Positive | Literal["auto"] | None

LABEL_KEYS = ("label_file", "kinetics_labels")
COUNT_NOTE = "honoured as written; counted from the list when absent, None or 'auto'"


class Settings(BaseModel):
    """The keys that all models share."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    NAME: ClassVar[str]
    MODEL_KEYS: ClassVar[tuple[str, ...]]
    FEATURES: ClassVar[bool]

    name: str | None = Field(None, description="accepted: the model is chosen by --model-name")
    dataset: str | None = Field(None, description="accepted")
    bone_network: str | None = Field(None, description="accepted")
    bone_nework: str | None = Field(None, description="accepted: the original's spelling")
    num_reader_threads: int | None = Field(None, description="accepted: see num_workers")
    buf_size: int | None = Field(None, description="accepted: the whole list is shuffled")

    num_classes: Positive = Field(description="number of classes")
    topk: Positive = Field(20, description="predictions of a video that count in GAP and mAP")
    label_file: str | None = Field(
        None, description="class names: a name a line, a csv with Index and Name, or a .json"
    )
    kinetics_labels: str | None = Field(None, description="another name of label_file")
    filelist: str | None = Field(None, description="list file, folder, glob or csv of the samples")
    batch_size: Positive = Field(1, description="samples a step, over all devices")
    micro_batch: Positive | None = Field(
        None, description="samples a device takes at once; None: batch_size / num_gpus"
    )
    use_gpu: bool = Field(True, description="use GPUs where there are any")
    num_gpus: Positive = Field(1, description="devices the batch size was made for")
    num_workers: Annotated[int, Field(ge=0)] | None = Field(
        None, description="reader processes a device; None: the cores, at most 8; 0: no process"
    )
    seed: Annotated[int, Field(ge=0)] = Field(
        0, description="seed of weights, order, sampling and dropout"
    )
    precision: Literal["32", "bf16"] = Field(
        "32", description="'32' float32, 'bf16' mixed precision"
    )
    epoch: Positive = Field(1, description="number of passes over the training list")
    learning_rate: Rate = Field(0.001, description="learning rate at the start")
    pretrain_base: str | None = Field(
        None, description="image ResNet to start from, used where the path exists"
    )
    save_every_steps: Positive | None = Field(None, description="also save every N steps")
    save_every_minutes: Rate | None = Field(None, description="also save every N minutes")

    @field_validator("precision", mode="before")
    @classmethod
    def _number_or_word(cls, value: object) -> object:
        return "32" if value == 32 else value

    def model_arguments(self) -> dict[str, Any]:
        """Returns the keyword arguments of the model's constructor."""
        return {key: getattr(self, key) for key in self.MODEL_KEYS}

    @property
    def labels(self) -> str | None:
        """The file of class names, under either of its two keys."""
        return self.label_file or self.kinetics_labels


class FeatureSettings(Settings):
    """The keys of the models on YouTube-8M frame features."""

    FEATURES = True

    feature_num: Positive | None = Field(None, description="accepted: number of modalities")
    feature_names: list[str] = Field(
        ["rgb", "audio"], description="modalities, as records call them"
    )
    feature_dims: list[Positive] = Field([1024, 128], description="values a frame, by modality")

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


class ClipSettings(Settings):
    """The keys of the models on video clips."""

    FEATURES = False

    format: Literal["pkl", "mp4"] = Field(
        "pkl", description="accepted: what a list's lines name is seen from their endings"
    )
    seg_num: Positive = Field(3, description="segments a video is sampled at")
    seglen: Positive = Field(1, description="frames a segment")
    image_mean: Annotated[list[float], Field(min_length=3, max_length=3)] = Field(
        [0.485, 0.456, 0.406], description="mean of red, green, blue, of values in 0..1"
    )
    image_std: Annotated[list[Rate], Field(min_length=3, max_length=3)] = Field(
        [0.229, 0.224, 0.225], description="deviation of red, green, blue"
    )
    num_layers: Literal[18, 34, 50, 101, 152] = Field(50, description="depth of the ResNet")
    short_size: Positive = Field(256, description="pixels of the short side after resizing")
    target_size: Positive = Field(224, description="pixels of the square crop")
    resize: Literal["4:3", "aspect"] = Field(
        "4:3", description="the other side: '4:3' int(short_size * 4 / 3), 'aspect' in proportion"
    )
    resize_with: Literal["swscale", "pillow"] = Field(
        "swscale", description="for videos: 'pillow' as pickles are resized, slower"
    )
    flip: bool = Field(True, description="mirror half of the training clips")
    decoder: Literal["pyav", "torchcodec"] = Field(
        "pyav", description="what decodes videos; 'torchcodec' must be installed"
    )
    video_path: str | None = Field(None, description="accepted: give infer videos or --filelist")
    video_folder: str | None = Field(
        None, description="the videos of a Kinetics csv: a folder a class"
    )
    momentum: Share = Field(0.9, description="momentum of SGD")
    l2_weight_decay: Annotated[float, Field(ge=0)] = Field(1e-4, description="L2 of all weights")
    learning_rate_decay: Rate = Field(
        0.1, description="factor after one and after two thirds of the epochs"
    )
    total_videos: Count = Field(None, description=f"videos an epoch for the decay: {COUNT_NOTE}")

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.target_size > self.short_size:
            raise ValueError(
                f"target_size {self.target_size} is larger than short_size {self.short_size}:"
                " the crop does not fit into the frame"
            )
        return self


class StNetSettings(ClipSettings):
    """The keys of StNet."""

    NAME = "STNET"
    MODEL_KEYS = ("num_classes", "num_layers", "seglen")

    seg_num: Positive = Field(7, description="segments a video is sampled at")
    seglen: Positive = Field(5, description="frames a segment")


class TSNSettings(ClipSettings):
    """The keys of TSN."""

    NAME = "TSN"
    MODEL_KEYS = ("num_classes", "num_layers")

    @model_validator(mode="after")
    def _one_frame_a_segment(self) -> Self:
        if self.seglen != 1:
            raise ValueError(
                f"seglen is {self.seglen}, but TSN takes one frame a segment: seglen = 1"
            )
        return self


SETTINGS: dict[str, type[Settings]] = {
    cls.NAME: cls
    for cls in (
        AttentionClusterSettings,
        AttentionLSTMSettings,
        NeXtVLADSettings,
        StNetSettings,
        TSNSettings,
    )
}
