from __future__ import annotations

import pytest
import torch

from videozoo.errors import VideozooError
from videozoo.models import TSN, StNet
from videozoo.models.resnet import ResNet
from videozoo.models.stnet import TemporalBlock
from videozoo.specs import SPECS, build_model


# Parameters without the 1000-class layer, as published for torchvision's models.
@pytest.mark.parametrize(
    ("num_layers", "parameters", "entries"),
    [
        (18, 11_176_512, 120),
        (34, 21_284_672, 216),
        (50, 23_508_032, 318),
        (101, 42_500_160, 624),
        (152, 58_143_808, 930),
    ],
)
def test_resnets_have_torchvisions_sizes_and_names(
    num_layers: int, parameters: int, entries: int
) -> None:
    with torch.device("meta"):
        trunk = ResNet(num_layers=num_layers)
    assert sum(p.numel() for p in trunk.parameters()) == parameters
    state = trunk.state_dict()
    assert len(state) == entries
    assert {"conv1.weight", "bn1.running_var", "layer1.0.conv1.weight"} <= state.keys()
    assert {"layer2.0.downsample.0.weight", "layer4.1.bn2.num_batches_tracked"} <= state.keys()


def test_a_bottlenecks_stride_sits_on_the_3x3() -> None:
    with torch.device("meta"):
        block = ResNet(num_layers=50).layer2[0]
    assert block.conv1.stride == (1, 1)
    assert block.conv2.stride == (2, 2)


@pytest.mark.parametrize("num_layers", [18, 34, 101])
@pytest.mark.parametrize("name", ["TSN", "STNET"])
def test_any_depth_any_segments_odd_sizes(name: str, num_layers: int) -> None:
    extra = {"seglen": 2} if name == "STNET" else {}
    model = build_model(name, num_classes=6, num_layers=num_layers, **extra).eval()
    channels = 6 if name == "STNET" else 3
    with torch.no_grad():
        for segments, height, width in ((1, 33, 47), (3, 40, 32)):
            logits = model(torch.randn(2, segments, channels, height, width))
            assert logits.shape == (2, 6)
            assert logits.isfinite().all()


def test_tsn_averages_its_segments() -> None:
    model = TSN(num_classes=4, num_layers=18).eval()
    clips = torch.randn(2, 3, 3, 40, 40)
    with torch.no_grad():
        features = model.embed(clips.flatten(0, 1))
        assert features.shape == (6, 512)
        wanted = model.fc(features.view(2, 3, 512).mean(dim=1))
        torch.testing.assert_close(model(clips), wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(model(clips.flip(1)), wanted, rtol=1e-4, atol=1e-4)


def test_stnet_minds_the_order_of_segments() -> None:
    torch.manual_seed(0)
    model = StNet(num_classes=4, num_layers=18, seglen=1).eval()
    clips = torch.randn(1, 4, 3, 32, 32)
    with torch.no_grad():
        assert model.embed(clips).shape == (1, 4, 512)
        assert not torch.allclose(model(clips), model(clips.flip(1)), rtol=1e-2, atol=1e-4)


def test_stnets_videos_do_not_mix() -> None:
    model = StNet(num_classes=4, num_layers=18, seglen=1).eval()
    clips = torch.randn(2, 3, 3, 32, 32)
    with torch.no_grad():
        together, alone = model(clips), model(clips[1:])
    torch.testing.assert_close(together[1:], alone, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("num_layers", "widths"), [(18, (128, 256, 512)), (50, (512, 1024, 2048))])
def test_stnets_temporal_widths_follow_the_trunk(
    num_layers: int, widths: tuple[int, int, int]
) -> None:
    with torch.device("meta"):
        model = StNet(num_classes=4, num_layers=num_layers)
    assert model.temporal1.conv.in_channels == widths[0]
    assert model.temporal2.conv.in_channels == widths[1]
    assert model.xception.norm.num_features == widths[2]
    assert model.fc.in_features == widths[2] // 2
    assert model.backbone.conv1.in_channels == 15


@pytest.mark.parametrize("name", ["TSN", "STNET"])
def test_training_reaches_every_parameter_and_statistic(name: str) -> None:
    extra = {"seglen": 1} if name == "STNET" else {}
    model = build_model(name, num_classes=4, num_layers=18, **extra).train()
    model(torch.randn(1, 2, 3, 32, 32)).square().sum().backward()  # layer4 has 1 x 1 pixels
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    moved = [k for k, v in model.state_dict().items() if k.endswith("running_mean") and v.any()]
    assert len(moved) == sum(k.endswith("running_mean") for k in model.state_dict())


def test_a_training_clip_of_one_frame_and_one_pixel_does_not_raise() -> None:
    model = TSN(num_classes=4, num_layers=18).train()
    assert model(torch.randn(1, 1, 3, 32, 32)).isfinite().all()


@pytest.mark.parametrize("segments", [1, 2, 3, 7])
def test_the_gradient_of_few_segments_in_bfloat16(segments: int) -> None:
    torch.manual_seed(0)
    block = TemporalBlock(channels=64)
    torch.nn.init.constant_(block.conv.bias, 5.0)  # the ReLU cuts nothing in either precision
    x = torch.randn(4 * segments, 64, 4, 4)
    slopes = torch.randn_like(x)  # the output's sum does not depend on the weight
    block(x, 4).mul(slopes).sum().backward()
    exact = block.conv.weight.grad
    for _ in range(3):  # a kernel that leaves some of it out shows what lay in memory before
        torch.full((64, 64, 3, 1, 1), torch.nan)
        block.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            short = block(x, 4)
        short.float().mul(slopes).sum().backward()
        assert (block.conv.weight.grad - exact).abs().max() < 0.03 * exact.abs().max()


@pytest.mark.parametrize("name", ["TSN", "STNET"])
def test_the_stages_are_the_backbones_weights(name: str) -> None:
    with torch.device("meta"):
        model = build_model(name, num_classes=2, num_layers=18)
    stages = [[p for m in modules for p in m.parameters()] for modules in model.stages()]
    counts = [len(stage) for stage in stages]
    assert counts == [3, 12, 15, 15, 15]  # a stage of four convolutions, three with a shortcut
    assert {id(p) for s in stages for p in s} == {id(p) for p in model.backbone.parameters()}
    assert stages[0][0] is model.backbone.conv1.weight


def test_build_model_takes_names_in_any_case() -> None:
    assert isinstance(build_model("tsn", num_classes=2, num_layers=18), TSN)
    assert list(SPECS) == [
        "AttentionCluster",
        "AttentionLSTM",
        "LINEAR",
        "NEXTVLAD",
        "STNET",
        "TSN",
    ]


@pytest.mark.parametrize(
    ("name", "kwargs", "words"),
    [
        ("TSM", {}, "did you mean 'TSN'"),
        ("TSN", {"num_classes": 2, "num_layers": 51}, "18, 34, 50, 101, 152 layers, not 51"),
        (
            "AttentionCluster",
            {"num_classes": 2, "feature_dims": [4, 4], "cluster_nums": [2]},
            "one number a modality",
        ),
        ("NEXTVLAD", {"num_classes": 2, "feature_dims": [5], "groups": 3}, "into 3 groups"),
    ],
)
def test_what_does_not_fit_is_said(name: str, kwargs: dict[str, object], words: str) -> None:
    with pytest.raises(VideozooError, match=words):
        build_model(name, **kwargs)


@pytest.mark.parametrize("name", ["TSN", "STNET"])
def test_logits_of_the_last_maps_are_the_models(name: str) -> None:
    extra = {"seglen": 2} if name == "STNET" else {}
    model = build_model(name, num_classes=4, num_layers=18, **extra).eval()
    clips = torch.randn(2, 3, 6 if extra else 3, 64, 96)
    with torch.no_grad():
        maps = model.last_maps(clips)
        assert maps.shape == (2, 3, 512, 2, 3)
        torch.testing.assert_close(model.classify_maps(maps), model(clips), rtol=1e-4, atol=1e-5)
