"""Published models by name take weights, and those of their own model alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import videozoo
from videozoo import variants
from videozoo.checkpoints.native import NativeCheckpoint, save_native
from videozoo.errors import VideozooError
from videozoo.models import TSN


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    def model() -> TSN:
        return TSN(num_classes=3, num_layers=18)

    monkeypatch.setattr(variants.models, "tsn_resnet50_kinetics400", model)


def saved(path: Path, model: TSN, name: str = "TSN") -> Path:
    state = model.state_dict()
    save_native(path, NativeCheckpoint(model=name, state_dict=state, config={}, preprocessing={}))
    return path


def test_weights_of_a_file_are_put_in(small: None, tmp_path: Path) -> None:
    torch.manual_seed(3)
    other = TSN(num_classes=3, num_layers=18)
    path = saved(tmp_path / "tsn.safetensors", other)
    model = videozoo.tsn_resnet50_kinetics400(pretrained=path)
    for key, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key


def test_without_weights_it_is_random(small: None) -> None:
    assert isinstance(videozoo.tsn_resnet50_kinetics400(), TSN)


def test_weights_that_do_not_fit_are_refused(small: None, tmp_path: Path) -> None:
    wide = saved(tmp_path / "wide.safetensors", TSN(num_classes=4, num_layers=18))
    with pytest.raises(VideozooError, match="for 4 classes"):
        videozoo.tsn_resnet50_kinetics400(pretrained=wide)
    named = saved(tmp_path / "named.safetensors", TSN(num_classes=3, num_layers=18), "STNET")
    with pytest.raises(VideozooError, match="weights of STNET, not of TSN"):
        videozoo.tsn_resnet50_kinetics400(pretrained=named)
    with pytest.raises(VideozooError, match="no such checkpoint"):
        videozoo.tsn_resnet50_kinetics400(pretrained=str(tmp_path / "nothing"))
