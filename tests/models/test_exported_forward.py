"""What torch.export takes of each model, with free batch and length, gives the model's logits."""

from __future__ import annotations

import pytest
import torch
from test_feature_models import BUILDERS, DIMS, build
from torch import Tensor, nn
from torch.export import Dim

from videozoo.models import TSN, StNet
from videozoo.models.batch_norm import BatchNorm

SIZES = [(1, 1), (2, 5), (5, 300)]


class Padded(nn.Module):
    """A feature model by the forward that is exported."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *tensors: Tensor) -> Tensor:
        forward = getattr(self.model, "forward_padded", self.model.forward)
        return forward(list(tensors[:-1]), tensors[-1])


def rows(batch: int, length: int) -> tuple[Tensor, ...]:
    """Features of two modalities, noise behind the videos, and their lengths, one of all."""
    lengths = torch.randint(1, length + 1, (batch,))
    lengths[0] = length
    return *(torch.randn(batch, length, d) for d in DIMS[:2]), lengths


def trained(model: nn.Module) -> nn.Module:
    """Gives batch norms statistics that do something."""
    for module in model.modules():
        if isinstance(module, BatchNorm):
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.running_mean, std=0.2)
    return model.eval()


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_one_graph_of_a_feature_model_gives_its_logits_at_any_batch_and_length(name: str) -> None:
    model, free = trained(build(name, drop=0.4)), {0: Dim("batch"), 1: Dim("length")}
    shapes = ((free, free, {0: free[0]}),)
    graph = torch.export.export(Padded(model), rows(3, 7), dynamic_shapes=shapes).module()
    for size in SIZES:
        given = rows(*size)
        with torch.no_grad():
            logits = model(given[:2], given[2])
            assert torch.allclose(graph(*given), logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seglen", [1, 2])
def test_one_graph_of_a_clip_model_takes_any_number_of_clips_and_segments(seglen: int) -> None:
    arguments = {"num_classes": 3, "num_layers": 18}
    model = trained(TSN(**arguments) if seglen == 1 else StNet(**arguments, seglen=seglen))
    clips, free = torch.randn(2, 3, 3 * seglen, 32, 32), {0: Dim("batch"), 1: Dim("segments")}
    graph = torch.export.export(model, (clips,), dynamic_shapes=(free,)).module()
    for size in [(1, 1), (3, 2), (2, 7)]:
        clips = torch.randn(*size, 3 * seglen, 32, 32)
        with torch.no_grad():
            assert torch.allclose(graph(clips), model(clips), rtol=0, atol=1e-5)
