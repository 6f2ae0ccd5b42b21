"""The config keys that all models share, and what a key says of itself.

A config file has the sections MODEL, TRAIN, VALID, TEST and INFER. A key may stand in any of them;
what stands in MODEL is the default for the four modes. Keys marked "accepted" came with the
original's files and change nothing. The descriptions are the reference of the keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticUndefined

Scope = Literal["free", "order", "training"]
"""What a key is for, beyond its meaning.

free: a resumed training may change it and still be exact, or its fingerprint holds it by name;
order: it decides which samples a step has;
training: training alone reads it, and in [TRAIN].
"""

PositiveInt = Annotated[int, Field(ge=1, le=2**31 - 1)]  # pydantic's own says "greater than 0"
Width = Annotated[int, Field(ge=1, le=1 << 20)]  # of what a model computes
Workers = Annotated[int, Field(ge=0, le=256)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
UnitInterval = Annotated[float, Field(gt=0, le=1)]
Count = PositiveInt | Literal["auto"] | None

MAX_BAD = 0.05
LABEL_KEYS = ("label_file", "kinetics_labels")
COUNT_NOTE = "honoured as written; counted from the list when absent, None or 'auto'"


def key(
    default: Any = PydanticUndefined,
    *,
    description: str = "",
    accepted: bool = False,
    scope: Scope | tuple[Scope, ...] = (),
) -> Any:
    """Returns the Field of a config key.

    Args:
        default: its default; none: the key is required.
        description: its meaning, one line.
        accepted: it came with the original's files and changes nothing.
        scope: see Scope.
    """
    if accepted:
        description = f"accepted: {description}" if description else "accepted"
    scopes = [scope] if isinstance(scope, str) else list(scope)
    notes: dict[str, Any] = {"accepted": accepted, "scope": scopes}
    return Field(default, description=description, json_schema_extra=notes)


class SharedSettings(BaseModel):
    """The keys that all models share.

    Attributes:
        NAME: the model's name.
        CONFIG_FILE: name of the config that comes with it.
        MODEL_KEYS: the keys that are arguments of its constructor.
        INPUT_KEYS: the keys that an exported graph computes by before its model does.
        VIDEOS_KEY: the key that gives the videos its schedule counts by.
        family: "features" or "clips": what the model takes.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    NAME: ClassVar[str]
    CONFIG_FILE: ClassVar[str]
    MODEL_KEYS: ClassVar[tuple[str, ...]]
    INPUT_KEYS: ClassVar[tuple[str, ...]] = ()
    VIDEOS_KEY: ClassVar[str | None] = None
    family: ClassVar[Literal["features", "clips"]]

    if TYPE_CHECKING:  # a key of both families, each with its own default
        multi_label: bool

    name: str | None = key(
        None, description="the model is chosen by --model-name", accepted=True, scope="free"
    )
    dataset: str | None = key(None, accepted=True, scope="free")
    bone_network: str | None = key(None, accepted=True, scope="free")
    bone_nework: str | None = key(
        None, description="the original's spelling", accepted=True, scope="free"
    )
    num_reader_threads: int | None = key(
        None, description="see num_workers", accepted=True, scope="free"
    )
    buf_size: int | None = key(
        None, description="the whole list is shuffled", accepted=True, scope="free"
    )

    num_classes: Annotated[int, Field(ge=1, le=1 << 24)] = key(description="number of classes")
    topk: PositiveInt = key(
        20, description="predictions of a video that count in GAP and mAP", scope="free"
    )
    label_file: str | None = key(
        None,
        description="class names: a name a line, a csv with Index and Name, or a .json",
        scope="free",
    )
    kinetics_labels: str | None = key(None, description="another name of label_file", scope="free")
    filelist: str | None = key(
        None, description="list file, folder, glob or csv of the samples", scope="free"
    )
    batch_size: Width = key(
        1, description="samples a step, over all devices", scope=("free", "order")
    )
    micro_batch: PositiveInt | None = key(
        None,
        description="samples a device takes at once; None: batch_size / num_gpus",
        scope="free",
    )
    use_gpu: bool = key(True, description="use GPUs where there are any", scope="free")
    num_gpus: PositiveInt = key(1, description="devices the batch size was made for", scope="free")
    num_workers: Workers | None = key(
        None,
        description="reader processes a device; None: the cores, at most 8; 0: no process",
        scope="free",
    )
    reader_timeout: NonNegativeFloat = key(
        300.0,
        description="seconds that a sample may take before its reader process counts as hung and"
        " another reads it; 0: any time",
        scope="free",
    )
    seed: Seed = key(
        0, description="seed of weights, order, sampling and dropout", scope=("free", "order")
    )
    precision: Literal["32", "64", "bf16"] = key(
        "32", description="'32' float32, '64' float64 (to compare), 'bf16' mixed precision"
    )
    epoch: PositiveInt = key(1, description="number of passes over the training list")
    learning_rate: PositiveFloat = key(0.001, description="learning rate at the start")
    pretrain_base: str | None = key(
        None,
        description="image ResNet to start from: a path, used where it exists, a name of the zoo,"
        " or 'none'",
        scope="free",
    )
    save_every_steps: PositiveInt | None = key(
        None, description="also save every N steps", scope="free"
    )
    save_every_minutes: PositiveFloat | None = key(
        None, description="also save every N minutes", scope="free"
    )
    keep_epochs: PositiveInt | Literal["all"] = key(
        3,
        description="epochs whose checkpoints stay beside last and best; 'all': every one's",
        scope="free",
    )
    max_bad: Annotated[float, Field(ge=0, le=1)] = key(
        MAX_BAD,
        description="training stops where a larger share of samples cannot be read; 1: never",
        scope="free",
    )

    @field_validator("precision", mode="before")
    @classmethod
    def _number_or_word(cls, value: object) -> object:
        return str(value) if value in (32, 64) else value

    @classmethod
    def keys_of(cls, scope: Scope) -> frozenset[str]:
        """Returns the keys that have a scope."""
        return frozenset(name for name in cls.model_fields if scope in _notes(cls, name)["scope"])

    @classmethod
    def useful_keys(cls) -> list[str]:
        """Returns the keys that change something: all but the accepted ones."""
        return [name for name in cls.model_fields if not _notes(cls, name)["accepted"]]

    def model_arguments(self) -> dict[str, Any]:
        """Returns the keyword arguments of the model's constructor."""
        return {name: getattr(self, name) for name in self.MODEL_KEYS}

    def preprocessing(self) -> dict[str, Any]:
        """Returns what is done to a video before the model, as results and checkpoints state it."""
        raise NotImplementedError

    def sample_bytes(self) -> int:
        """Returns about how much memory a sample takes as it is read."""
        raise NotImplementedError

    def without_effect(self) -> dict[str, str]:
        """Returns by key what is to be said where it is given, since here it changes nothing."""
        return {}

    @property
    def labels(self) -> str | None:
        """The file of class names, under either of its two keys."""
        return self.label_file or self.kinetics_labels


def _notes(cls: type[SharedSettings], name: str) -> dict[str, Any]:
    """Returns what `key` has noted of a key."""
    notes = cls.model_fields[name].json_schema_extra
    return notes if isinstance(notes, dict) else {"accepted": False, "scope": []}


class Settings(SharedSettings):
    """The keys that all models share, those of training recipes among them."""

    optimizer: Literal["adam", "adamw", "centered_rmsprop", "sgd"] | None = key(
        None, description="what makes steps of gradients; None: the model's own", scope="training"
    )
    optimizer_options: dict[str, Any] | None = key(
        None,
        description="numbers of that optimizer by their names in PyTorch, such as"
        " {'betas': (0.9, 0.98), 'weight_decay': 0.05}",
        scope="training",
    )
    schedule: Literal["cosine"] | None = key(
        None,
        description="learning rate: 'cosine' falls to 0 over all epochs; None: the model's",
        scope="training",
    )
    warmup_steps: NonNegativeInt = key(
        0, description="first steps, over which the learning rate rises in a line", scope="training"
    )
    label_smoothing: Fraction = key(
        0.0, description="share of a label given to all classes alike", scope="training"
    )
    mixup_alpha: NonNegativeFloat = key(
        0.0,
        description="mixes videos and labels in shares from Beta(alpha, alpha); 0: off",
        scope="training",
    )
    class_weights: Literal["balanced"] | list[PositiveFloat] | None = key(
        None,
        description="factors of the loss, a class each; 'balanced': by rarity in the list",
        scope="training",
    )
    sampler: Literal["balanced"] | None = key(
        None,
        description="'balanced' draws every class equally often; None: the shuffled list",
        scope=("order", "training"),
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = key(
        None,
        description="validate and save a moving average of the weights with this decay",
        scope="training",
    )
    early_stopping: PositiveInt | None = key(
        None,
        description="end after so many validations without a new best",
        scope=("free", "training"),
    )

    @model_validator(mode="after")
    def _balance_is_not_made_twice(self) -> Self:
        if self.sampler == "balanced" and self.class_weights == "balanced":
            raise ValueError(
                "sampler and class_weights are both 'balanced', which corrects twice for rare"
                " classes; leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _one_weight_a_class(self) -> Self:
        given = self.class_weights
        if isinstance(given, list) and len(given) != self.num_classes:
            raise ValueError(
                f"class_weights has {len(given)} entries, num_classes is {self.num_classes}"
            )
        return self
