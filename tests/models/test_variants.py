"""The named variants are the models of the bundled configs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from videozoo import models
from videozoo.config import load_experiment
from videozoo.specs import SPECS

CONFIGS = Path(__file__).parents[2] / "configs"
VARIANTS: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "attention_cluster.txt": ("AttentionCluster", models.attention_cluster_youtube8m),
    "attention_lstm.txt": ("AttentionLSTM", models.attention_lstm_youtube8m),
    "nextvlad.txt": ("NEXTVLAD", models.nextvlad_youtube8m),
    "stnet.txt": ("STNET", models.stnet_resnet50_kinetics400),
    "tsn.txt": ("TSN", models.tsn_resnet50_kinetics400),
}


@pytest.mark.parametrize("config", VARIANTS)
def test_a_variant_has_the_sizes_of_its_config(config: str) -> None:
    name, variant = VARIANTS[config]
    settings = load_experiment(SPECS[name].keys, str(CONFIGS / config))["TRAIN"]
    with torch.device("meta"):
        ours = variant()
        theirs = SPECS[name].build(settings)
    assert type(ours) is type(theirs)
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, v.shape) for k, v in theirs.state_dict().items()
    ]
    assert str(ours) == str(theirs)  # drop rates, strides


def test_every_published_model_has_a_variant() -> None:
    published = {name for name, spec in SPECS.items() if spec.fluid_names is not None}
    assert {name for name, _ in VARIANTS.values()} == published
