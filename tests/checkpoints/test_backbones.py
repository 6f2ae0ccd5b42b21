from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fluid_tables import fluid_table
from videozoo.checkpoints.backbones import (
    load_image_resnet,
    put_into_backbone,
    start_from,
)
from videozoo.checkpoints.fluid import write_fluid
from videozoo.checkpoints.names import resnet_table, to_fluid
from videozoo.checkpoints.native import NativeCheckpoint, save_native
from videozoo.errors import VideozooError
from videozoo.models import TSN, AttentionCluster, StNet
from videozoo.models.resnet import ResNet


def keys_of(num_layers: int) -> list[str]:
    with torch.device("meta"):
        return list(ResNet(num_layers=num_layers).state_dict())


def image_resnet(num_layers: int = 18, classes: int | None = 10) -> dict[str, Tensor]:
    torch.manual_seed(3)
    trunk = ResNet(num_layers=num_layers)
    state = dict(trunk.state_dict())
    for key, value in state.items():
        if key.endswith(("running_mean", "running_var")):
            state[key] = torch.rand_like(value)
    if classes is not None:
        state["fc.weight"] = torch.randn(classes, trunk.stage_channels[3])
        state["fc.bias"] = torch.randn(classes)
    return state


def write_image_resnet_as_fluid(path: Path, state: dict[str, Tensor]) -> None:
    arrays = to_fluid(state, resnet_table(state))
    if "fc.weight" in state:
        arrays["fc_0.w_0"] = state["fc.weight"].t().contiguous().numpy()
        arrays["fc_0.b_0"] = state["fc.bias"].numpy()
    write_fluid(path, arrays)


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    keys = {k for k in a if not k.endswith("num_batches_tracked")}
    return keys == {k for k in b if not k.endswith("num_batches_tracked")} and all(
        torch.equal(a[k], b[k]) for k in keys
    )


@pytest.mark.parametrize("classes", [None, 10])
def test_all_kinds_of_files_give_one_state_dict(classes: int | None, tmp_path: Path) -> None:
    state = image_resnet(classes=classes)
    write_image_resnet_as_fluid(tmp_path / "folder", state)
    write_image_resnet_as_fluid(tmp_path / "a.tar.gz", state)
    torch.save(state, tmp_path / "plain.pth")
    wrapped = {f"module.{k}": v for k, v in state.items()}
    torch.save({"state_dict": wrapped, "epoch": 3}, tmp_path / "wrapped.pt")
    save_file(state, tmp_path / "s.safetensors")
    files = sorted(tmp_path.iterdir())
    assert len(files) == 5
    for path in files:
        assert same(load_image_resnet(path, keys_of(18)), state), path


def test_deep_resnets_from_fluid(tmp_path: Path) -> None:
    table = resnet_table(keys_of(101))
    state = {k: torch.zeros(1) for k in table}
    write_fluid(tmp_path / "w", to_fluid(state, table))
    found = load_image_resnet(tmp_path / "w", keys_of(101))
    assert set(table) <= set(found)
    with pytest.raises(VideozooError, match=r"holds a ResNet-101, .* num_layers = 50"):
        load_image_resnet(tmp_path / "w", keys_of(50))


def test_another_depth_is_said_plainly(tmp_path: Path) -> None:
    torch.save(image_resnet(18), tmp_path / "w.pth")
    with pytest.raises(VideozooError, match=r"holds a ResNet-18, .* num_layers = 34"):
        load_image_resnet(tmp_path / "w.pth", keys_of(34))


class Surprise:
    def __reduce__(self) -> Any:
        return (print, ("code ran",))


@pytest.mark.parametrize("new", [True, False])
def test_a_pth_that_wants_to_run_code_is_refused(
    new: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"w": Surprise()}, tmp_path / "w.pth", _use_new_zipfile_serialization=new)
    with pytest.raises(VideozooError, match="more than weights"):
        load_image_resnet(tmp_path / "w.pth", keys_of(50))
    assert "code ran" not in capsys.readouterr().out


def test_files_without_a_state_dict(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "w.pth")
    with pytest.raises(VideozooError, match="holds no state dict"):
        load_image_resnet(tmp_path / "w.pth", keys_of(50))
    (tmp_path / "cut.pth").write_bytes((tmp_path / "w.pth").read_bytes()[:200])
    with pytest.raises(VideozooError, match=r"cut.pth: is damaged"):
        load_image_resnet(tmp_path / "cut.pth", keys_of(50))


def test_fluid_variables_that_do_not_belong(tmp_path: Path) -> None:
    arrays = to_fluid(image_resnet(), resnet_table(keys_of(18)))
    del arrays["bn_conv1_scale"]
    arrays["stranger"] = arrays["bn_conv1_mean"]
    write_fluid(tmp_path / "w", arrays)
    with pytest.raises(VideozooError, match=r"1 missing: bn_conv1_scale; 1 surplus: stranger"):
        load_image_resnet(tmp_path / "w", keys_of(18))


def test_tsn_takes_trunk_and_a_fitting_head() -> None:
    state = image_resnet(classes=10)
    model = TSN(num_classes=10, num_layers=18)
    assert put_into_backbone(model, state) == []
    assert torch.equal(model.fc.weight, state["fc.weight"])
    assert same(dict(model.backbone.state_dict()), image_resnet(classes=None))


def test_tsn_keeps_a_fresh_head_otherwise() -> None:
    model = TSN(num_classes=7, num_layers=18)
    fresh = model.fc.weight.clone()
    said = put_into_backbone(model, image_resnet(classes=10))
    assert said == ["head replaced: weights have 10 classes, this model 7"]
    assert put_into_backbone(model, image_resnet(classes=None)) == [
        "head starts fresh: the weights have none"
    ]
    assert torch.equal(model.fc.weight, fresh)


def test_a_trunk_that_does_not_fit_is_listed() -> None:
    state = image_resnet()
    state["layer9.conv.weight"] = state.pop("layer1.0.bn1.bias")
    for model in (
        TSN(num_classes=2, num_layers=18),
        StNet(num_classes=2, num_layers=18, seglen=2),
    ):
        with pytest.raises(VideozooError) as caught:
            put_into_backbone(model, state, what="w.pth")
        assert "1 missing: backbone.layer1.0.bn1.bias" in str(caught.value)
        assert "1 surplus: backbone.layer9.conv.weight" in str(caught.value)


def test_stnet_spreads_the_first_kernel() -> None:
    state = image_resnet()
    model = StNet(num_classes=10, num_layers=18, seglen=4)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    said = put_into_backbone(model, state)
    assert said == [
        "temporal1, temporal2, xception and head start fresh: an image ResNet has none of them"
    ]
    kernel = model.backbone.conv1.weight
    assert kernel.shape == (64, 12, 7, 7)
    wanted = state["conv1.weight"].mean(dim=1) / 4
    for channel in range(12):
        torch.testing.assert_close(kernel[:, channel], wanted)
    after = model.state_dict()
    fresh = [key for key in before if not key.startswith("backbone.")]
    assert len(fresh) > 20
    for key in fresh:
        assert torch.equal(after[key], before[key]), key
    assert torch.equal(after["backbone.bn1.running_var"], state["bn1.running_var"])
    assert torch.equal(after["backbone.layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])


def test_a_grey_super_image_answers_like_the_image() -> None:
    """Averaged over colours and frames, equal grey frames give the image network's first layer."""
    state = image_resnet()
    model = StNet(num_classes=10, num_layers=18, seglen=3)
    put_into_backbone(model, state)
    grey = torch.randn(1, 1, 16, 16)
    ours = model.backbone.conv1(grey.expand(1, 9, 16, 16))
    image = torch.nn.functional.conv2d(
        grey.expand(1, 3, 16, 16), state["conv1.weight"], stride=2, padding=3
    )
    torch.testing.assert_close(ours, image, rtol=1e-4, atol=1e-4)


def native(path: Path, name: str, model: torch.nn.Module) -> Path:
    state = dict(model.state_dict())
    save_native(path, NativeCheckpoint(model=name, state_dict=state, config={}, preprocessing={}))
    return path


def test_start_from_a_checkpoint_of_the_same_model(tmp_path: Path) -> None:
    old = StNet(num_classes=3, num_layers=18, seglen=2)
    file = native(tmp_path / "w.safetensors", "STNET", old)
    new = StNet(num_classes=4, num_layers=18, seglen=2)
    said = start_from(new, file, model_name="STNET")
    assert said == ["head replaced: weights have 3 classes, this model 4"]
    assert torch.equal(new.xception.norm2.bias, old.xception.norm2.bias)
    assert torch.equal(new.temporal1.conv.weight, old.temporal1.conv.weight)
    again = StNet(num_classes=3, num_layers=18, seglen=2)
    assert start_from(again, file, model_name="stnet") == []
    assert same(dict(again.state_dict()), dict(old.state_dict()))


def test_start_from_what_does_not_fit(tmp_path: Path) -> None:
    file = native(tmp_path / "w.safetensors", "TSN", TSN(num_classes=3, num_layers=18))
    with pytest.raises(VideozooError, match="weights of TSN, not of STNET"):
        start_from(StNet(num_classes=3, num_layers=18), file, model_name="STNET")
    with pytest.raises(VideozooError, match=r"holds a ResNet-18, .* = 34"):
        start_from(TSN(num_classes=3, num_layers=34), file, model_name="TSN")
    with pytest.raises(VideozooError, match="not an image ResNet"):
        load_image_resnet(file, keys_of(18))


def test_start_from_for_clip_and_feature_models(tmp_path: Path) -> None:
    torch.save(image_resnet(), tmp_path / "w.pth")
    tsn = TSN(num_classes=10, num_layers=18)
    assert start_from(tsn, tmp_path / "w.pth", model_name="TSN") == []
    kwargs: dict[str, Any] = {
        "feature_dims": [4],
        "cluster_nums": [2],
        "num_classes": 3,
        "hidden_sizes": (4, 4),
    }
    old, new = AttentionCluster(**kwargs), AttentionCluster(**kwargs)
    table = fluid_table("AttentionCluster", old)
    write_fluid(tmp_path / "fluid", to_fluid(old.state_dict(), table))
    assert start_from(new, tmp_path / "fluid", model_name="AttentionCluster", table=table) == []
    assert same(dict(new.state_dict()), dict(old.state_dict()))
    with pytest.raises(VideozooError, match="has no image network"):
        start_from(new, tmp_path / "w.pth", model_name="AttentionCluster", table=table)


class Toy(torch.nn.Module):
    """A model that no module of checkpoints has heard of."""

    def __init__(self, *, num_classes: int, between: bool = False) -> None:
        super().__init__()
        self.backbone = ResNet(num_layers=18)
        if between:
            self.mixing = torch.nn.Linear(512, 512)
        self.classifier = torch.nn.Linear(512, num_classes)


def test_a_model_of_ones_own_starts_from_its_checkpoint_without_a_table(tmp_path: Path) -> None:
    old, new = Toy(num_classes=3), Toy(num_classes=4)
    file = native(tmp_path / "w.safetensors", "Toy", old)
    said = start_from(new, file, model_name="Toy")
    assert said == ["head replaced: weights have 3 classes, this model 4"]
    assert same(dict(new.backbone.state_dict()), dict(old.backbone.state_dict()))
    plain, again = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    assert start_from(again, native(file, "Plain", plain), model_name="plain") == []
    assert torch.equal(again.weight, plain.weight)
    torch.save({"weight": torch.zeros(3, 2)}, tmp_path / "w.pth")
    with pytest.raises(VideozooError, match="Plain has no image network"):
        start_from(again, tmp_path / "w.pth", model_name="Plain")


def test_a_model_of_ones_own_starts_from_an_image_resnet(tmp_path: Path) -> None:
    torch.save(image_resnet(classes=None), tmp_path / "w.pth")
    model = Toy(num_classes=4)
    said = start_from(model, tmp_path / "w.pth", model_name="Toy")
    assert said == ["head starts fresh: the weights have none"]
    assert same(dict(model.backbone.state_dict()), image_resnet(classes=None))
    said = start_from(Toy(num_classes=4, between=True), tmp_path / "w.pth", model_name="Toy")
    assert said == ["mixing and head start fresh: an image ResNet has none of them"]
