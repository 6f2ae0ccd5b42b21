"""The config keys of training recipes that all models share; each is off until it is given."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from videozoo.settings.shared import Positive, Rate, Share, SharedSettings


class Settings(SharedSettings):
    """The keys that all models share, those of training recipes among them."""

    schedule: Literal["cosine"] | None = Field(
        None, description="learning rate: 'cosine' falls to 0 over all epochs; None: the model's"
    )
    warmup_steps: Annotated[int, Field(ge=0)] = Field(
        0, description="first steps, over which the learning rate rises in a line"
    )
    label_smoothing: Share = Field(0.0, description="share of a label given to all classes alike")
    mixup_alpha: Annotated[float, Field(ge=0)] = Field(
        0.0, description="mixes videos and labels in shares from Beta(alpha, alpha); 0: off"
    )
    class_weights: Literal["balanced"] | list[Rate] | None = Field(
        None, description="factors of the loss, a class each; 'balanced': by rarity in the list"
    )
    sampler: Literal["balanced"] | None = Field(
        None, description="'balanced' draws every class equally often; None: the shuffled list"
    )
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="validate and save a moving average of the weights with this decay"
    )
    early_stopping: Positive | None = Field(
        None, description="end after so many validations without a new best"
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
