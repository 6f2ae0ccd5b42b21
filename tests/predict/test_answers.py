"""What a video is said to have, and when it is none of the classes."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

import videozoo
from tiny import World
from videozoo.answers import answered_classes
from videozoo.calibration import Calibration, write_calibration
from videozoo.checkpoints.native import load_native, save_native
from videozoo.cli.main import main
from videozoo.errors import VideozooError

SCORES = torch.tensor([0.2, 0.5, 0.3])


@pytest.mark.parametrize(
    ("many", "thresholds", "reject", "expected"),
    [
        (False, None, None, None),
        (False, None, 0.5, [1]),
        (False, None, 0.51, []),
        (False, [0.9, 0.9, 0.9], None, None),  # thresholds are for videos of many classes
        (True, None, None, None),
        (True, None, 0.25, [1, 2]),
        (True, None, 0.6, []),
        (True, [0.1, 0.6, 0.3], None, [2, 0]),
        (True, [0.1, 0.6, 0.3], 0.5, [2, 0]),
        (True, [0.1, 0.6, 0.3], 0.6, []),
        (True, [0.9, 0.9, 0.9], 0.1, []),
    ],
)
def test_answers(
    many: bool, thresholds: list[float] | None, reject: float | None, expected: list[int] | None
) -> None:
    bars = None if thresholds is None else torch.tensor(thresholds)
    found = answered_classes(SCORES, multi_label=many, thresholds=bars, reject=reject)
    assert found == expected


def infer(world: World, weights: Path | None = None, **options: Any) -> list[Any]:
    return videozoo.infer(None, weights or world.weights, filelist=world.listing, **options)


def words(world: World, weights: Path | None = None) -> list[str]:
    given = str(weights or world.weights)
    return ["infer", "--weights", given, "--filelist", str(world.listing)]


def middle_of_the_best(world: World) -> tuple[float, int]:
    """Returns a score between two videos' best ones, and how many videos are below it."""
    best = sorted(r.predictions[0].score for r in infer(world))
    return (best[1] + best[2]) / 2, 2


def test_a_video_below_reject_is_none_of_these(
    clip_data: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reject, below = middle_of_the_best(clip_data)
    with pytest.raises(SystemExit) as stop:
        main([*words(clip_data), "--reject", str(reject)])
    assert not stop.value.code
    said = capsys.readouterr().out
    assert said.count(": none of these (") == below
    assert f"5 of 5 videos, {below} of them none of these; written to" in said
    rows = json.loads((tmp_path / "TSN_infer_result.json").read_text())
    assert sum(row["rejected"] for row in rows) == below
    for row in rows:
        best = row["predictions"][0]
        assert row["labels"] == ([] if best["score"] < reject else [best["label"]])
    summary = json.loads((tmp_path / "TSN_infer_summary.json").read_text())
    assert (summary["rejected"], summary["protocol"]["reject"]) == (below, reject)
    predictor = videozoo.load(clip_data.weights)
    results = predictor.predict([str(file) for file in clip_data.files], reject=reject)
    assert [r.rejected for r in results] == [row["rejected"] for row in rows]


def test_without_reject_and_thresholds_files_are_as_they_were(
    clip_data: World, tmp_path: Path
) -> None:
    (result, *_) = infer(clip_data, save_dir=tmp_path)
    assert result.answer is None
    assert not result.rejected
    (row, *_) = json.loads((tmp_path / "TSN_infer_result.json").read_text())
    assert set(row) == {"video", "predictions"}
    infer(clip_data, save_dir=tmp_path, form="csv")
    header = (tmp_path / "TSN_infer_result.csv").read_text().splitlines()[0]
    assert header == "video,rank,index,label,score"
    assert "rejected" not in (tmp_path / "TSN_infer_summary.json").read_text()


def test_classes_that_reach_their_thresholds_are_named(
    feature_data: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = infer(feature_data, save_dir=tmp_path)
    scores = torch.zeros(5, 8)
    for row, result in enumerate(plain):
        for p in result.predictions:
            scores[row, p.index] = p.score
    bars = scores.sort(dim=0).values[3:].mean(0)  # [8]: one video in five reaches each
    path = tmp_path / "calibrated.safetensors"
    save_native(path, load_native(feature_data.weights))
    write_calibration(path, Calibration(thresholds=bars))
    before = pickle.loads((tmp_path / "AttentionCluster_infer_result").read_bytes())

    with pytest.raises(SystemExit):
        main([*words(feature_data, path), "--format", "csv"])
    said = capsys.readouterr().out
    results = infer(feature_data, path, save_dir=tmp_path)
    assert sum(len(r.answer or ()) for r in results) == 8
    for row, result in enumerate(results):
        assert result.answer is not None
        reached = [i for i in scores[row].argsort(descending=True).tolist()
                   if scores[row, i] >= bars[i]]  # fmt: skip
        assert [p.index for p in result.answer] == reached
        named = "  ".join(f"{p.label} {p.score:.3f}" for p in result.answer)
        assert f"{result.video}: {named or 'none of these'}" in said
    assert pickle.loads((tmp_path / "AttentionCluster_infer_result").read_bytes()) == before
    with (tmp_path / "AttentionCluster_infer_result.csv").open(encoding="utf-8") as file:
        answers = {row["video"]: row["answer"] for row in csv.DictReader(file)}
    assert answers == {
        r.video: "; ".join(p.label for p in r.answer or ()) or "none of these" for r in results
    }


def test_reject_is_a_score(clip_data: World, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(VideozooError, match="reject 50: is no score; scores lie between 0 and 1"):
        videozoo.infer(None, clip_data.weights, reject=50)
    with pytest.raises(SystemExit) as stop:
        main(["infer", "--weights", str(clip_data.weights), "--reject", "-1"])
    assert stop.value.code
    assert "reject -1: is no score" in capsys.readouterr().err
