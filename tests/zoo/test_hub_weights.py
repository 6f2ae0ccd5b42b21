"""Weights of the Hugging Face Hub, from a Hub of this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import Hub
from safetensors.torch import save

import videozoo
from tiny import World
from videozoo.checkpoints.native import load_native, read_native_header
from videozoo.classifier import build_classifier
from videozoo.errors import VideozooError
from videozoo.experiments import Weights
from videozoo.training.start import open_start
from videozoo.zoo.resolve import find_weights

CARD = b"# A card"


def refusal(given: str) -> str:
    with pytest.raises(VideozooError) as error:
        find_weights(given)
    told = str(error.value)
    assert told.startswith(f"{given}: ")
    assert "\n" not in told
    return told


def put(hub: Hub, world: World, name: str = "model.safetensors") -> None:
    hub.files["me/mine"] = {"README.md": CARD, name: world.weights.read_bytes()}


def test_an_address_goes_wherever_weights_do(
    hub: Hub,
    feature_data: World,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(hub, feature_data)
    named = Weights.named("hf:me/mine")
    assert named.model == feature_data.experiment.model
    size = len(feature_data.weights.read_bytes()) / 1e6
    said = capsys.readouterr().err
    assert f"fetching hf:me/mine: model.safetensors, {size:.1f} MB\n" in said
    own, theirs = (
        videozoo.load(weights, use_gpu=False) for weights in (feature_data.weights, "hf:me/mine")
    )
    for mine, other in zip(
        own.predict(feature_data.files), theirs.predict(feature_data.files), strict=True
    ):
        assert mine.predictions == other.predictions
    videozoo.test("hf:me/mine", filelist=feature_data.listing)
    assert hub.fetched() == ["model.safetensors"]  # once
    assert "fetching" not in capsys.readouterr().err


def test_training_starts_from_it(hub: Hub, clip_data: World) -> None:
    put(hub, clip_data)
    classifier = build_classifier(clip_data.experiment["TRAIN"], None)
    how: dict[str, Any] = {"resume": None, "save_dir": Path("none")}
    start = open_start(classifier, clip_data.experiment, pretrain="hf:me/mine", **how)
    assert start.sentences == ["weights taken from hf:me/mine"]
    kernel = load_native(clip_data.weights).state_dict["backbone.conv1.weight"]
    assert torch.equal(classifier.model.state_dict()["backbone.conv1.weight"], kernel)


def test_without_a_network_the_cache_is_enough(
    hub: Hub,
    feature_data: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub

    put(hub, feature_data, "best.safetensors")
    found = find_weights("hf:me/mine")
    asked = len(hub.asked)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()  # offline or not is decided when it is opened
    for given in ("hf:me/mine", "hf:me/mine/best.safetensors", "hf:me/mine@main"):
        assert find_weights(given) == found
    assert "and it was not fetched before" in refusal("hf:me/other")
    assert "offline mode is enabled" in refusal("hf:me/other")
    assert "there is no such file; there are best.safetensors" in refusal(
        "hf:me/mine/o.safetensors"
    )
    assert len(hub.asked) == asked
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    huggingface_hub.close_session()
    hub.refuses = 503  # it is there, and has troubles of its own
    assert find_weights("hf:me/mine") == found
    assert "503" in refusal("hf:me/other")


def test_revisions_and_one_file_of_several(hub: Hub, feature_data: World) -> None:
    data = feature_data.weights.read_bytes()
    hub.files["me/mine"] = {"a.safetensors": data, "b/c.safetensors": data, "README.md": CARD}
    told = refusal("hf:me/mine@v1")
    assert "holds several: a.safetensors, b/c.safetensors; name one, such as" in told
    assert told.endswith("hf:me/mine@v1/a.safetensors")
    for given in (
        "hf:me/mine/a.safetensors",
        "hf:me/mine@v1/b/c.safetensors",
        "hf:me/mine@refs/pr/1/b/c.safetensors",
    ):
        found = find_weights(given)
        assert isinstance(found, Path)
        assert given.endswith(found.name)
        assert read_native_header(found).model == feature_data.experiment.model
    assert refusal("hf:me/mine@v2").endswith("the repository has no such revision")
    assert "there is no such file; there are README.md, a.safetensors" in refusal(
        "hf:me/mine/c.safetensors"
    )
    assert "is no .safetensors file; others may run code" in refusal("hf:me/mine/README.md")


def test_what_is_no_checkpoint_of_videozoo_is_not_fetched(hub: Hub) -> None:
    network = save({"weight": torch.zeros(100)}, {"format": "pt"})
    hub.files["google/vit"] = {"config.json": b"{}", "model.safetensors": network}
    told = refusal("hf:google/vit")
    assert "model.safetensors is no checkpoint of videozoo; the repository holds config" in told
    assert told.endswith("videozoo train FOLDER --encoder hf:google/vit")
    hub.files["old/net"] = {"pytorch_model.bin": b"\x80\x02", ".gitattributes": b""}
    told = refusal("hf:old/net")
    assert "holds no .safetensors checkpoint; the repository holds .gitattributes, pytorch" in told
    assert "--encoder" not in told
    hub.files["me/huge"] = {"model.safetensors": network}
    hub.sizes["model.safetensors"] = 3 << 30
    assert "model.safetensors has 3,072 MB; checkpoints of at most 2,048 MB" in refusal(
        "hf:me/huge"
    )
    assert hub.fetched() == []


def test_what_cannot_be_had(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "no such repository, or a private one; if it is yours, put a token into" in refusal(
        "hf:me/none"
    )
    for given in ("hf:me", "hf:me/mine@", "hf:", "hf:me/mine@a b/x", "hf:./folder/x y"):
        assert "is not of the form hf:OWNER/NAME" in refusal(given)
    monkeypatch.chdir(tmp_path)
    Path("hf:me").touch()
    assert find_weights("hf:me") == Path("hf:me")  # a file of that name wins
    hub.refuses = 403
    assert "the Hub refuses this to the token that is set (403" in refusal("hf:me/mine")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert refusal("hf:me/mine").endswith("pip install 'videozoo[hub]' installs it")
