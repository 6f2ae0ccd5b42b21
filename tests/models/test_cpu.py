"""Folded copies give the scores of the models they were made from."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from videozoo.models import onednn, resnet
from videozoo.models.batch_norm import BatchNorm
from videozoo.models.cpu import FoldedConv, PackedLinear, for_inference
from videozoo.models.resnet import ResNet
from videozoo.specs import build_model


def lived_in(name: str, num_layers: int = 18) -> nn.Module:
    """A model in test mode whose batch norms do something."""
    torch.manual_seed(0)
    extra = {"seglen": 1} if name == "STNET" else {}
    model = build_model(name, num_classes=5, num_layers=num_layers, **extra)
    for norm in model.modules():
        if isinstance(norm, BatchNorm):
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
            nn.init.normal_(norm.running_mean, std=0.2)
            nn.init.normal_(norm.weight, 0.5, 0.3)
            nn.init.normal_(norm.bias, std=0.2)
    return model.eval()


def logits(model: nn.Module, clips: Tensor) -> Tensor:
    with torch.inference_mode():
        out: Tensor = model(clips)
    return out.clone()


@pytest.fixture(params=[True, False], ids=["fused", "plain"])
def fuses(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways to compute; a machine without oneDNN has the plain one only."""
    if not request.param:
        monkeypatch.setattr(onednn, "convolutions_fuse", lambda x: False)
    return bool(request.param)


@pytest.mark.parametrize("name", ["TSN", "STNET"])
@pytest.mark.parametrize("num_layers", [18, 50])
def test_folding_changes_no_logit(name: str, num_layers: int, fuses: bool) -> None:
    model = lived_in(name, num_layers)
    ready = for_inference(model, dtype=torch.float32)
    for height, width in ((64, 64), (33, 47), (64, 64)):  # the packed weights change with the size
        clips = torch.randn(2, 3, 3, height, width)
        wanted = logits(model, clips)
        tolerance = 1e-5 * wanted.abs().max().item()
        torch.testing.assert_close(logits(ready, clips), wanted, rtol=1e-5, atol=tolerance)


def test_the_model_is_left_as_it_is() -> None:
    model = lived_in("TSN").train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ready = for_inference(model, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        logits(ready, torch.randn(1, 2, 3, 32, 32))
    assert model.training
    assert not ready.training
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert any(isinstance(module, BatchNorm) for module in model.modules())
    assert not any(isinstance(module, BatchNorm) for module in ready.modules())


def test_the_input_is_left_as_it_is() -> None:
    trunk = for_inference(lived_in("TSN"), dtype=torch.float32).backbone
    image = torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    before = image.clone()
    with torch.inference_mode():
        trunk(image)
    assert torch.equal(image, before)


FEATURE_MODELS: dict[str, dict[str, Any]] = {
    "AttentionCluster": {"cluster_nums": [3, 2], "hidden_sizes": (6, 7)},
    "AttentionLSTM": {"embedding_size": 5, "lstm_size": 6, "hidden_sizes": (6, 7)},
    "LINEAR": {},
    "NEXTVLAD": {"cluster_size": 3, "hidden_size": 8, "groups": 2, "gating_reduction": 2},
}


@pytest.mark.parametrize("packs", [True, False], ids=["packed", "plain"])
@pytest.mark.parametrize("name", FEATURE_MODELS)
def test_packing_changes_no_logit(name: str, packs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not packs:
        monkeypatch.setattr(onednn, "linears_pack", lambda weight: False)
    torch.manual_seed(0)
    model = build_model(name, num_classes=4, feature_dims=[8, 6], **FEATURE_MODELS[name]).eval()
    for parameter in model.parameters():  # biases start at zero
        nn.init.normal_(parameter, std=0.3)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    ready = for_inference(model, dtype=torch.float32)
    short = for_inference(model, dtype=torch.bfloat16)
    for videos in (3, 1, 5):
        features = [torch.randn(videos, 7, 8), torch.randn(videos, 7, 6)]
        lengths = torch.tensor([7, 3, 5, 1, 7][:videos])
        with torch.inference_mode():
            wanted = model(features, lengths)
            torch.testing.assert_close(ready(features, lengths), wanted, rtol=1e-5, atol=1e-5)
            with torch.autocast("cpu", torch.bfloat16):
                rounded = short(features, lengths).float()
            # Both copies were made of the same model: short floats move a logit a little.
            assert 0 < (rounded - wanted).abs().max() < 0.1 * wanted.abs().max() + 0.05
    after = model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())


def test_large_weights_are_not_copied_twice() -> None:
    layer = nn.Linear(3, 4)
    ready = for_inference(nn.Sequential(layer, layer), dtype=torch.float32)
    assert isinstance(ready, nn.Sequential)
    assert ready[0] is ready[1]
    assert isinstance(ready[0], PackedLinear)
    assert list(ready.parameters()) == []


@pytest.mark.parametrize("relu", [True, False])
def test_a_folded_convolution_adds_before_its_relu(relu: bool, fuses: bool) -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(4, 6, 3, padding=1, bias=False), BatchNorm(6).eval()
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    x, shortcut = torch.randn(2, 4, 5, 7), torch.randn(2, 6, 5, 7)
    ready = FoldedConv(conv=conv, norm=norm, relu=relu, dtype=torch.float32)
    with torch.inference_mode():
        alone, together = norm(conv(x)), norm(conv(x)) + shortcut
        if relu:
            alone, together = alone.relu(), together.relu()
        torch.testing.assert_close(ready(x), alone, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(ready(x, shortcut.clone()), together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("padding", [(1, 1), (0, 1), (1, 2)])
@pytest.mark.parametrize("groups", [1, 4])
def test_a_folded_convolution_pads_and_cuts(
    padding: tuple[int, int], groups: int, fuses: bool
) -> None:
    torch.manual_seed(0)
    kernel = sum(padding) + 2
    conv, norm = nn.Conv2d(4, 4, kernel, stride=2, groups=groups, bias=False), BatchNorm(4).eval()
    x = torch.randn(2, 4, 8, 6)
    ready = FoldedConv(
        conv=conv, norm=norm, relu=True, dtype=torch.float32, ceiling=0.5, padding=padding
    )
    with torch.inference_mode():
        wanted = norm(conv(nn.functional.pad(x, padding * 2))).clamp(0.0, 0.5)
        torch.testing.assert_close(ready(x), wanted, rtol=1e-5, atol=1e-5)
        with pytest.raises(ValueError, match="takes no shortcut"):
            ready(x, wanted)


@pytest.mark.parametrize("name", ["TSN", "STNET"])
def test_long_videos_pass_in_parts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = lived_in(name)
    clips = torch.randn(3, 5, 3, 32, 32)
    monkeypatch.setattr(resnet, "IMAGES_AT_ONCE_CPU", 15)
    wanted = logits(model, clips)
    monkeypatch.setattr(resnet, "IMAGES_AT_ONCE_CPU", 4)
    sizes: list[int] = []
    stem = ResNet.stem

    def counted(self: ResNet, x: Tensor) -> Tensor:
        sizes.append(len(x))
        return stem(self, x)

    monkeypatch.setattr(ResNet, "stem", counted)
    torch.testing.assert_close(logits(model, clips), wanted, rtol=1e-4, atol=1e-4)
    # a frame of TSN is alone; the segments of a video of StNet belong together
    assert sizes == ([4, 4, 4, 3] if name == "TSN" else [5, 5, 5])
    sizes.clear()
    model.train()(clips).sum().backward()
    assert sizes == [15]  # batch norms see all


@pytest.mark.parametrize("name", ["TSN", "STNET"])
@pytest.mark.parametrize("training", [True, False])
def test_pixels_enter_with_their_channels_side_by_side(name: str, training: bool) -> None:
    model = lived_in(name).train(training)
    layouts: list[bool] = []
    model.backbone.conv1.register_forward_pre_hook(
        lambda module, x: layouts.append(x[0].is_contiguous(memory_format=torch.channels_last))
    )
    model(torch.randn(1, 3, 3, 32, 32))
    assert layouts == [True]
