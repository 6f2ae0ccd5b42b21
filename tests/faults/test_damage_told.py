"""What is known to be missing of a video is told by every command that reads it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

import videozoo
from cli.commands import Run, run
from sounds import damage_sound, tone, write_sound
from tiny import World, clip_world
from toy_encoder import ToyEncoder
from videozoo.encoders import find
from videozoo.training import folder_encoder

__all__ = ["run"]

CUT = "4 of 60 frames decode, the file is cut off"


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toy = ToyEncoder()
    for module in (find, folder_encoder):
        monkeypatch.setattr(module, "open_encoder", lambda name, device: toy)
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def clips(tmp_path: Path, inputs: Path) -> World:
    """Five clips of which one is the beginning of a download, and one has damaged sound."""
    world = clip_world(tmp_path)
    shutil.copy(inputs / "misc" / "download_stopped.mp4", world.files[2])
    return world


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_scan(run: Run, clips: World) -> None:
    out = run("scan", "--config", clips.config, "--out", "scan.csv")
    assert f"damaged, used as far as they can be read: 1 {clips.files[2]}: {CUT}" in out
    assert "5 of 5 samples can be used, 1 of them damaged; written to scan.csv" in out
    rows = read_csv(Path("scan.csv"))
    assert [row["status"] for row in rows] == ["ok", "ok", "damaged", "ok", "ok"]
    assert rows[2]["reason"] == CUT


def test_test(run: Run, clips: World) -> None:
    out = run("test", "--weights", clips.weights)
    assert f"damaged, used as far as they can be read: 1 {clips.files[2]}: {CUT}" in out
    result = json.loads(Path("TSN_test_result.json").read_text())
    assert result["evaluated"] == 5
    assert result["damaged"] == [{"video": str(clips.files[2]), "reason": CUT}]


def test_infer(run: Run, clips: World) -> None:
    out = run("infer", "--weights", clips.weights, *clips.files)
    assert f"damaged, used as far as they can be read: 1 {clips.files[2]}: {CUT}" in out
    summary = json.loads(Path("TSN_infer_summary.json").read_text())
    assert summary["predicted"] == 5
    assert summary["damaged"] == [{"video": str(clips.files[2]), "reason": CUT}]
    results = videozoo.infer([str(file) for file in clips.files], clips.weights)
    assert [result.damage for result in results] == [None, None, CUT, None, None]


@pytest.mark.slow
def test_training(run: Run, clips: World) -> None:
    arguments = ["train", "--config", clips.config, "--save-dir", "o", "--log-interval", 1]
    out = run(*arguments, "--epoch-num", 1)
    assert "videos: top1" in out
    assert out.count("damaged 1") >= 2  # of training and of validation
    told = f"damaged, used as far as they can be read: 1 {clips.files[2]}: {CUT}"
    assert told in out
    assert told in run(
        *arguments, "--epoch-num", 1, "--resume", "auto"
    )  # also when nothing is left


def test_prepared_clips(run: Run, clips: World) -> None:
    for _ in range(2):  # what is done already is told as well
        out = run("prepare", "clips", clips.listing, "new")
        assert f"damaged, used as far as they can be read: 1 {clips.files[2]}: {CUT}" in out
    rows = read_csv(Path("new", "prepare.csv"))
    assert [row["status"] for row in rows] == ["ok", "ok", "damaged", "ok", "ok"]
    assert [rows[2]["reason"], rows[2]["frames"]] == [CUT, "4"]


def with_damaged_sound(path: Path) -> Path:
    write_sound(path, (0, tone(440, 2)), codec="aac", pictures=range(20))
    return damage_sound(path, 16)


def test_features_and_models_on_them(run: Run, clips: World) -> None:
    with_damaged_sound(clips.files[1])
    for _ in range(2):  # rows that are kept are told of as well
        out = run("prepare", "features", "rows", clips.listing, "--encoder", "toy")
        assert f"damaged, used as far as they can be read: 2 {clips.files[1]}: a packet of" in out
        assert f"{clips.files[2]}: {CUT}" in out
        assert "5 listed, 5 described in " in out
        assert " rows, 0 unreadable, 2 damaged" in out
    rows = read_csv(Path("rows", "clips_damaged.csv"))
    assert [row["path"] for row in rows] == [str(file) for file in clips.files[1:3]]
    assert rows[0]["reason"].startswith("a packet of its sound cannot be decoded: ")
    assert rows[1]["reason"] == CUT


@pytest.mark.slow
def test_a_head_on_the_rows_of_a_folder(run: Run, tmp_path: Path, inputs: Path) -> None:
    folder = tmp_path / "videos"
    for number, name in enumerate("ab"):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            write_sound(
                folder / name / f"{i}.mp4", (0, tone(440 + 100 * i)), codec="aac",
                pictures=[10 * number + i + k for k in range(6)],
            )  # fmt: skip
    for i in range(6):  # of both sides, training and validation
        damage_sound(folder / "a" / f"{i}.mp4", 8)
    out = run("train", folder, "--encoder", "toy", "--head", "LINEAR", "--save-dir", "o")
    assert "damaged, used as far as they can be read: " in out
    assert "of its sound cannot be decoded" in out
    weights = next(Path("o").glob("*_best.safetensors"))
    result = json.loads(Path("o", "LINEAR_test_result.json").read_text())
    assert len(result["damaged"]) >= 1
    out = run("infer", "--weights", weights, folder / "a" / "0.mp4")
    assert "damaged, used as far as they can be read: 1" in out
