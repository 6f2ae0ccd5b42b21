"""An EfficientNet-Lite0 with made-up weights."""

from __future__ import annotations

import torch
from torch import nn

from videozoo.encoders.efficientnet_lite0 import EfficientNetLite0
from videozoo.models.batch_norm import BatchNorm


def made_network() -> EfficientNetLite0:
    """Returns one in test mode whose batch norms do something, and whose signal goes on."""
    torch.manual_seed(0)
    network = EfficientNetLite0()
    for module in network.modules():
        if isinstance(module, BatchNorm):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.normal_(module.weight, 1.0, 0.3)
            nn.init.normal_(module.bias, std=0.2)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return network.eval()
