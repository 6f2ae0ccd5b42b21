"""The original's names of a model's weights, asked for by the model's name."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from torch import nn

from videozoo.checkpoints.names import Table
from videozoo.specs import find_spec


def fluid_table(model_name: str, model: nn.Module, *, feature_names: Sequence[str] = ()) -> Table:
    """Returns the table of a model's record, for settings with these modalities."""
    names_of = find_spec(model_name).fluid_names
    assert names_of is not None
    return names_of(model, SimpleNamespace(feature_names=feature_names))
