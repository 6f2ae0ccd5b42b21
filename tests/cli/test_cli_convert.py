"""Checkpoints to the original's format and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from commands import Command

from tiny import CLIPS, World, write_list
from videozoo.calibration import Calibration, write_calibration
from videozoo.checkpoints.fluid import read_fluid
from videozoo.checkpoints.native import load_native, save_native


def metrics(model: str) -> dict[str, float]:
    result = json.loads(Path(f"{model}_test_result.json").read_text())
    names = ("hit_at_1", "perr", "gap", "map", "top1", "top5", "macro_f1", "loss")
    return {name: result[name] for name in names if name in result}


@pytest.mark.parametrize(
    ("data", "form"),
    [("feature_data", "fluid"), ("feature_data", "fluid.tar.gz"), ("clip_data", "fluid")],
)
def test_there_and_back(
    command: Command, request: pytest.FixtureRequest, data: str, form: str
) -> None:
    world: World = request.getfixturevalue(data)
    model = world.experiment.model
    done = command("convert", world.weights, form)
    assert (done.code, done.out) == (0, f"{world.weights} -> {form}: {model}\n")
    names = write_list(Path("names.txt"), world.names)
    how = ("--model-name", model.lower(), "--config", world.config)
    done = command("convert", form, "back.safetensors", *how, "--label-file", names)
    assert done.code == 0
    assert f"{model}, {len(world.names)} class names" in done.out
    before, after = load_native(world.weights), load_native("back.safetensors")
    assert before.state_dict.keys() == after.state_dict.keys()
    for key, value in before.state_dict.items():
        assert torch.equal(value, after.state_dict[key]), key
    assert (after.model, after.labels) == (model, world.names)
    assert after.preprocessing == before.preprocessing

    assert command("test", "--weights", world.weights).code == 0
    native = metrics(model)
    assert native
    assert command("test", "--weights", form, *how).code == 0
    assert metrics(model) == native
    protocol = json.loads(Path(f"{model}_test_result.json").read_text())["protocol"]
    assert (protocol["weights"], len(protocol["weights_sha256"])) == (form, 64)


def test_fluid_folders_hold_fluids_names(command: Command, feature_data: World) -> None:
    command("convert", feature_data.weights, "fluid")
    arrays = read_fluid("fluid")
    assert arrays["fc1.weights"].shape == (3 * 8 + 2 * 4, 12)  # [in, out]
    assert arrays["satt1.conv.weight"].shape == (2, 4, 1, 1)


def test_without_names_convert_says_so(command: Command, feature_data: World) -> None:
    command("convert", feature_data.weights, "fluid")
    done = command("convert", "fluid", "new.safetensors", "--config", feature_data.config)
    assert done.out.endswith("AttentionCluster, no class names (give --label-file)\n")


def test_fluid_weights_need_their_model(command: Command, clip_data: World) -> None:
    command("convert", clip_data.weights, "fluid")
    done = command("infer", clip_data.files[0], "--weights", "fluid")
    assert done.code == 2
    assert "fluid: the weights do not fit this model" in done.err
    assert (
        "fluid does not say its model: it is taken for AttentionCluster; give --model" in done.err
    )
    done = command("infer", clip_data.files[0], "--weights", "fluid", "--model-name", "TSN")
    assert "--model-name" not in done.err  # it was given: a ResNet-18 is not what the config says


def test_fluid_weights_of_another_class_count(
    command: Command, clip_data: World, tmp_path: Path
) -> None:
    command("convert", clip_data.weights, "fluid")
    config = tmp_path / "other.txt"
    config.write_text(CLIPS.format(model="TSN", listing="").replace("_classes = 3", "_classes = 7"))
    done = command("convert", "fluid", "x.safetensors", "--model=TSN", "--config", config)
    assert done.code == 2
    said = "error: fluid: the weights are for 3 classes, the config says num_classes = 7\n"
    assert done.err == said
    assert not Path("x.safetensors").exists()


def test_nothing_is_overwritten(command: Command, feature_data: World) -> None:
    Path("there.safetensors").write_text("precious")
    done = command("convert", feature_data.weights, "there.safetensors")
    assert done.code == 2
    assert "exists already" in done.err
    assert Path("there.safetensors").read_text() == "precious"


def test_faults_of_convert(command: Command, feature_data: World) -> None:
    done = command("convert", "none", "x.safetensors")
    assert (done.code, done.err) == (2, "error: none: there is no such checkpoint\n")
    names = write_list(Path("names.txt"), ["only", "two"])
    words = ("convert", feature_data.weights, "x.safetensors", "--label-file", names)
    done = command(*words)
    assert done.code == 2
    assert "the weights have 8 classes, names.txt has 2 names" in done.err
    assert not Path("x.safetensors").exists()


def test_a_calibration_has_no_place_in_the_originals_checkpoints(
    command: Command, feature_data: World
) -> None:
    path = Path("calibrated.safetensors")
    save_native(path, load_native(feature_data.weights))
    write_calibration(path, Calibration(1.7))
    done = command("convert", path, "fluid")
    assert "left out: the calibration (temperature 1.7), which the original's" in done.out
    done = command("convert", path, "native.safetensors")
    assert "left out" not in done.out
    assert Path("native.safetensors").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("data", ["clip_data", "feature_data"])
def test_a_state_dict_of_pytorch_is_weights_too(
    command: Command, request: pytest.FixtureRequest, data: str
) -> None:
    world: World = request.getfixturevalue(data)
    before = load_native(world.weights)
    state = {f"module._orig_mod.{key}": value for key, value in before.state_dict.items()}
    torch.save({"epoch": 3, "net": state}, "w.pth")
    told = command("infer", world.files[0], "--weights", "w.pth")
    assert told.code == 2
    assert told.err.startswith("error: w.pth: a state dict of PyTorch does not say its model; give")
    how = ("--model-name", world.experiment.model, "--config", world.config)
    names = write_list(Path("names.txt"), world.names)
    assert command("convert", "w.pth", "back.safetensors", *how, "--label-file", names).code == 0
    after = load_native("back.safetensors")
    assert after.labels == world.names
    for key, value in before.state_dict.items():
        assert torch.equal(value, after.state_dict[key]), key
    answers = []
    for weights in ("w.pth", "back.safetensors"):
        assert command("infer", world.files[0], "--weights", weights, *how).code == 0
        answers.append(json.loads(Path(f"{before.model}_infer_result.json").read_text()))
    first, second = (answer[0] if isinstance(answer, list) else answer for answer in answers)
    assert first.keys() == second.keys()


def test_names_that_the_weights_do_not_have(command: Command, clip_data: World) -> None:
    names = write_list(Path("two.txt"), ["a", "b"])
    said = command("convert", clip_data.weights, "x.safetensors", "--label-file", names).err
    assert "the weights have 3 classes, two.txt has 2 names; give --label-file one with 3" in said
    assert not Path("x.safetensors").exists()


def test_a_folder_of_checkpoints_and_a_state_say_what_to_give(
    command: Command, clip_data: World
) -> None:
    Path("checkpoints").mkdir()
    Path("checkpoints/TSN_best.safetensors").write_bytes(clip_data.weights.read_bytes())
    Path("checkpoints/TSN_best.state").write_bytes(b"PK\x03\x04")
    for given in ("checkpoints", "checkpoints/TSN_best.state"):
        for words in (("infer", clip_data.files[0], "--weights"), ("convert",)):
            told = command(*words, given, *(["x.safetensors"] if words == ("convert",) else []))
            assert told.code == 2
            assert "checkpoints/TSN_best.safetensors" in told.err
            assert "taken for" not in told.err
    assert "TSN_best.safetensors" in command("train", "--pretrain", "checkpoints").err
