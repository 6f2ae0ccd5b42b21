"""Encoders as graphs give the rows that PyTorch gives, any number at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import hub_networks as hub
from lite0 import made_network
from videozoo.encoders import lite0_encoder
from videozoo.encoders.encoder import Encoder
from videozoo.encoders.hub import open_hub_encoder
from videozoo.encoders.image_networks import ClipNetwork, ClipNetworkEncoder, ResNetEncoder
from videozoo.encoders.lite0_encoder import EfficientNetLite0Encoder
from videozoo.exporting import export
from videozoo.exporting.graphs import encoder_graph
from videozoo.models.resnet import ResNet

CPU = torch.device("cpu")


def of_the_hub(kind: str) -> Callable[[Path], Encoder]:
    def made(folder: Path) -> Encoder:
        hub.saved(folder, hub.CASES[kind])
        return open_hub_encoder(f"hf:{folder}", CPU, precision="32")

    return made


def stnet(folder: Path) -> Encoder:
    network = ClipNetwork(
        model="STNET", sha256="0", arguments={"num_classes": 2, "num_layers": 18, "seglen": 2},
        seg_num=3, seglen=2, short_size=36, target_size=32, resize="4:3", resize_with="swscale",
        image_mean=[0.5] * 3, image_std=[0.25] * 3, precision="32",
    )  # fmt: skip
    return ClipNetworkEncoder(network, network.built().state_dict(), name="own", device=CPU)


ENCODERS: dict[str, Callable[[Path], Encoder]] = {
    "resnet": lambda folder: ResNetEncoder(
        ResNet(num_layers=18), name="resnet18", sha256="0", device=CPU, precision="32"
    ),
    "lite0": lambda folder: EfficientNetLite0Encoder(CPU, "32", "torch"),
    "stnet": stnet,
    "vit": of_the_hub("vit"),
    "videomae": of_the_hub("videomae"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_a_graph_of_an_encoder_gives_its_rows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = made_network()
    monkeypatch.setattr(lite0_encoder, "load_efficientnet_lite0", lambda: (network, "0"))
    encoder = ENCODERS[name](tmp_path)
    graph = encoder_graph(encoder)
    frames = graph.example({"rows": 3})[0]
    with torch.no_grad():
        rows = graph.reference(frames)
    padded = torch.cat([frames, frames.new_zeros(encoder.batch - 3, *frames.shape[1:])])
    for found, wanted in zip(rows, encoder(padded), strict=True):
        assert torch.allclose(found, wanted[:3], rtol=1e-5, atol=1e-4)
    found = export._written(tmp_path / "x.onnx", graph, "onnx", {})
    assert found <= export.MOST
