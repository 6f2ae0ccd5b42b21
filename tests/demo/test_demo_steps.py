"""The whole demo at a size at which it learns nothing, and its scripts' command lines."""

from __future__ import annotations

import csv
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

import demo_clips
import demo_configs
import demo_steps
from videozoo.config.ini import Values

SCRIPTS = Path(demo_clips.__file__).parent
# Besides clips, curves for TensorBoard and shards, whose names hold times and hashes.
ONCE = {
    "lists/labels.txt",
    "lists/test.list",
    "lists/train.list",
    "features/test.list",
    "features/train.list",
    "pictures/frames.png",
    "pictures/STNET_confusion.png",
    "pictures/TSN_confusion.png",
    "results/one/STNET_infer_result",
    "table.csv",
}
EACH_MODEL = (
    "checkpoints/{}_curves.csv",
    "checkpoints/{}_last.safetensors",
    "configs/{}.txt",
    "pictures/{}_curves.png",
    "results/{}_infer_result.json",
    "results/{}_test_result.json",
)


def one_epoch(model: str, *, num_classes: int) -> Values:
    values = demo_configs.values_for(model, num_classes=num_classes)
    values["TRAIN"] |= {"epoch": 1, "batch_size": 4}
    return values


@pytest.mark.slow
def test_it_trains_tests_and_draws_all_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = partial(demo_clips.make_clips, per_class_train=2, per_class_test=1)
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(demo_steps, "make_clips", few)
    monkeypatch.setattr(demo_steps, "values_for", one_epoch)
    folder = tmp_path / "demo"
    with open(tmp_path / "said.txt", "w") as said:
        rows = demo_steps.run_demo(folder, seed=0, console=Console(file=said, width=200))
    models = ["TSN", "STNET", "AttentionCluster", "AttentionLSTM", "NEXTVLAD"]
    assert [row.model for row in rows[:-1]] == models
    assert rows[-1].model.endswith(", encoder")
    assert [row.metric for row in rows] == ["top1", "top1", "gap", "gap", "gap", "top1"]
    with (folder / "table.csv").open(newline="") as file:
        assert [row["model"] for row in csv.DictReader(file)] == [row.model for row in rows]
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert files >= ONCE | {name.format(model) for name in EACH_MODEL for model in models}
    assert sum(name.startswith("clips/") for name in files) == 6 * 3
    assert len(list((folder / "folder").glob("*_best.safetensors"))) == 1
    said = (tmp_path / "said.txt").read_text()
    assert "models on unseen videos" in said
    (page,) = (folder / "folder").glob("*_report.html")
    assert f"report: {page}" in said.replace("\n", "")


def test_the_clips_alone(tmp_path: Path) -> None:
    script = [sys.executable, str(SCRIPTS / "demo_clips.py"), str(tmp_path / "toy")]
    subprocess.run([*script, "--train", "1", "--test", "1"], check=True)
    assert len(list((tmp_path / "toy" / "train").rglob("*.mp4"))) == 6
    assert len(list((tmp_path / "toy" / "test").rglob("*.mp4"))) == 6


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["--seed", "-1"], 2)])
def test_its_command_line(arguments: list[str], code: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "run.py"), *arguments],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == code
    assert "--folder" in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())
