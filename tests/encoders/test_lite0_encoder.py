"""The copy that encodes gives the network's maps; rows depend on their frame alone."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from lite0 import made_network
from videozoo.encoders import lite0_encoder, openvino_engine
from videozoo.encoders.efficientnet_lite0 import MEAN, SPREAD, EfficientNetLite0, folded
from videozoo.encoders.encoder import CentreCut, Encoder, Framing
from videozoo.encoders.lite0_encoder import EfficientNetLite0Encoder, FrameRows
from videozoo.errors import VideozooError
from videozoo.models import onednn

CPU = torch.device("cpu")
ENGINES = [
    "torch",
    pytest.param(
        "openvino",
        marks=pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is missing"),
    ),
]


@pytest.fixture(scope="module")
def network() -> EfficientNetLite0:
    return made_network()


@pytest.fixture(autouse=True)
def made_up_weights(network: EfficientNetLite0, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0_encoder, "load_efficientnet_lite0", lambda: (network, "a1b2"))


def pictures(number: int, side: int = 224) -> Tensor:
    torch.manual_seed(1)
    rough = torch.rand(number, 3, 8, 8) * 255
    return torch.nn.functional.interpolate(rough, size=side, mode="bilinear").byte()[:, None]


def off(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("fuses", [True, False])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-4), (torch.bfloat16, 0.1)])
def test_the_folded_copy_gives_the_networks_map(
    network: EfficientNetLite0,
    dtype: torch.dtype,
    close: float,
    fuses: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not fuses:
        monkeypatch.setattr(onednn, "convolutions_fuse", lambda x: False)
    ready = folded(network, dtype=dtype)
    for side in (64, 96, 64):
        x = (pictures(2, side)[:, 0] - MEAN) / SPREAD
        before = x.clone()
        with torch.inference_mode():
            assert off(ready.embed(x.to(dtype)).float(), network.embed(x)) < close
        assert torch.equal(x, before)
    assert not ready.training


def test_rows_are_means_of_the_map(network: EfficientNetLite0) -> None:
    pixels = pictures(2)[:, 0]
    with torch.inference_mode():
        maps = network.embed((pixels - MEAN) / SPREAD)  # [2, 1280, 7, 7]
        whole, quarters = FrameRows(network, torch.float32)(pixels)
    torch.testing.assert_close(whole, maps.mean((2, 3)))
    corners = [maps[:, :, :4, :4], maps[:, :, :4, 3:], maps[:, :, 3:, :4], maps[:, :, 3:, 3:]]
    torch.testing.assert_close(quarters, torch.cat([c.mean((2, 3)) for c in corners], dim=1))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("precision", "close"), [("32", 1e-4), ("bf16", 0.1)])
def test_rows_depend_on_their_frame_alone(
    network: EfficientNetLite0, engine: str, precision: str, close: float
) -> None:
    encoder: Encoder = EfficientNetLite0Encoder(CPU, precision, engine)
    frames = pictures(10)
    rows = encoder(frames)
    order = torch.tensor([3, 9, 0, 5, 1, 8, 2, 7, 6, 4])
    for found, again, wanted, width in zip(
        rows,
        encoder(frames[order]),
        FrameRows(network, torch.float32)(frames[:, 0]),
        encoder.dims.values(),
        strict=True,
    ):
        assert found.shape == (10, width)
        assert found.dtype == torch.float32
        assert torch.equal(again, found[order])
        assert off(found, wanted.detach()) < close


def test_what_an_encoder_says_of_itself() -> None:
    encoder = EfficientNetLite0Encoder(CPU, engine="torch")
    assert (encoder.name, encoder.sha256, encoder.engine) == ("efficientnet_lite0", "a1b2", "torch")
    assert encoder.dims == {"rgb": 1280, "quarters": 5120}
    assert (encoder.window, encoder.batch) == (1, 32)
    assert encoder.framing.resize(640, 360) == (224, 224)
    assert encoder.framing.cut == CentreCut(224, 224)


@pytest.mark.parametrize("fast", [True, False])
def test_short_floats_are_for_processors_that_have_them(
    fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: fast, raising=False)
    wanted = "bf16" if fast else "32"
    assert EfficientNetLite0Encoder(CPU, engine="torch").precision == wanted
    assert EfficientNetLite0Encoder(CPU, "bf16", "torch").precision == "bf16"
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)  # another release of PyTorch
    assert not onednn.bfloat16_is_fast()


def test_openvino_is_used_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0_encoder, "openvino_is_installed", lambda: False)
    assert lite0_encoder.settled_engine(CPU, "auto") == "torch"
    with pytest.raises(VideozooError, match=r"pip install 'videozoo\[export\]'"):
        EfficientNetLite0Encoder(CPU, engine="openvino")
    monkeypatch.setattr(lite0_encoder, "openvino_is_installed", lambda: True)
    assert lite0_encoder.settled_engine(CPU, "auto") == "openvino"
    assert lite0_encoder.settled_engine(CPU, "torch") == "torch"
    assert lite0_encoder.settled_engine(torch.device("cuda"), "auto") == "torch"
    with pytest.raises(VideozooError, match="computes on the CPU"):
        lite0_encoder.settled_engine(torch.device("cuda"), "openvino")
    assert openvino_engine.openvino_is_installed() == (find_spec("openvino") is not None)


def test_framings() -> None:
    assert Framing(224, 224, short_side=256).resize(640, 360) == (455, 256)
    assert Framing(224, 224).resize(640, 360) == (224, 224)
