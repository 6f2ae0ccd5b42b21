"""What must be known of a model, in one record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from videozoo.config.keys import Settings
from videozoo.errors import VideozooError

if TYPE_CHECKING:
    from torch import nn

    from videozoo.checkpoints.names import Table


def _nothing(settings: Any) -> None:
    return None


def _no_options(settings: Any) -> Mapping[str, Any]:
    return {}


def _no_decay(settings: Any) -> float:
    return 0.0


def _never(name: str) -> bool:
    return False


def _constant(settings: Any, videos: int) -> Callable[[int], float]:
    return lambda step: 1.0


@dataclass(frozen=True)
class ModelSpec:
    """The record of a model.

    Attributes:
        keys: its config keys; they hold its name and that of its bundled config.
        construct: its constructor; imports the model's file, and so torch, when it is called.
        optimizer: the one it is trained with, a key of training.optimizers.OPTIMIZERS.
        optimizer_options: that optimizer's numbers, by the settings of TRAIN.
        weight_decay: the L2 penalty's factor, by the settings of TRAIN.
        decays: says by its name whether a parameter decays.
        rate_factor: by the settings of TRAIN and an epoch's videos, the factor of the learning rate
            after so many steps.
        loss_is_sum: the loss is the sum over the batch, not the mean.
        clip_norm: the norm that gradients are clipped to, by the settings of TRAIN; None: not.
        fast_engines: those that score an export of it at least as fast as PyTorch on a CPU, the
            fastest first (docs/benchmarks.md).
        default_pretrain: what training starts from where nothing is said: a name of the zoo.
        fluid_names: the original's variable names of the model's weights, by the model and its
            settings; None: the original had no such model.
    """

    keys: type[Settings]
    construct: Callable[..., nn.Module]
    optimizer: str = "adam"
    optimizer_options: Callable[[Any], Mapping[str, Any]] = _no_options
    weight_decay: Callable[[Any], float] = _no_decay
    decays: Callable[[str], bool] = _never
    rate_factor: Callable[[Any, int], Callable[[int], float]] = _constant
    loss_is_sum: bool = False
    clip_norm: Callable[[Any], float | None] = _nothing
    fast_engines: tuple[str, ...] = ("openvino", "onnxruntime")
    default_pretrain: Callable[[Any], str | None] = _nothing
    fluid_names: Callable[[nn.Module, Any], Table] | None = None

    @property
    def name(self) -> str:
        """The model's name, as configs and checkpoints spell it."""
        return self.keys.NAME

    @property
    def config(self) -> str:
        """The file name of the config that comes with the model."""
        return self.keys.CONFIG_FILE

    def build(self, settings: Settings) -> nn.Module:
        """Builds the model that settings describe, with fresh weights.

        Raises:
            VideozooError: its numbers do not fit together.
        """
        return self.build_from(**settings.model_arguments())

    def build_from(self, **arguments: Any) -> nn.Module:
        """Builds the model from the arguments of its constructor, with fresh weights.

        Raises:
            VideozooError: its numbers do not fit together.
        """
        try:
            return self.construct(**arguments)
        except ValueError as error:
            raise VideozooError(f"{self.name}: {error}") from error
        except (RuntimeError, OverflowError, MemoryError) as error:
            reason = str(error).partition("\n")[0][:200]
            raise VideozooError(
                f"{self.name}: cannot be made with these sizes ({reason})"
            ) from error
