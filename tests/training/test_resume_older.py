"""A training that 0.1.0 began goes on with today's code as it went on then."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small_training import run_quietly

from videozoo.checkpoints.native import read_native_header
from videozoo.classifier import load_weights
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.specs import stored_experiment
from videozoo.training.state import load_state

DATA = Path(__file__).parents[1] / "checkpoints" / "data"
OLD = DATA / "AttentionLSTM_0.1.0.safetensors"


def record(number: int) -> bytes:
    """Returns a record as the training had it: video v{number} with number + 2 frames."""
    rgb = np.random.default_rng(number).integers(0, 256, (number + 2, 3), dtype=np.uint8)
    return encode_example(video=f"v{number}", labels=[number % 3], features={"rgb": rgb})


def test_a_state_of_0_1_0_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the config names features.list and labels.txt
    write_tfrecord(Path("a.tfrecord"), [record(number) for number in range(4)])
    Path("features.list").write_text("a.tfrecord\n")
    Path("labels.txt").write_text("cat\ndog\nrain\n")
    for suffix in (".safetensors", ".state"):
        shutil.copyfile(OLD.with_suffix(suffix), f"old{suffix}")
    lists = {(mode, "filelist"): "features.list" for mode in ("TRAIN", "VALID", "TEST")}
    experiment = stored_experiment(read_native_header(OLD), source=str(OLD), overrides=lists)
    trained, said = run_quietly(experiment, tmp_path / "save", resume="old.safetensors")
    assert "resuming old.safetensors at epoch 2, step 0" in said
    assert "warning" not in said  # nothing has changed since
    position = load_state(trained.last, "AttentionLSTM").position
    assert (position.epoch, position.steps_done, position.videos) == (2, 4, 8)
    wanted = json.loads(OLD.with_suffix(".json").read_text())
    features, lengths = torch.linspace(-1, 1, 24).view(2, 4, 3), torch.tensor([4, 2])
    with torch.inference_mode():
        model = load_weights(trained.last).classifier.model.eval()
        scores = model([features], lengths).sigmoid()
    torch.testing.assert_close(scores, torch.tensor(wanted["epoch2"]), rtol=0, atol=1e-6)
