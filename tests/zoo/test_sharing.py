"""The Hugging Face Hub, offline: folders there and back, and what would be sent."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("huggingface_hub")

from huggingface_hub import HfApi, ModelCard

import videozoo
from tiny import World, feature_world
from videozoo.checkpoints.native import load_native, read_native_header, save_native
from videozoo.errors import VideozooError
from videozoo.sharing import PATH_KEYS, HubModel


def scores(predictor: videozoo.Predictor, world: World) -> list[list[float]]:
    return [[p.score for p in r.predictions] for r in predictor.predict(world.files)]


def test_there_and_back(feature_data: World, tmp_path: Path) -> None:
    HubModel(feature_data.weights).save_pretrained(tmp_path / "saved")
    names = sorted(path.name for path in (tmp_path / "saved").iterdir())
    assert names == ["README.md", "config.json", "model.safetensors"]
    model = HubModel.from_pretrained(tmp_path / "saved")
    own = videozoo.load(feature_data.weights, use_gpu=False)
    predictor = model.predictor(use_gpu=False)
    assert scores(predictor, feature_data) == scores(own, feature_data)
    assert predictor.labels == feature_data.names
    before, after = load_native(feature_data.weights), load_native(model.path)
    assert all(torch.equal(v, after.state_dict[k]) for k, v in before.state_dict.items())
    model.save_pretrained(tmp_path / "again")
    for name in names:
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (tmp_path / "saved" / name).read_bytes(), name


def test_paths_of_this_machine_stay_here(clip_data: World, tmp_path: Path) -> None:
    assert read_native_header(clip_data.weights).config["TEST"]["filelist"]
    HubModel(clip_data.weights).save_pretrained(tmp_path / "saved")
    config = read_native_header(tmp_path / "saved" / "model.safetensors").config
    for keys in config.values():
        assert not any(keys.get(key) for key in PATH_KEYS)
        assert keys["num_classes"] == 3
    for path in (tmp_path / "saved").iterdir():
        assert str(clip_data.folder).encode() not in path.read_bytes()
    description = json.loads((tmp_path / "saved" / "config.json").read_text())
    assert (description["library"], description["model"]) == ("videozoo", "TSN")
    assert description["settings"] == config
    assert description["labels"] == clip_data.names


def test_paths_of_a_feature_models_teachers_and_eigenvalues_stay_here(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir()
    world = feature_world(tmp_path / "world", "NEXTVLAD")
    taught = load_native(world.weights)
    teacher = str(world.folder / "teacher.safetensors")
    taught.config["TRAIN"]["distill_from"] = [teacher]
    save_native(world.weights, taught)
    HubModel(world.weights).save_pretrained(tmp_path / "saved")
    for path in (tmp_path / "saved").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()
    own = videozoo.load(world.weights, use_gpu=False)
    (world.folder / "eigenvals.npy").unlink()
    predictor = HubModel.from_pretrained(tmp_path / "saved").predictor(use_gpu=False)
    assert scores(predictor, world) == scores(own, world)


def test_the_card(clip_data: World, tmp_path: Path) -> None:
    told = {"results": "top-1 0.9 on my own videos.", "repo_id": "me/mine"}
    HubModel(clip_data.weights).save_pretrained(tmp_path / "saved", model_card_kwargs=told)
    card = ModelCard.load(tmp_path / "saved" / "README.md")
    assert card.data.library_name == "videozoo"
    assert card.data.pipeline_tag == "video-classification"
    assert {"videozoo", "video-classification"} <= set(card.data.tags)
    assert "TSN with 3 classes" in card.text
    assert told["results"] in card.text
    assert 'HubModel.from_pretrained("me/mine")' in card.text
    assert "| segments | 3 |" in card.text
    assert ", ".join(clip_data.names) in card.text
    assert "{{" not in card.text
    assert "No scores were stated" in HubModel(clip_data.weights).card()


def test_what_is_pushed(
    feature_data: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: dict[str, Any] = {}

    class Made:
        repo_id = "me/mine"

    def create_repo(self: HfApi, repo_id: str, **how: Any) -> type[Made]:
        sent.update(asked_for=repo_id, **how)
        return Made

    def upload_folder(self: HfApi, *, repo_id: str, folder_path: Path, **how: Any) -> str:
        sent["to"] = repo_id
        sent["files"] = sorted(path.name for path in Path(folder_path).iterdir())
        HubModel.from_pretrained(folder_path)
        return "https://huggingface.co/me/mine"

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    HubModel(feature_data.weights).push_to_hub("me/mine", private=True)
    assert (sent["asked_for"], sent["private"], sent["to"]) == ("me/mine", True, "me/mine")
    assert sent["files"] == ["README.md", "config.json", "model.safetensors"]


@pytest.mark.parametrize("name", ["me/mine", "not a name/at all/here"])
def test_what_cannot_be_had(name: str, tmp_path: Path) -> None:
    with pytest.raises(VideozooError) as error:
        HubModel.from_pretrained(name, cache_dir=tmp_path, local_files_only=True)
    assert str(error.value).startswith(f"{name}: cannot be had from the Hub (")
    assert "\n" not in str(error.value)


def test_folders_that_hold_none(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match=r"model\.safetensors: there is no such checkpoint"):
        HubModel.from_pretrained(tmp_path)
    with pytest.raises(VideozooError, match="no such checkpoint"):
        HubModel(tmp_path / "none.safetensors")


def test_without_the_library_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['huggingface_hub'] = None; import videozoo.sharing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "VideozooError: huggingface_hub is not installed: pip install 'videozoo[hub]'" in (
        done.stderr
    )
