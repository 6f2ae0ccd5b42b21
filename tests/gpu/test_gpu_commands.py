"""Whole commands on a GPU: the same figures as on the CPU."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny import World, clip_world, feature_world
from videozoo.cli.main import main

MODELS = ["AttentionCluster", "AttentionLSTM", "NEXTVLAD", "TSN"]


def run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    assert not end.value.code


def world_of(model: str, folder: Path) -> World:
    return clip_world(folder) if model == "TSN" else feature_world(folder, model)


def result_of(command: str, world: World, folder: str, use_gpu: str) -> Any:
    """Runs `videozoo test` or `infer` and returns its result file."""
    paths = world.files if command == "infer" else ()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.max_memory_allocated()
    run(command, *paths, "--weights", world.weights, "--save-dir", folder, "--use-gpu", use_gpu)
    assert (torch.cuda.max_memory_allocated() > before) == (use_gpu == "TRUE")
    return json.loads(next(Path(folder).glob(f"*_{command}_result.json")).read_text())


@pytest.mark.parametrize("model", MODELS)
def test_test(model: str, tmp_path: Path) -> None:
    world = world_of(model, tmp_path)
    wanted = result_of("test", world, "cpu", "FALSE")
    found = result_of("test", world, "gpu", "TRUE")
    names = ["loss", "evaluated", *(["top1", "top5"] if model == "TSN" else ["hit_at_1", "gap"])]
    for name in names:
        assert found[name] == pytest.approx(wanted[name], rel=1e-4), name


@pytest.mark.parametrize("model", MODELS)
def test_infer(model: str, tmp_path: Path) -> None:
    world = world_of(model, tmp_path)
    wanted = result_of("infer", world, "cpu", "FALSE")
    found = result_of("infer", world, "gpu", "TRUE")
    assert [row["video"] for row in found] == [row["video"] for row in wanted]
    for ours, theirs in zip(found, wanted, strict=True):
        scores = {p["label"]: p["score"] for p in ours["predictions"]}
        assert scores == pytest.approx(
            {p["label"]: p["score"] for p in theirs["predictions"]}, abs=1e-5
        )
