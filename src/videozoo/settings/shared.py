"""The config keys that all models share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0)]
Count = Positive | Literal["auto"] | None

LABEL_KEYS = ("label_file", "kinetics_labels")
COUNT_NOTE = "honoured as written; counted from the list when absent, None or 'auto'"


class SharedSettings(BaseModel):
    """The keys that all models share."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

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
        None,
        description="image ResNet to start from: a path, used where it exists, a name of the zoo,"
        " or 'none'",
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
