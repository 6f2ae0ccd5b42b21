"""What must be known of a model, in one record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from videozoo.config.keys import Settings
from videozoo.errors import VideozooError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelSpec:
    """The record of a model.

    Attributes:
        keys: its config keys; they hold its name and that of its bundled config.
        construct: its constructor; imports the model's file, and so torch, when it is called.
    """

    keys: type[Settings]
    construct: Callable[..., nn.Module]

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
