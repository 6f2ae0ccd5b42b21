"""The stages of a clip model's ResNet: which of them stay as they are, which learn more slowly.

Stage 1 is the stem (conv1 and bn1), stages 2 to 5 are layer1 to layer4. What lies behind the trunk
or between its stages (classifier, temporal blocks) belongs to none: it is new to every data set.
"""

from __future__ import annotations

import re
from typing import Any

from torch import nn

STAGES = 5
_STEM = re.compile(r"backbone\.(conv1|bn1)\.")
_LAYER = re.compile(r"backbone\.layer([1-4])\.")


def stage_of(name: str) -> int | None:
    """Returns the stage that a parameter belongs to by its name in the model; None: none."""
    if _STEM.match(name):
        return 1
    layer = _LAYER.match(name)
    return int(layer[1]) + 1 if layer else None


def freeze(model: nn.Module, stages: int) -> list[nn.Module]:
    """Takes the first stages out of training.

    Args:
        model: TSN or StNet.
        stages: how many.

    Returns:
        Their modules: a step must begin with them in test mode, so that running statistics stay.
    """
    if not stages:
        return []
    trunk = model.get_submodule("backbone")
    names = ["conv1", "bn1", *(f"layer{number}" for number in range(1, stages))]
    modules = [trunk.get_submodule(name) for name in names]
    for module in modules:
        module.requires_grad_(False)
    return modules


def layer_groups(model: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Returns parameter groups whose rates fall by `decay` from stage to stage towards the input.

    What belongs to no stage has the full rate, stage 5 `decay` times that, stage 1 decay ** 5: the
    layer-wise rates of J. Howard, S. Ruder: "Universal Language Model Fine-tuning for Text
    Classification", ACL 2018, section 3.2.

    Returns:
        For an optimizer: groups with `params` and `rate_scale`, the trunk's last stage first.
    """
    groups: dict[int, list[nn.Parameter]] = {stage: [] for stage in range(STAGES + 1, 0, -1)}
    for name, parameter in model.named_parameters():
        groups[stage_of(name) or STAGES + 1].append(parameter)
    return [
        {"params": parameters, "rate_scale": decay ** (STAGES + 1 - stage)}
        for stage, parameters in groups.items()
    ]
