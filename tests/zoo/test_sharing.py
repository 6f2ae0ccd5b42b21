"""The Hugging Face Hub, offline: folders there and back, and what would be sent."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("huggingface_hub")

from hub_server import Hub
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

import videozoo
from cli.commands import Run
from tiny import World, feature_world
from videozoo.checkpoints.native import load_native, read_native_header, save_native
from videozoo.errors import VideozooError
from videozoo.files import sha256_of
from videozoo.sharing import PATH_KEYS, HubModel
from videozoo.zoo.hub import reason_of


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
    assert 'videozoo.load("hf:me/mine")' in card.text
    assert "videozoo infer --weights hf:me/mine video.mp4" in card.text
    assert "| segments | 3 |" in card.text
    assert ", ".join(clip_data.names) in card.text
    assert "{{" not in card.text
    assert "No scores were stated" in HubModel(clip_data.weights).card()


HOSTILE = [
    "a | b", "# top\n---\nlicense: gpl", "<script>alert(1)</script>", "[x](javascript:y)",
    "![p](https://e.org/x.png)", "`rm -rf`", "*b* _i_ ~s~", "&lt; @me #1 www.e.org {x}", "1. é",
]  # fmt: skip


def rendered(markdown: str) -> str:
    return str(MarkdownIt("commonmark").enable("table").render(markdown))


def with_labels(world: World, labels: list[str], folder: Path) -> Path:
    """Writes a world's weights with other names of classes into a folder."""
    path = folder / "w.safetensors"
    save_native(path, replace(load_native(world.weights), labels=labels))
    return path


def with_result(weights: Path, model: str, **changes: Any) -> Path:
    protocol = {"weights_sha256": sha256_of(weights), "precision": "32"}
    result = {"top1": 0.75, "top5": 1.0, "macro_f1": None, "loss": 0.5, "seconds": 1.5}
    result |= {"listed": 5, "evaluated": 4, "unreadable": [{"video": "/home/me/x.mp4"}]}
    path = weights.with_name(f"{model}_test_result.json")
    path.write_text(json.dumps(result | {"protocol": protocol} | changes))
    return path


def test_names_of_classes_are_shown_as_they_are(clip_data: World, tmp_path: Path) -> None:
    for first in range(0, len(HOSTILE), 3):
        labels = HOSTILE[first : first + 3]
        path = with_labels(clip_data, labels, tmp_path)
        card = ModelCard(HubModel(path).card(repo_id="me/mine"))
        assert card.data.to_dict().keys() == {"library_name", "pipeline_tag", "tags"}
        classes = rendered(card.text).rpartition("<h2>Classes</h2>\n<p>")[2]
        shown = ", ".join(labels).replace("\n", "\\n")
        assert html.unescape(classes) == f"{shown}</p>\n"
        assert "<" not in classes.removesuffix("</p>\n")


def test_scores_of_the_test_beside_it(clip_data: World, tmp_path: Path) -> None:
    path = with_labels(clip_data, clip_data.names, tmp_path)
    assert "videozoo test writes it" in HubModel(path).note
    result = with_result(path, "TSN")
    model = HubModel(path)
    assert model.note == ""
    card = ModelCard(model.card(repo_id="me/mine", license="cc-by-4.0: x"))
    assert card.data.license == "cc-by-4.0: x"
    (accuracy, loss) = card.data.eval_results or []
    assert (accuracy.metric_type, accuracy.metric_value) == ("accuracy", 0.75)
    assert (loss.metric_name, loss.metric_value) == ("loss", 0.5)
    assert accuracy.dataset_name == "4 videos of its own list"
    assert "| top-1 | loss |" in card.text  # of three classes every answer is among five
    assert "4 of the 5 videos of a list of its maker's; 1 could not be read" in card.text
    assert "/home/me" not in str(card)
    with_result(path, "TSN", protocol={"weights_sha256": "0" * 64})
    model = HubModel(path)
    assert "is of other weights; test these, and push again" in model.note
    assert ModelCard(model.card()).data.eval_results is None
    result.write_text("[]")
    with pytest.raises(VideozooError, match=r"TSN_test_result\.json: is no result of a test"):
        HubModel(path)


def test_the_encoder_and_its_licence(feature_data: World, tmp_path: Path) -> None:
    checkpoint = load_native(feature_data.weights)
    path = tmp_path / "w.safetensors"
    for encoder, told in (
        ("efficientnet_lite0", "licence Apache-2.0, comes with videozoo"),
        ("resnet50", "of torchvision, licence BSD-3-Clause"),
        ("hf:google/vit", 'the licence that <a href="https://huggingface.co/google/vit">'),
        ("own.safetensors", "own.safetensors (is in the file too"),
    ):
        recipe = {"encoder": encoder, "sha256": "abc"}
        save_native(path, replace(checkpoint, recipe=recipe))
        assert told in rendered(ModelCard(HubModel(path).card()).text)
    save_native(path, replace(checkpoint, recipe={"encoder": "hf:/home/me/net"}))
    with pytest.raises(VideozooError, match="a folder that nobody else has; push that network"):
        HubModel(path).save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_what_is_pushed_can_be_used_at_once(
    hub: Hub, feature_data: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    told = run("hub", "push", feature_data.weights, "me/mine", "--private", "--license", "mit")
    assert f"uploaded: {hub.address}/me/mine" in told
    assert "videozoo infer --weights hf:me/mine VIDEO" in told
    made = hub.made[0]  # older libraries say it the other way
    assert made.get("visibility") == "private" or made.get("private") is True
    assert sorted(hub.files["me/mine"]) == ["README.md", "config.json", "model.safetensors"]
    assert b"license: mit" in hub.files["me/mine"]["README.md"]
    again = run("hub", "push", feature_data.weights, "me/mine", "--dry-run", tmp_path / "dry")
    assert f"nothing is uploaded; written to {tmp_path / 'dry'}: README.md (" in again
    for name, data in hub.files["me/mine"].items():
        if name != "README.md":
            assert (tmp_path / "dry" / name).read_bytes() == data
    own = videozoo.load(feature_data.weights, use_gpu=False)
    theirs = videozoo.load("hf:me/mine", use_gpu=False)
    assert scores(theirs, feature_data) == scores(own, feature_data)
    model = HubModel(feature_data.weights)
    assert model.push_to_hub("me/mine", branch=None).startswith(hub.address)


def test_a_push_that_is_refused_prints_no_token(
    hub: Hub, feature_data: World, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    push = ("hub", "push", feature_data.weights)
    told = run(*push, "me/mine", code=2)
    assert "me/mine: no token of the Hub is set; put a token into HF_TOKEN, or type:" in told
    assert hub.asked == []
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_9876543210")
    told = run(*push, "me/mine", code=2)
    assert "me/mine: the Hub refuses this to the token that is set (401: Invalid username" in told
    assert "wrong_9876543210" not in told
    monkeypatch.setenv("HF_TOKEN", "mine-of-another-form")
    assert "another-form" not in run(*push, "me/mine", code=2)
    hub.refuses = 500
    assert "another-form" not in run(*push, "me/mine", code=2)
    assert "mine: is not of the form OWNER/NAME" in run(*push, "mine", code=2)
    error = ValueError("Illegal header value b'Bearer secret-of-mine\\n'")
    assert "secret" not in reason_of(error)


@pytest.mark.parametrize("name", ["me/mine", "not a name/at all/here"])
def test_what_cannot_be_had(name: str, tmp_path: Path) -> None:
    with pytest.raises(VideozooError) as error:
        HubModel.from_pretrained(name, cache_dir=tmp_path, local_files_only=True)
    assert str(error.value).startswith(f"{name}: cannot be had from the Hub (")
    assert "\n" not in str(error.value)


def test_a_readme_of_something_else_stays(clip_data: World, tmp_path: Path) -> None:
    model, readme = HubModel(clip_data.weights), tmp_path / "README.md"
    readme.write_text("mine")
    with pytest.raises(VideozooError, match=r"holds a README\.md of something else"):
        model.save_pretrained(tmp_path)
    with pytest.raises(VideozooError, match=r"README\.md: cannot be made"):
        model.save_pretrained(readme)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]
    for _ in range(2):  # its own one is written anew
        model.save_pretrained(tmp_path / "new")


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
