from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from made_batches import describe_shape, make_batch
from passes import Job, count_operations, make_classifier, run_job

import models
from tiny import FEATURE_SIZES
from videozoo.config import load_experiment
from videozoo.config.keys import Settings
from videozoo.specs import find_spec

CLIP_SIZES = ["num_layers=18", "num_classes=3", "short_size=36", "target_size=32"]
SIZES = {**FEATURE_SIZES, "STNET": CLIP_SIZES, "TSN": CLIP_SIZES}


def sizes_of(model: str) -> list[str]:
    more = ["feature_dims=[8, 4]", "num_classes=8"] if model in FEATURE_SIZES else []
    return [f"TRAIN.{size}" for size in [*SIZES[model], *more]]


def tiny(model: str, precision: str = "32") -> Settings:
    own = ["TRAIN.batch_size=2", "TRAIN.learning_rate=1e-6", f"TRAIN.precision={precision}"]
    keys = find_spec(model).keys
    return load_experiment(keys, None, overrides=[*sizes_of(model), *own])["TRAIN"]


@pytest.mark.slow
def test_the_script(script: Callable[..., str], tmp_path: Path) -> None:
    out = tmp_path / "models.json"
    words = ("--seconds", 0.01, "--batch-size", 2, "--frames", "3-6", "--device", "cpu")
    words += ("--precision", "bf16", "--json", out, "--set", *sizes_of("NEXTVLAD"))
    said = script("models.py", "--model-name", "NEXTVLAD", *words)
    assert "GFLOP/video" in said
    assert "2 x 3-6" in said
    figures = json.loads(out.read_text())["figures"]
    assert [figure["training"] for figure in figures] == [False, True]
    for figure in figures:
        assert 0 < figure["lowest"] <= figure["videos/s"] <= figure["highest"]
        assert figure["operations"] > 0
        assert figure["peak"] is None or figure["peak"] > 0


@pytest.mark.slow
def test_what_cannot_be_measured_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(tiny("NEXTVLAD"), True, (4, 4), seconds=0.01, device="cuda:99")
    models.show([models.measured(job, rate=1.0, copied=1.0)])
    assert "not measured: NEXTVLAD train 32: " in capsys.readouterr().out


@pytest.mark.slow
def test_an_unknown_model_is_one_sentence(script: Callable[..., str]) -> None:
    assert "unknown model 'NEXTVLADD'" in script("models.py", "--model-name", "NEXTVLADD", code=2)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("model", sorted(SIZES))
def test_every_model_runs(model: str, training: bool) -> None:
    settings = tiny(model, "bf16" if training else "32")
    found = run_job(Job(settings, training, (4, 4), seconds=0.01, device="cpu"))
    assert all(seconds > 0 for seconds in found.seconds)
    assert found.operations > 0
    parameters = make_classifier(settings).model.parameters()
    assert found.parameters == sum(p.numel() for p in parameters)


def test_batches() -> None:
    batch = make_batch(tiny("NEXTVLAD"), (3, 6))
    assert [tuple(f.shape) for f in batch.features] == [(2, 6, 8), (2, 6, 4)]
    assert sorted(batch.lengths.tolist()) == [3, 6]
    assert batch.labels.any(1).all()
    assert batch.labelled.all()
    clips = make_batch(tiny("STNET"))
    assert tuple(clips.clips.shape) == (2, 7, 15, 32, 32)
    assert (clips.labels >= 0).all()


def test_shapes_in_words() -> None:
    assert describe_shape(tiny("NEXTVLAD"), (300, 300)) == "2 x 300"
    assert describe_shape(tiny("NEXTVLAD"), (120, 300)) == "2 x 120-300"
    assert describe_shape(tiny("STNET"), (1, 1)) == "2 x 7x5 x 32"


def counted(model: str, frames: int, *, training: bool = False) -> float:
    settings = tiny(model)
    batch = make_batch(settings, (frames, frames))
    return count_operations(make_classifier(settings), batch, training) / len(batch)


def test_operations_of_products() -> None:
    frames, joined = 5, 8 * 3 + 4 * 2
    # attention of every frame and their sum
    by_hand = sum(2 * frames * dim * clusters * 2 for dim, clusters in ((8, 3), (4, 2)))
    assert counted("AttentionCluster", frames) == by_hand + 2 * (joined * 12 + 12 * 10 + 10 * 8)


def test_operations_of_recurrences_are_counted() -> None:
    frames, embedding, states = 40, 6, 5
    recurrence = 2 * 2 * frames * 2 * 4 * states * (embedding + states)  # modalities, directions
    rest = 2 * frames * (8 + 4) * embedding + 2 * 4 * states * 12 + 2 * (12 * 10 + 10 * 8)
    assert counted("AttentionLSTM", frames) == pytest.approx(recurrence + rest, rel=0.1)
    training = counted("AttentionLSTM", frames, training=True)
    assert training == pytest.approx(3 * (recurrence + rest), rel=0.1)


def test_operations_of_convolutions() -> None:
    # a ResNet-18 on 32 x 32 pixels, 3 frames: 16 x 16 after the first layer, 8 x 8 after the pool
    def block(size: int, into: int, out: int) -> int:
        first = size * size * 9 * (into * out + out * out)
        shortcut = size * size * into * out if into != out else 0
        return first + shortcut + size * size * 9 * 2 * out * out

    places = 16 * 16 * 49 * 3 * 64
    places += block(8, 64, 64) + block(4, 64, 128) + block(2, 128, 256) + block(1, 256, 512)
    forward = 2 * (3 * places + 512 * 3)
    assert counted("TSN", 1) == forward
    assert 2.5 * forward < counted("TSN", 1, training=True) < 3 * forward  # pixels get no gradient
    assert counted("STNET", 1) > 2 * forward


def test_the_peak_is_what_was_taken_since() -> None:
    code = (
        "import numpy as np, torch; from peak_memory import PeakMemory\n"
        "memory = PeakMemory(torch.device('cpu'))\n"
        "np.ones(300 << 20, np.uint8)\n"  # is given back at once
        "np.ones(1 << 20, np.uint8)\n"
        "print(memory.taken())"
    )
    folder = Path(models.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, check=True)
    taken = ast.literal_eval(done.stdout.decode())
    assert taken is None or 250 * 2**20 < taken < 400 * 2**20


def test_what_a_gpu_is_measured_by_runs_on_a_stand_in(
    script: Callable[..., str], tmp_path: Path
) -> None:
    said = script("gpu.py", "--device", "cpu", "--seconds", 0.01, "--json", tmp_path / "gpu.json")
    assert "cores that decode what the encoder takes:" in said
    figures = json.loads((tmp_path / "gpu.json").read_text())["figures"]
    assert len(figures) == 5
    assert all(value > 0 for value in figures.values())
