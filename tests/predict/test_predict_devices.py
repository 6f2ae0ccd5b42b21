"""Test and predict on a device that is not the CPU: the same figures as on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from other_device import OtherTensor, other_device
from tiny import World, clip_world, feature_world
from videozoo.answers import Result
from videozoo.classifier import load_weights
from videozoo.evaluate import Evaluation, evaluate
from videozoo.inputs import open_samples
from videozoo.predict import Predictor

MODELS = ["AttentionCluster", "AttentionLSTM", "NEXTVLAD", "TSN"]


def world_of(model: str, folder: Path) -> World:
    return clip_world(folder) if model == "TSN" else feature_world(folder, model)


def figures_of(world: World, device: torch.device) -> Evaluation:
    settings = world.experiment["TEST"]
    return evaluate(
        load_weights(world.weights).classifier.to(device),
        open_samples(settings, str(world.listing)).dataset,
        settings=settings,
        device=device,
    )


def predicted(world: World, device: torch.device) -> list[Result]:
    predictor = Predictor(
        classifier=load_weights(world.weights).classifier,
        settings=world.experiment["INFER"],
        labels=world.names,
        device=device,
    )
    assert isinstance(next(predictor.classifier.parameters()), OtherTensor) == (
        device.type == "meta"
    )
    return predictor.predict(world.files, top_k=3)


def plain(results: list[Result]) -> list[Any]:
    return [(r.video, [(p.label, round(p.score, 5)) for p in r.predictions]) for r in results]


@pytest.mark.parametrize("model", MODELS)
def test_the_figures_of_a_test_and_of_predictions(model: str, tmp_path: Path) -> None:
    world = world_of(model, tmp_path)
    wanted, named = figures_of(world, torch.device("cpu")), predicted(world, torch.device("cpu"))
    with other_device() as device:
        found, there = figures_of(world, device), predicted(world, device)
    assert found.metrics == pytest.approx(wanted.metrics, rel=1e-5)
    assert (found.evaluated, found.unlabelled) == (5, 0)
    if wanted.confusion is not None:
        assert found.confusion is not None
        assert found.confusion.equal(wanted.confusion)
    assert plain(there) == plain(named)
