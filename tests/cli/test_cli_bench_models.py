"""videozoo bench models: tiny models, within this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from videozoo.bench import models
from videozoo.bench.machine import Machine
from videozoo.bench.models_floor import Rates
from videozoo.bench.models_passes import Job, Passes, run_job
from videozoo.errors import VideozooError

TINY = (
    "feature_dims=[8, 4]", "cluster_nums=[3, 2]", "hidden_sizes=[12, 10]", "num_classes=8",
)  # fmt: skip
SIZES = [word for key in TINY for word in ("--set", f"MODEL.{key}")]
QUICK = ("--seconds", 0, "--use-gpu", "False")


def said(text: str) -> str:
    """Returns what was printed, without the breaks of lines."""
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Replaces what takes long; returns the jobs that were asked for."""
    jobs: list[Job] = []

    def run(job: Job) -> Passes:
        jobs.append(job)
        return run_job(job)

    machine = Machine("Test CPU", cores=2, load=0.0, versions={"torch": "1.2"})
    monkeypatch.setattr(models, "this_machine", lambda: machine)
    monkeypatch.setattr(models, "measure_rates", lambda *_, **__: Rates(1e9, 1e9))
    monkeypatch.setattr(models, "run_apart", run)
    return jobs


def test_a_tiny_model(command: Command, asked: list[Job]) -> None:
    words = ("--model-name", "attentioncluster", "--batch-size", 3, "--frames", "2-6", *SIZES)
    done = command("bench", "models", *words, *QUICK, "--json", "r/b.json")
    assert done.code == 0
    told = said(done.out)
    assert "machine: Test CPU, cores: 2" in told
    assert "device: CPU; products in 32: 1 GFLOP/s; products in bf16: 1 GFLOP/s" in told
    assert "measuring AttentionCluster train bf16 ..." in told
    for word in ("infer 32", "train 32", "infer bf16", "train bf16", "3 x 2-6", "peak MB"):
        assert word in told
    assert "original" not in told  # it had other sizes
    assert max(map(len, done.out.splitlines())) <= 80
    assert [(job.training, job.settings.precision) for job in asked] == [
        (False, "32"), (True, "32"), (False, "bf16"), (True, "bf16"),
    ]  # fmt: skip
    assert all(job.frames == (2, 6) and job.device == "cpu" for job in asked)
    found: dict[str, Any] = json.loads(Path("r/b.json").read_text())
    assert [p.name for p in Path("r").iterdir()] == ["b.json"]
    assert found["machine"]["cpu"] == "Test CPU"
    assert found["rates"]["bf16"] == {"operations": 1e9, "copied": 1e9}
    assert len(found["figures"]) == 4
    for figures in found["figures"]:
        assert figures["videos"]["lowest"] <= figures["videos"]["middle"]
        assert figures["of_floor"] > 0
        assert figures["original"] is None


def test_everything_is_measured_by_default(
    command: Command, asked: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Job) -> Passes:
        asked.append(job)
        return Passes([0.0123, 0.0111, 0.0444], 12_345_678_901, 10, 10**8, 20, 0, [])

    monkeypatch.setattr(models, "run_apart", run)
    done = command("bench", "models", *QUICK)
    assert done.code == 0
    assert len(asked) == 5 * 2 * 2
    shapes = {name: models.describe_shape(j.settings, j.frames) for j in asked
              if (name := j.settings.NAME)}  # fmt: skip
    assert shapes == {name: quoted[0] for name, quoted in models.ORIGINAL.items()}
    assert "times: how many times as fast as the original" in said(done.out)
    assert "AttentionLSTM infer 1.9, train 0.68;" in said(done.out)
    assert max(map(len, done.out.splitlines())) <= 80
    assert "…" not in done.out  # nothing is cut off


def test_sizes_may_be_set(command: Command, asked: list[Job]) -> None:
    small = ("num_layers=18", "num_classes=3", "target_size=32", "seg_num=2")
    sizes = [word for key in small for m in ("TRAIN", "INFER") for word in ("--set", f"{m}.{key}")]
    words = ("--model-name", "TSN", "--precision", "32", "--batch-size", 2)
    done = command("bench", "models", *words, *sizes, *QUICK)
    assert done.code == 0
    assert "2 x 2x1 x 32" in done.out
    assert [job.training for job in asked] == [False, True]


def test_nothing_measured_is_a_failure(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(job: Job) -> Passes:
        raise VideozooError("the memory may be too small")

    monkeypatch.setattr(models, "run_apart", run)
    done = command("bench", "models", "--model-name", "TSN", *QUICK)
    assert done.code == 1
    assert "not measured: TSN infer 32: the memory may be too small" in said(done.out)


def test_a_gpu_that_is_not_there_is_said_when_asked_for(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(models, "run_apart", lambda job: Passes([1.0], None, 10, 100, 20, 0, []))
    words = ("bench", "models", "--model-name", "TSN", "--seconds", 0)
    assert "no GPU found" in command(*words, "--use-gpu", "True").out
    assert "no GPU found" not in command(*words).out


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--model-name", "TSM"), "did you mean 'TSN'?"),
        (("--precision", "16"), "--precision: "),
        (("--frames", "0"), "--frames 0: give a number such as 300, or a range: 120-300"),
        (("--frames", "300-120"), "--frames 300-120: give a number"),
        (("--use-gpu", "maybe"), "--use-gpu maybe: give True or False"),
        (("--json", "."), "--json .: is a folder; give the name of a file"),
        (("--model-name", "TSN", "--set", "MODEL.groups=5"), "TSN has no such key"),
    ],
)
def test_faults(command: Command, asked: list[Job], words: tuple[str, ...], fault: str) -> None:
    done = command("bench", "models", *words)
    assert done.code == 2
    assert done.err.startswith("error: ")
    assert fault in done.err
    assert done.err.count("\n") == 1
    assert asked == []


def test_help(command: Command) -> None:
    assert "models" in command("bench", "--help").out
    assert "--precision" in command("bench", "models", "--help").out
