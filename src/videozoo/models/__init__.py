"""The models: float tensors in, logits out.

Feature models take `(features, lengths)`, clip models take `clips`. A model's keyword arguments are
named like the config's keys. Published sizes are functions: `tsn_resnet50_kinetics400()`.

A feature model whose `forward` packs videos has `forward_padded` besides: the same without, which
torch.export takes.

What a clip model may have besides, and what then works:

- `backbone`, a ResNet, and a last layer `fc` or `classifier`: it starts from an image ResNet.
- `stages()`, lists of modules, the one at the input first: they freeze, or learn more slowly.
- `images_at_once(device)`: long clips are scored in parts of so many images.
"""

from __future__ import annotations

from videozoo.models.attention_cluster import AttentionCluster, attention_cluster_youtube8m
from videozoo.models.attention_lstm import AttentionLSTM, attention_lstm_youtube8m
from videozoo.models.linear import Linear
from videozoo.models.nextvlad import NeXtVLAD, nextvlad_youtube8m
from videozoo.models.stnet import StNet, stnet_resnet50_kinetics400
from videozoo.models.tsn import TSN, tsn_resnet50_kinetics400

__all__ = [
    "TSN",
    "AttentionCluster",
    "AttentionLSTM",
    "Linear",
    "NeXtVLAD",
    "StNet",
    "attention_cluster_youtube8m",
    "attention_lstm_youtube8m",
    "nextvlad_youtube8m",
    "stnet_resnet50_kinetics400",
    "tsn_resnet50_kinetics400",
]
