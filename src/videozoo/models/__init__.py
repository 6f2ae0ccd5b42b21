"""The five models: float tensors in, logits out.

Feature models take `(features, lengths)`, clip models take `clips`. A model's keyword arguments are
named like the config's keys.
"""

from __future__ import annotations

from videozoo.models.attention_cluster import AttentionCluster
from videozoo.models.attention_lstm import AttentionLSTM
from videozoo.models.nextvlad import NeXtVLAD
from videozoo.models.stnet import StNet
from videozoo.models.tsn import TSN

__all__ = ["TSN", "AttentionCluster", "AttentionLSTM", "NeXtVLAD", "StNet"]
