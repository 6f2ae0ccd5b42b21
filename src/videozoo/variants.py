"""The published models by name, at their sizes; `pretrained` puts weights in.

    model = videozoo.nextvlad_youtube8m(pretrained="nextvlad_youtube8m")   # a name of the zoo
    model = videozoo.tsn_resnet50_kinetics400(pretrained="checkpoints/TSN_best.safetensors")

All weights must fit: a checkpoint of other sizes is an error that lists what does not. Models come
in training mode, as PyTorch's do.
"""

from __future__ import annotations

import os
from typing import TypeVar

from torch import nn

from videozoo import models
from videozoo.checkpoints.backbones import whole_state_dict
from videozoo.checkpoints.native import check_state_dict, kind_of, load_native
from videozoo.errors import FileError
from videozoo.zoo.resolve import resolve_weights

Pretrained = str | os.PathLike[str] | None
Model = TypeVar("Model", bound=nn.Module)


def attention_cluster_youtube8m(pretrained: Pretrained = None) -> models.AttentionCluster:
    """Returns AttentionCluster as it was published; see the module's head."""
    return _filled(models.attention_cluster_youtube8m(), "AttentionCluster", pretrained)


def attention_lstm_youtube8m(pretrained: Pretrained = None) -> models.AttentionLSTM:
    """Returns AttentionLSTM as it was published; see the module's head."""
    return _filled(models.attention_lstm_youtube8m(), "AttentionLSTM", pretrained)


def nextvlad_youtube8m(pretrained: Pretrained = None) -> models.NeXtVLAD:
    """Returns NeXtVLAD as it was published; see the module's head."""
    return _filled(models.nextvlad_youtube8m(), "NEXTVLAD", pretrained)


def stnet_resnet50_kinetics400(pretrained: Pretrained = None) -> models.StNet:
    """Returns StNet as it was published; see the module's head."""
    return _filled(models.stnet_resnet50_kinetics400(), "STNET", pretrained)


def tsn_resnet50_kinetics400(pretrained: Pretrained = None) -> models.TSN:
    """Returns TSN as it was published; see the module's head."""
    return _filled(models.tsn_resnet50_kinetics400(), "TSN", pretrained)


def _filled(model: Model, name: str, pretrained: Pretrained) -> Model:
    """Puts the weights of a native checkpoint, a state dict or a name of the zoo into a model.

    Raises:
        VideozooError: there are none, they are of another model, or do not fit.
    """
    if pretrained is None:
        return model
    path = resolve_weights(pretrained)
    kind = kind_of(path)
    if kind == "torch":
        model.load_state_dict(whole_state_dict(path, model.state_dict()))
        return model
    if kind != "native":
        raise FileError(path, "is no .safetensors file of videozoo; videozoo convert makes one")
    checkpoint = load_native(path)
    if checkpoint.model != name:
        raise FileError(path, f"these are weights of {checkpoint.model}, not of {name}")
    check_state_dict(model.state_dict(), checkpoint.state_dict, str(path))
    model.load_state_dict(checkpoint.state_dict)
    return model
