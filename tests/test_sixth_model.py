"""A sixth model is a file and a record: whatever the five can do, a model of one's own can too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cli.commands import Run, run
from tiny import World, clip_world, feature_world
from toy_models import TOYS, ToyClipNet
from videozoo.checkpoints.native import load_native
from videozoo.specs import SPECS
from videozoo.training.optimizers import make_optimizer

__all__ = ["run"]

MODELS = ["ToyClips", "ToyFeatures"]


@pytest.fixture(autouse=True)
def _registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, spec in TOYS.items():
        monkeypatch.setitem(SPECS, name, spec)
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def world_of(model: str, folder: Path) -> World:
    return feature_world(folder, model) if model == "ToyFeatures" else clip_world(folder, model)


@pytest.fixture(params=MODELS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return world_of(request.param, tmp_path)


@pytest.fixture
def clips(tmp_path: Path) -> World:
    return world_of("ToyClips", tmp_path)


def last(folder: str, model: str) -> Path:
    return Path(folder) / f"{model}_last.safetensors"


def weights_of(path: Path) -> dict[str, Tensor]:
    return load_native(path).state_dict


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> set[str]:
    """Returns the names of the weights that are the same."""
    assert one.keys() == other.keys()
    return {name for name, value in one.items() if torch.equal(value, other[name])}


def test_it_trains_and_goes_on(run: Run, world: World) -> None:
    model = world.experiment.model
    words = ("train", "--config", world.config, "--save-dir")
    said = run(*words, "whole", "--epoch-num", 2)
    assert "epoch 2/2" in said
    assert "ResNet50" not in said  # it is no such network: nothing is fetched, nor missed
    assert said.count("warning") == said.count("warning: 5 videos to validate") == 1
    run(*words, "parts", "--epoch-num", 1)
    assert "resuming" in run(*words, "parts", "--epoch-num", 2, "--resume", "auto")
    whole, parts = (weights_of(last(folder, model)) for folder in ("whole", "parts"))
    assert equal(whole, parts) == whole.keys()
    assert equal(whole, weights_of(world.weights)) != whole.keys()


def test_it_is_tested_and_named(run: Run, world: World) -> None:
    model = world.experiment.model
    assert "5 of 5 videos evaluated" in run("test", "--weights", world.weights)
    assert json.loads(Path(f"{model}_test_result.json").read_text())["evaluated"] == 5
    run("infer", *world.files, "--weights", world.weights)
    rows = json.loads(Path(f"{model}_infer_result.json").read_text())
    assert len(rows) == 5
    assert {p["label"] for p in rows[0]["predictions"]} == set(world.names)


def test_it_starts_from_its_own_checkpoint(run: Run, world: World) -> None:
    model, words = world.experiment.model, ("train", "--config", world.config, "--pretrain")
    slow = ("--learning-rate", 1e-12, "--save-dir", "again")
    assert f"weights taken from {world.weights}" in run(*words, world.weights, *slow)
    before, after = weights_of(world.weights), weights_of(last("again", model))
    for name, value in before.items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            torch.testing.assert_close(after[name], value, rtol=1e-5, atol=1e-8)


def test_it_starts_from_a_checkpoint_of_other_classes(run: Run, world: World) -> None:
    classes = len(world.names)
    said = run(
        *("train", "--config", world.config, "--pretrain", world.weights),
        *("--set", f"MODEL.num_classes={classes + 2}"),
    )
    assert f"head replaced: weights have {classes} classes, this model {classes + 2}" in said


def test_its_stages_freeze(run: Run, clips: World) -> None:
    words = ("train", "--config", clips.config, "--set", "TRAIN.freeze_stages=1", "--save-dir", "f")
    assert "they start from random weights" in run(*words, code=2)
    run(*words, "--pretrain", clips.weights)
    same = equal(weights_of(clips.weights), weights_of(last("f", "ToyClips")))
    assert {name for name in same if name.startswith("stem")} == {
        name for name in weights_of(clips.weights) if name.startswith("stem")
    }
    assert not {"body.weight", "body_norm.running_mean", "fc.weight"} & same
    said = run("train", "--config", clips.config, "--set", "TRAIN.freeze_stages=3",
               "--pretrain", clips.weights, code=2)  # fmt: skip
    assert said == "error: freeze_stages = 3: the model has 2 stages\n"


def test_its_stages_have_their_own_rates(run: Run, clips: World) -> None:
    run("train", "--config", clips.config, "--set", "TRAIN.layer_decay=0.5")
    settings = clips.experiment["TRAIN"].model_copy(update={"layer_decay": 0.5})
    model = ToyClipNet(num_classes=3)
    optimizer = make_optimizer(model, TOYS["ToyClips"], settings)
    scales = {id(p): g["rate_scale"] for g in optimizer.param_groups for p in g["params"]}
    found = [scales[id(m.weight)] for m in (model.stem, model.body_norm, model.fc)]
    assert found == [0.25, 0.5, 1.0]
    assert type(optimizer) is torch.optim.AdamW


@pytest.mark.parametrize("given", ["layer_decay = 0.5", "freeze_stages = 1"])
def test_a_model_without_stages_says_so(run: Run, tmp_path: Path, given: str) -> None:
    world = world_of("PlainClips", tmp_path)
    said = run(
        *("train", "--config", world.config, "--pretrain", world.weights),
        *("--set", f"TRAIN.{given.replace(' ', '')}"),
        code=2,
    )
    assert said == f"error: {given}: PlainClipNet has no stages to go by; leave the key out\n"


def test_nothing_of_it_is_published_or_has_fluid_names(run: Run, world: World) -> None:
    model = world.experiment.model
    said = run("infer", *world.files, "--model-name", model, "--config", world.config, code=2)
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert model in said
    said = run("convert", world.weights, "fluid.tar.gz", code=2)
    assert said == f"error: {model} is no model of the original: it has no names there\n"


@pytest.mark.parametrize(("model", "own"), [("ToyClips", "width"), ("ToyFeatures", "drop_rate")])
def test_its_keys_are_checked_and_listed(run: Run, tmp_path: Path, model: str, own: str) -> None:
    world = world_of(model, tmp_path)
    said = run("train", "--config", world.config, "--set", f"MODEL.{own}x=1", code=2)
    assert f"{model} has no such key; did you mean '{own}'?" in said
    said = run("config", "--model-name", model.upper(), "--keys")
    assert ("the toy's channels" if own == "width" else "the toy's dropout") in said
    assert f"# {model}, from {world.config}" in run("config", world.config)


def test_help_names_it() -> None:
    code = (
        "from videozoo.specs import SPECS\nfrom toy_models import TOYS\nSPECS.update(TOYS)\n"
        "from videozoo.cli.main import main\nmain(['train', '--help'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    assert done.returncode == 0, done.stderr
    assert "ToyClips" in done.stdout
    assert "ToyFeatures" in done.stdout
