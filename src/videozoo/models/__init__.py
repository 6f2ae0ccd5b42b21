"""The five models: float tensors in, logits out.

Feature models take `(features, lengths)`, clip models take `clips`. A model's keyword arguments are
named like the config's keys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from videozoo.errors import VideozooError, did_you_mean
from videozoo.models.attention_cluster import AttentionCluster
from videozoo.models.attention_lstm import AttentionLSTM
from videozoo.models.nextvlad import NeXtVLAD
from videozoo.models.stnet import StNet
from videozoo.models.tsn import TSN

MODELS: dict[str, Callable[..., nn.Module]] = {
    "AttentionCluster": AttentionCluster,
    "AttentionLSTM": AttentionLSTM,
    "NEXTVLAD": NeXtVLAD,
    "STNET": StNet,
    "TSN": TSN,
}


def build_model(name: str, **kwargs: Any) -> nn.Module:
    """Builds a model with fresh weights.

    Args:
        name: a key of MODELS, in any case.
        **kwargs: the keyword arguments of that model's constructor.

    Raises:
        VideozooError: there is no such model, or its numbers do not fit together.
    """
    by_lower = {known.lower(): builder for known, builder in MODELS.items()}
    builder = by_lower.get(name.lower())
    if builder is None:
        known = ", ".join(MODELS)
        raise VideozooError(
            f"there is no model '{name}'{did_you_mean(name, MODELS) or ';'} the models are {known}"
        )
    try:
        return builder(**kwargs)
    except ValueError as error:
        raise VideozooError(f"{name}: {error}") from error


__all__ = ["MODELS", "TSN", "AttentionCluster", "AttentionLSTM", "NeXtVLAD", "StNet", "build_model"]
