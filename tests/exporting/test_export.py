"""Exported models score as their checkpoints do, in each engine, with one preprocessing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import videozoo
from cli.commands import Command, command
from tiny import World, clip_world, feature_world
from toy_encoder import ToyEncoder, toy_recipe
from videozoo.answers import Prediction
from videozoo.calibration import Calibration, write_calibration
from videozoo.checkpoints.exports import export_text
from videozoo.classifier import build_classifier, load_weights, save_weights
from videozoo.config.experiment import load_experiment
from videozoo.encoders import find
from videozoo.encoders.image_networks import ClipNetwork, ClipNetworkEncoder
from videozoo.encoders.quantiser import fit_scale
from videozoo.encoders.recipe import Recipe, Sampling
from videozoo.errors import VideozooError
from videozoo.exporting import export as exporting
from videozoo.specs import find_spec

__all__ = ["command"]

CPU = torch.device("cpu")
CLIPS = ("TSN", "STNET")
SUFFIX = {"onnx": ".onnx", "pt2": ".pt2", "openvino": ".xml"}


def world_of(model: str, folder: Path) -> World:
    return clip_world(folder, model) if model in CLIPS else feature_world(folder, model)


def by_class(prediction: Prediction) -> int:
    return prediction.index


def scores(world: World, weights: Path, *overrides: str) -> torch.Tensor:
    """Infers the world's list; returns all scores, [B, K]."""
    results = videozoo.infer(
        weights=weights, filelist=world.listing, overrides=overrides, top_k=100
    )
    return torch.tensor([[p.score for p in sorted(r.predictions, key=by_class)] for r in results])


@pytest.mark.parametrize(
    ("model", "form"),
    [
        ("AttentionCluster", "pt2"),
        *[
            pytest.param(model, form, marks=pytest.mark.slow)
            for model in ("AttentionCluster", "AttentionLSTM", "LINEAR", "NEXTVLAD", *CLIPS)
            for form in SUFFIX
            if (model, form) != ("AttentionCluster", "pt2")
        ],
    ],
)
def test_an_export_scores_as_its_checkpoint(model: str, form: str, tmp_path: Path) -> None:
    world = world_of(model, tmp_path)
    wanted = scores(world, world.weights)
    (file,) = videozoo.export(world.weights, form)
    assert file.path == world.weights.with_suffix(SUFFIX[form])
    assert file.difference <= 1e-5
    assert torch.allclose(scores(world, file.path), wanted, rtol=0, atol=1e-5)
    one = scores(world, file.path, "INFER.batch_size=1")
    assert torch.allclose(one, wanted, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def tsn(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Path]:
    """A calibrated TSN and its export, not to be changed."""
    world = clip_world(tmp_path_factory.mktemp("tsn"))
    write_calibration(world.weights, Calibration(2.5))
    return world, videozoo.export(world.weights, "onnx")[0].path


def test_a_description_rides_inside(tsn: tuple[World, Path]) -> None:
    world, file = tsn
    told = json.loads(export_text(file) or "")
    assert told["labels"] == world.names
    assert told["calibration"] == {"temperature": 2.5, "thresholds": None}
    assert told["preprocessing"]["image_mean"] == [0.485, 0.456, 0.406]
    assert told["inputs"] == [
        {"name": "clips", "type": "uint8", "shape": ["batch", "segments", 3, 32, 32]}
    ]
    assert told["protocol"]["weights_sha256"] == load_weights(world.weights).sha256
    assert str(world.folder) not in json.dumps({**told, "config": None})


def test_calibrated_scores_and_more_segments_and_views(tsn: tuple[World, Path]) -> None:
    world, file = tsn
    for overrides in ((), ("INFER.seg_num=5",), ("INFER.test_crop='ten'",)):
        wanted = scores(world, world.weights, *overrides)
        assert torch.allclose(scores(world, file, *overrides), wanted, rtol=0, atol=1e-5)


def test_the_commands_take_an_export(
    tsn: tuple[World, Path], command: Command, tmp_path: Path
) -> None:
    world, file = tsn
    for name, weights in (("own", world.weights), ("export", file)):
        for verb in ("test", "infer"):
            ended = command(
                verb, "--weights", weights, "--filelist", world.listing,
                "--save-dir", tmp_path / name,
            )  # fmt: skip
            assert ended.code == 0, ended.err
    own, other = (
        json.loads((tmp_path / name / "TSN_test_result.json").read_text())
        for name in ("own", "export")
    )
    for key in ("top1", "loss"):
        assert other[key] == pytest.approx(own[key], abs=1e-5)
    shown = command("export", "--weights", world.weights, "--out", tmp_path / "x.onnx")
    assert "takes clips uint8 [batch, segments, 3, 32, 32]" in shown.out
    assert "gives logits, scores" in shown.out


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["INFER.target_size=24"], "takes clips uint8 [batch, segments, 3, 32, 32]"),
        (["MODEL.precision='bf16'"], "computes in precision 32, test and infer in the same one"),
    ],
)
def test_what_the_graph_does_not_take_is_refused(
    tsn: tuple[World, Path], overrides: list[str], sentence: str
) -> None:
    with pytest.raises(VideozooError, match=r"TSN\.onnx") as told:
        scores(tsn[0], tsn[1], *overrides)
    assert sentence in str(told.value)


def test_a_difference_is_told_and_leaves_nothing_behind(
    tsn: tuple[World, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    opened = exporting.open_engine

    def off(*arguments):  # type: ignore[no-untyped-def]
        run = opened(*arguments)
        return lambda tensors: [found + 1e-3 for found in run(tensors)]

    monkeypatch.setattr(exporting, "open_engine", off)
    ended = command("export", "--weights", tsn[0].weights, "--out", tmp_path / "a" / "x.onnx")
    assert ended.code == 2
    assert "x.onnx: the model in onnxruntime differs from PyTorch's by" in ended.err
    assert "1.0e-03, more than 1e-05; nothing is written" in ended.err
    assert list((tmp_path / "a").iterdir()) == []


def test_a_missing_engine_is_one_sentence(
    tsn: tuple[World, Path], monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    ended = command("infer", "--weights", tsn[1], "--filelist", tsn[0].listing)
    assert ended.code == 2
    assert 'needs onnxruntime: pip install "videozoo[export]" installs it' in ended.err


def test_a_pytorch_that_is_too_old_is_one_sentence(
    tsn: tuple[World, Path], monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.setattr(torch, "__version__", "2.8.1+cpu")
    ended = command("export", "--weights", tsn[0].weights, "--format", "pt2", "--out", "x.pt2")
    assert ended.code == 2
    assert "export needs PyTorch 2.9 or later, and this is 2.8.1+cpu" in ended.err
    assert not Path("x.pt2").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--format", "onnx", "--out", "x.xml"], "a file of onnx ends in .onnx"),
        (["--out", "folder.onnx"], "folder.onnx: is a folder; give --out another file"),
        (["--weights", "no.safetensors"], "no.safetensors"),
    ],
)
def test_bad_arguments_are_one_sentence(
    tsn: tuple[World, Path],
    command: Command,
    arguments: list[str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.onnx").mkdir()
    given = arguments if "--weights" in arguments else ["--weights", tsn[0].weights, *arguments]
    ended = command("export", *given)
    assert ended.code == 2
    assert sentence in ended.err
    assert "is an export itself" in command("export", "--weights", tsn[1]).err


def linear_on(recipe: Recipe, folder: Path, world: World) -> Path:
    """Writes a LINEAR of such rows, on a scale fitted to the world's videos."""
    names, dims = list(recipe.dims), list(recipe.dims.values())
    config = folder / "linear.txt"
    config.write_text(
        f'[MODEL]\nname = "LINEAR"\nfeature_names = {names}\nfeature_dims = {dims}\n'
        "num_classes = 3\nnum_workers = 0\nuse_gpu = False\nmulti_label = False\n"
    )
    experiment = load_experiment(find_spec("LINEAR").keys, str(config))
    torch.manual_seed(3)
    classifier = build_classifier(experiment["INFER"])
    rows = {name: torch.rand(9, dim).mul(2).sub(0.5).numpy() for name, dim in recipe.dims.items()}
    classifier.recipe = recipe.scaled(fit_scale([rows]))
    save_weights(folder / "L.safetensors", classifier, experiment, world.names)
    return folder / "L.safetensors"


def test_a_model_of_rows_takes_videos(
    clip_data: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    toy = ToyEncoder()
    monkeypatch.setattr(find, "open_encoder", lambda name, device: toy)
    weights = linear_on(toy_recipe(), tmp_path, clip_data)
    ended = command("export", "--weights", weights)
    assert "the encoder toy cannot be exported" in ended.err
    assert not list(tmp_path.glob("L.*onnx"))
    (file,) = videozoo.export(weights, encoder=False)
    wanted = scores(clip_data, weights)
    assert len({tuple(row) for row in wanted.tolist()}) == 5
    assert torch.allclose(scores(clip_data, file.path), wanted, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_an_encoder_that_rides_in_the_checkpoint_becomes_a_graph_beside(
    clip_data: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    own = load_weights(clip_data.weights)
    network = ClipNetwork.of(own.experiment["INFER"], sha256=own.sha256)
    state = own.classifier.model.state_dict()
    encoder = ClipNetworkEncoder(network, state, name="TSN.safetensors", device=CPU)
    recipe = find.recipe_of(encoder, Sampling(rate=5.0, sound=False))
    weights = linear_on(recipe, tmp_path, clip_data)
    wanted = scores(clip_data, weights, "INFER.cache_rows=False")
    model, beside = videozoo.export(weights)
    assert beside.path.name == "L.encoder.onnx"
    assert beside.inputs == ["frames uint8 [rows, 1, 3, 32, 32]"]
    assert beside.outputs == ["rgb"]
    found = scores(clip_data, model.path, "INFER.cache_rows=False")
    assert torch.allclose(found, wanted, rtol=0, atol=2e-3)  # a byte of a row may round elsewhere
    with pytest.raises(VideozooError, match="is the 'encoder' of an export"):
        videozoo.load(beside.path)
    beside.path.unlink()
    with pytest.raises(VideozooError, match=r"L\.encoder\.onnx: is missing"):
        scores(clip_data, model.path, "INFER.cache_rows=False")
