"""An export beside the weights scores in their place, and only where it is theirs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import videozoo
from cli.commands import Command, command
from tiny import World, clip_world, feature_world
from videozoo import engine_choice
from videozoo.calibration import Calibration, write_calibration
from videozoo.classifier import LoadedWeights
from videozoo.errors import VideozooError
from videozoo.experiments import Engine, Weights, open_experiment
from videozoo.inputs import open_weights

__all__ = ["command"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> World:
    """An AttentionCluster with its ONNX export beside it, not to be changed."""
    world = feature_world(tmp_path_factory.mktemp("cluster"), "AttentionCluster")
    videozoo.export(world.weights, "onnx")
    return world


@pytest.fixture
def world(exported: World, tmp_path: Path) -> World:
    """The same, its weights and export copied."""
    for file in (exported.weights, exported.weights.with_suffix(".onnx")):
        shutil.copy(file, tmp_path)
    return replace(exported, folder=tmp_path, weights=tmp_path / exported.weights.name)


Run = Callable[..., tuple[str, dict[str, list[float]], str]]


@pytest.fixture
def infer(command: Command, world: World) -> Run:
    """Infers the world's list: the engine, all scores by video, and what was said beside them."""

    def run(*arguments: object) -> tuple[str, dict[str, list[float]], str]:
        out = world.folder / "found"
        ended = command(
            "infer", "--weights", world.weights, "--filelist", world.listing, "--save-dir", out,
            *arguments,
        )  # fmt: skip
        assert ended.code == 0, ended.err
        protocol = json.loads((out / "AttentionCluster_infer_summary.json").read_text())["protocol"]
        assert protocol["weights"] == str(world.weights)
        found = json.loads((out / "AttentionCluster_infer_result.json").read_text())
        return protocol["engine"], scores_of(found), ended.err

    return run


def scores_of(results: list[dict[str, Any]]) -> dict[str, list[float]]:
    return {
        one["video"]: [
            p["score"] for p in sorted(one["predictions"], key=lambda p: str(p["label"]))
        ]
        for one in results
    }


def test_auto_takes_the_export_that_is_there_and_scores_stay(infer: Run, world: World) -> None:
    engine, wanted, said = infer("--engine", "torch")
    assert (engine, said) == ("torch", "")
    for arguments in ((), ("--engine", "onnxruntime")):
        engine, found, said = infer(*arguments)
        assert engine == "onnxruntime"
        assert found == {video: pytest.approx(row, abs=1e-5) for video, row in wanted.items()}
        assert ("ONNX Runtime scores, with " in said) == (arguments == ())
    world.weights.with_suffix(".onnx").unlink()
    assert infer()[0] == "torch"
    assert list(world.folder.glob("*.onnx")) == []  # none is made


def test_what_is_not_of_these_weights_does_not_score(
    infer: Run, world: World, command: Command
) -> None:
    write_calibration(world.weights, Calibration(3.0))
    engine, _, said = infer()
    assert engine == "torch"
    assert "PyTorch scores: " in said
    assert "was made of other weights; videozoo export --weights " in said
    ended = command(
        "test", "--weights", world.weights, "--filelist", world.listing, "--engine", "onnxruntime"
    )
    assert ended.code == 2
    assert "was made of other weights" in ended.err


def test_what_is_computed_otherwise_does_not_score(
    infer: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert infer("--set", "MODEL.precision='bf16'")[0] == "torch"
    monkeypatch.setattr(engine_choice, "choose_device", lambda use_gpu: torch.device("cuda"))
    assert infer()[0] == "torch"
    monkeypatch.undo()
    monkeypatch.setattr(engine_choice, "find_module", lambda name: None)
    engine, _, said = infer()
    assert engine == "torch"
    assert "needs onnxruntime, which is not installed" in said


def test_an_engine_without_an_export_says_what_to_type(world: World, command: Command) -> None:
    for arguments, sentence in (
        (("--engine", "openvino"), "is missing; videozoo export --weights"),
        (("--engine", "openvino", "--weights", world.weights.with_suffix(".onnx")),
         "is scored by onnxruntime, not by openvino; give the checkpoint"),
        (("--engine", "tensorrt"), "--engine"),
    ):  # fmt: skip
        ended = command(
            "infer", "--weights", world.weights, "--filelist", world.listing, *arguments
        )
        assert ended.code == 2
        assert sentence in ended.err


@pytest.mark.parametrize(
    ("overrides", "engine"),
    [
        ([], "openvino"),
        (["MODEL.seg_num=5"], "openvino"),
        (["MODEL.image_mean=[0.5,0.5,0.5]"], "torch"),
        (["MODEL.target_size=24"], "torch"),
    ],
)
def test_another_config_is_another_graph(
    overrides: list[str], engine: str, clips: World, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = open_experiment(
        None, None, weights=Weights.named(str(clips.weights)), overrides=overrides
    )
    found = open_weights(Weights.named(str(clips.weights), "auto"), experiment)
    assert found.engine == engine
    assert ("was made with another config" in capsys.readouterr().err) == (engine == "torch")


def test_openvino_computes_in_bfloat16_where_both_modes_ask_for_it(
    clips: World, capsys: pytest.CaptureFixture[str]
) -> None:
    def loaded(engine: Engine, *overrides: str) -> LoadedWeights:
        weights = Weights.named(str(clips.weights), engine)
        return open_weights(
            weights, open_experiment(None, None, weights=weights, overrides=list(overrides))
        )

    short = loaded("auto", "MODEL.precision='bf16'")
    assert short.engine == "openvino"
    exact, ours, other = (
        found.classifier.model(torch.full((1, 3, 3, 32, 32), 100, dtype=torch.uint8))
        for found in (loaded("openvino"), short, loaded("openvino"))
    )
    assert torch.equal(exact, other)
    assert torch.allclose(ours, exact, atol=0.05)
    capsys.readouterr()
    assert loaded("auto", "INFER.precision='bf16'").engine == "torch"
    assert capsys.readouterr().err == ""
    with pytest.raises(VideozooError, match=r"in precision 32 or bf16, test and infer in the same"):
        loaded("openvino", "INFER.precision='bf16'")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A TSN with exports beside it: an ONNX one too, which PyTorch is as fast as."""
    world = clip_world(tmp_path_factory.mktemp("tsn"))
    videozoo.export(world.weights, "openvino")
    world.weights.with_suffix(".onnx").touch()
    return world
