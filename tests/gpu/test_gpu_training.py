"""Training on a GPU: in both precisions, the original's optimizers, going on elsewhere."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_batches import make_batch
from small_training import (
    SMALL,
    Steps,
    experiment_of,
    model_keys,
    run_quietly,
    write_clips,
    write_shards,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from videozoo.checkpoints.native import load_native
from videozoo.config import Experiment
from videozoo.data.sampler import MicroBatch
from videozoo.specs import SPECS
from videozoo.training.step import Stepper

MODELS = list(SMALL)


def experiment(model: str, folder: Path, **train: Any) -> Experiment:
    """Four videos, and training that takes them all in one step."""
    write = write_clips if model in ("TSN", "STNET") else write_shards
    return experiment_of(model, write(folder / "data", 4), **{"learning_rate": 1e-3, **train})


def losses_of(model: str, folder: Path) -> list[float]:
    with (folder / f"{model}_curves.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    return [float(row["value"]) for row in rows if row["metric"] == "loss"]


@pytest.mark.parametrize("model", MODELS)
def test_training_in_bfloat16(model: str, tmp_path: Path, device: torch.device) -> None:
    losses = {}
    for precision in ("32", "bf16"):
        keys = {"use_gpu": device.type == "cuda", "precision": precision}
        folder = tmp_path / precision
        run_quietly(experiment(model, tmp_path, **keys), folder, log_interval=1)
        losses[precision] = losses_of(model, folder)
    assert len(losses["32"]) == 2
    assert losses["bf16"][0] == pytest.approx(losses["32"][0], rel=0.03)
    assert losses["bf16"][1] == pytest.approx(losses["32"][1], rel=0.2)  # StNet's differ most
    assert losses["bf16"] != losses["32"]
    files = [tmp_path / "bf16" / f"{model}_{name}.safetensors" for name in ("epoch1", "last")]
    one, two = (load_native(file).state_dict for file in files)
    assert all(value.isfinite().all() for value in two.values())
    assert any(not torch.equal(value, one[name]) for name, value in two.items())


class Types(TorchDispatchMode):
    """Notes the types that operations give, those of gradients too."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()
        self.names = ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.seen |= {x.dtype for x in tree_leaves(out) if isinstance(x, torch.Tensor)}
        self.names += str(func)
        return out


@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_made_in_bfloat16_too(model: str, device: torch.device) -> None:
    made = Steps(model, batch_size=4)
    made.classifier.to(device)
    stepper = Stepper(**{**made.arguments, "precision": "bf16"})
    settings = SPECS[model].keys.model_validate(model_keys(model, batch_size=4))
    part = MicroBatch(epoch=0, step=0, indices=(0, 1, 2, 3), step_size=4, last=True)
    with Types() as types:
        stepper([replace(make_batch(settings, (3, 6)), micro_batch=part)], 0)
    assert "backward" in types.names
    assert torch.bfloat16 in types.seen
    assert torch.float16 not in types.seen


@pytest.mark.parametrize("order", ["from the GPU to the CPU", "from the CPU to the GPU"])
@pytest.mark.parametrize("model", ["AttentionCluster", "AttentionLSTM", "NEXTVLAD"])
def test_training_goes_on_on_another_device(
    model: str, order: str, tmp_path: Path, device: torch.device
) -> None:
    there = device.type == "cuda"
    first, second = (there, False) if order.startswith("from the GPU") else (False, there)
    run_quietly(experiment(model, tmp_path), tmp_path / "whole", log_interval=1)
    folder = tmp_path / "parts"
    for use_gpu, epoch, resume in ((first, 1, None), (second, 2, "auto")):
        now = experiment(model, tmp_path, use_gpu=use_gpu, epoch=epoch)
        run_quietly(now, folder, log_interval=1, resume=resume)
    whole = losses_of(model, tmp_path / "whole")
    assert len(whole) == 2
    assert losses_of(model, folder) == pytest.approx(whole, rel=1e-4)
