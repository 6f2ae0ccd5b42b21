from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from published import image_resnet
from tiny import World, clip_world
from videozoo.checkpoints.native import load_native, save_native
from videozoo.classifier import load_weights
from videozoo.data.transforms import normalise_clips
from videozoo.encoders.encoder import pooled_quarters
from videozoo.encoders.image_networks import (
    open_own_encoder,
    open_resnet_encoder,
    unpacked_encoder,
)
from videozoo.errors import VideozooError
from videozoo.files import sha256_of
from videozoo.models.resnet import ResNet
from videozoo.models.stnet import StNet
from videozoo.models.tsn import TSN
from videozoo.zoo import archives

CPU = torch.device("cpu")


def random_frames(*shape: int) -> torch.Tensor:
    return torch.randint(
        0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


@pytest.fixture(scope="module")
def stnet(tmp_path_factory: pytest.TempPathFactory) -> World:
    return clip_world(tmp_path_factory.mktemp("stnet"), "STNET")


@pytest.fixture
def resnet18(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ResNet:
    """A ResNet-18 that lies where torchvision would have fetched it."""
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    torch.manual_seed(0)
    trunk = ResNet(num_layers=18).eval()
    head = {k: v for k, v in image_resnet().items() if k.startswith("fc.")}
    published = archives.named("resnet18")
    assert published is not None
    path = tmp_path / "torch" / "hub" / "checkpoints" / published.file
    path.parent.mkdir(parents=True)
    torch.save(trunk.state_dict() | head, path)
    known = replace(published, sha256=sha256_of(path)[:8])
    known_ones = tuple(known if one is published else one for one in archives.RESNETS)
    monkeypatch.setattr(archives, "RESNETS", known_ones)
    return trunk


def test_a_resnet_gives_its_map_s_mean_and_that_of_each_quarter(resnet18: ResNet) -> None:
    encoder = open_resnet_encoder("resnet18", CPU, precision="32")
    assert encoder.dims == {"rgb": 512, "quarters": 2048}
    assert encoder.framing.resize(640, 360) == (224, 224)
    frames = random_frames(3, 1, 3, 224, 224)
    rgb, quarters = encoder(frames)
    with torch.inference_mode():
        mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
        features = resnet18((frames[:, 0] / 255 - mean) / std)  # [3, 512, 7, 7]
    torch.testing.assert_close(rgb, features.mean(dim=(2, 3)), rtol=1e-4, atol=1e-5)
    wanted = torch.cat([
        features[:, :, :4, :4].mean(dim=(2, 3)), features[:, :, :4, 3:].mean(dim=(2, 3)),
        features[:, :, 3:, :4].mean(dim=(2, 3)), features[:, :, 3:, 3:].mean(dim=(2, 3)),
    ], dim=1)  # fmt: skip
    torch.testing.assert_close(quarters, wanted, rtol=1e-4, atol=1e-5)


def test_a_resnet_is_known_by_the_hash_of_the_published_file(
    resnet18: ResNet, tmp_path: Path
) -> None:
    (file,) = (tmp_path / "torch" / "hub" / "checkpoints").iterdir()
    assert open_resnet_encoder("resnet18", CPU).sha256 == sha256_of(file)
    assert open_resnet_encoder("resnet18", CPU).packed() is None


def test_opening_an_encoder_draws_no_random_numbers(resnet18: ResNet) -> None:
    state = torch.get_rng_state()
    open_resnet_encoder("resnet18", CPU)
    assert torch.equal(torch.get_rng_state(), state)


def test_quarters_of_an_even_map_do_not_overlap() -> None:
    features = torch.arange(16.0).reshape(1, 1, 4, 4)
    rgb, quarters = pooled_quarters(features)
    assert rgb.tolist() == [[7.5]]
    assert quarters.tolist() == [[2.5, 4.5, 10.5, 12.5]]


def test_rows_of_a_tsn_are_its_pooled_features(clip_data: World) -> None:
    encoder = open_own_encoder(str(clip_data.weights), CPU)
    settings = clip_data.experiment["INFER"]
    assert (encoder.dims, encoder.window) == ({"rgb": 512}, 1)
    assert encoder.name == "TSN.safetensors"
    assert encoder.sha256 == hashlib.sha256(clip_data.weights.read_bytes()).hexdigest()
    assert encoder.framing.resize(64, 48) == (48, 36)  # 4:3, as in the settings
    assert encoder.framing.cut.extent(36, 48) == (32, 32)
    frames = random_frames(encoder.batch, 1, 3, 32, 32)
    model = load_weights(clip_data.weights).classifier.for_inference("32").model
    with torch.inference_mode():
        values = normalise_clips(frames[:, 0], settings.image_mean, settings.image_std)  # type: ignore[attr-defined]
        wanted = model.embed(values)  # type: ignore[operator]
    (rows,) = encoder(frames)
    assert torch.equal(rows, wanted)


def test_a_tsn_of_64_bits_computes_in_them(clip_data: World, tmp_path: Path) -> None:
    checkpoint = load_native(clip_data.weights)
    config = {mode: keys | {"precision": "64"} for mode, keys in checkpoint.config.items()}
    save_native(tmp_path / "a.safetensors", replace(checkpoint, config=config))
    frames = random_frames(2, 1, 3, 32, 32)
    (rows,) = open_own_encoder(str(tmp_path / "a.safetensors"), CPU)(frames)
    (wanted,) = open_own_encoder(str(clip_data.weights), CPU)(frames)
    assert rows.dtype == torch.float32
    torch.testing.assert_close(rows, wanted, rtol=1e-4, atol=1e-5)
    assert not torch.equal(rows, wanted)


def test_a_row_of_a_stnet_is_what_its_classifier_sees_of_a_window(stnet: World) -> None:
    encoder = open_own_encoder(str(stnet.weights), CPU)
    assert (encoder.dims, encoder.window) == ({"rgb": 256}, 3 * 5)
    frames = random_frames(2, 15, 3, 32, 32)
    (rows,) = encoder(frames)
    loaded = load_weights(stnet.weights)
    model, settings = loaded.classifier.model, stnet.experiment["INFER"]
    assert isinstance(model, StNet)
    clips = frames.reshape(2, 3, 15, 32, 32)  # a segment's five frames of three colours in a row
    with torch.inference_mode():
        values = normalise_clips(clips, settings.image_mean, settings.image_std)  # type: ignore[attr-defined]
        torch.testing.assert_close(model.fc(rows), model(values), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["tsn", "stnet"])
def test_an_encoder_that_a_checkpoint_carries_gives_the_same_rows(
    kind: str, clip_data: World, stnet: World
) -> None:
    weights = {"tsn": clip_data, "stnet": stnet}[kind].weights
    encoder = open_own_encoder(str(weights), CPU)
    packed = encoder.packed()
    assert packed is not None
    carried = load(save(packed))  # tensors alone, as a checkpoint holds them
    again = unpacked_encoder(carried, name=encoder.name, device=CPU)
    for name in ("name", "sha256", "dims", "framing", "window", "batch", "precision"):
        assert getattr(again, name) == getattr(encoder, name)
    frames = random_frames(encoder.batch, encoder.window, 3, 32, 32)
    assert torch.equal(again(frames)[0], encoder(frames)[0])
    twice = again.packed()
    assert twice is not None
    assert twice.keys() == packed.keys()
    assert str(weights.parent) not in bytes(packed["header"].tolist()).decode()


def test_what_is_carried_must_be_whole(clip_data: World) -> None:
    packed = open_own_encoder(str(clip_data.weights), CPU).packed()
    assert packed is not None
    without = {key: value for key, value in packed.items() if key != "weights.fc.bias"}
    with pytest.raises(VideozooError, match=r"1 missing: fc\.bias"):
        unpacked_encoder(without, name="mine", device=CPU)
    with pytest.raises(VideozooError, match="the encoder mine in the checkpoint is damaged"):
        unpacked_encoder({"header": torch.zeros(3, dtype=torch.uint8)}, name="mine", device=CPU)


def test_other_models_describe_no_frames(feature_data: World, tmp_path: Path) -> None:
    with pytest.raises(
        VideozooError, match="weights of AttentionCluster; features are computed by a TSN or STNET"
    ):
        open_own_encoder(str(feature_data.weights), CPU)
    torch.save(TSN(num_classes=2, num_layers=18).state_dict(), tmp_path / "a.pth")
    with pytest.raises(VideozooError, match=r"a\.pth: is no checkpoint of videozoo"):
        open_own_encoder(str(tmp_path / "a.pth"), CPU)


def test_a_name_that_is_none() -> None:
    with pytest.raises(VideozooError, match="resnet42: there is no such encoder; did you mean"):
        open_resnet_encoder("resnet42", CPU)
    with pytest.raises(VideozooError, match=r"did you mean 'efficientnet_lite0'\? \(known:"):
        open_own_encoder("efficientnet_lite", CPU)
