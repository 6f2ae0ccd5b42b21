"""What test and infer print and leave behind."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Command

import videozoo
from tiny import World, write_list, write_shard
from videozoo.calibration import Calibration, write_calibration
from videozoo.cli.main import main
from videozoo.evaluate import Evaluation
from videozoo.reports.results import write_test_result


def read(path: str | Path) -> Any:
    return json.loads(Path(path).read_text(encoding="utf-8"))


def test_infer_on_videos(command: Command, clip_data: World) -> None:
    done = command("infer", *clip_data.files[:3], "--weights", clip_data.weights)
    assert done.code == 0
    rows = read("TSN_infer_result.json")
    expected = videozoo.load(clip_data.weights).predict(clip_data.files[:3])
    assert [row["video"] for row in rows] == [str(f) for f in clip_data.files[:3]]
    for row, result in zip(rows, expected, strict=True):
        assert list(row) == ["video", "predictions"]
        assert row["predictions"] == [vars(p) for p in result.predictions]
        assert list(row["predictions"][0]) == ["index", "label", "score"]
        scores = [p["score"] for p in row["predictions"]]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 3  # --infer-topk is 20, but there are 3 classes
        best = result.predictions[0]
        assert f"{result.video}: {best.label} {best.score:.3f}  " in done.out
    assert "3 of 3 videos; written to TSN_infer_result.json" in done.out
    summary = read("TSN_infer_summary.json")
    assert (summary["listed"], summary["predicted"], summary["unreadable"]) == (3, 3, [])


def test_infer_on_a_list_writes_the_originals_pickle(
    command: Command, feature_data: World, tmp_path: Path
) -> None:
    done = command(
        *("infer", "--model-name", "attentioncluster", "--config", feature_data.config),
        *("--weights", feature_data.weights, "--filelist", feature_data.listing),
        *("--infer-topk", 3, "--batch-size", 2, "--save-dir", tmp_path / "results"),
    )
    assert done.code == 0
    rows = read("results/AttentionCluster_infer_result.json")
    assert [row["video"] for row in rows] == ["v0", "v1", "v2", "v3", "v4"]
    assert {len(row["predictions"]) for row in rows} == {3}
    names = {p["label"] for row in rows for p in row["predictions"]}
    assert names <= set(feature_data.names)
    original = pickle.loads(Path("results/AttentionCluster_infer_result").read_bytes())
    assert original == [
        (
            row["video"],
            [p["score"] for p in row["predictions"]],
            [p["index"] for p in row["predictions"]],
        )
        for row in rows
    ]
    everything = sorted(p.name for p in (tmp_path / "results").iterdir())
    assert everything == [
        "AttentionCluster_infer_result",
        "AttentionCluster_infer_result.json",
        "AttentionCluster_infer_summary.json",
    ]


def test_infer_as_csv(command: Command, feature_data: World) -> None:
    words = ["infer", feature_data.files[1], "--weights", feature_data.weights]
    command(*words)
    rows = read("AttentionCluster_infer_result.json")
    assert command(*words, "--format", "csv").code == 0
    with open("AttentionCluster_infer_result.csv", newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["video", "rank", "index", "label", "score"]
    assert table == [
        {
            "video": row["video"],
            "rank": str(rank),
            "index": str(p["index"]),
            "label": p["label"],
            "score": repr(p["score"]),
        }
        for row in rows
        for rank, p in enumerate(row["predictions"], 1)
    ]
    assert "cart, wheel" in {line["label"] for line in table}


def test_the_protocol_tells_how_scores_were_made(
    command: Command, feature_data: World, clip_data: World
) -> None:
    from videozoo.video.reader import decoder_version

    command("infer", clip_data.files[0], "--weights", clip_data.weights)
    clips = read("TSN_infer_summary.json")["protocol"]
    digest = hashlib.sha256(clip_data.weights.read_bytes()).hexdigest()
    assert clips["weights"] == str(clip_data.weights)
    assert clips["weights_sha256"] == digest
    assert clips["decoder"] == decoder_version()
    assert clips["model"] == "TSN"
    assert (clips["segments"], clips["frames_per_segment"], clips["num_classes"]) == (3, 1, 3)
    assert (clips["short_size"], clips["resize"], clips["crop"]) == (36, "4:3", "32 px centre")
    assert clips["versions"]["torch"] == torch.__version__
    assert clips["versions"]["videozoo"] == videozoo.__version__
    command("test", "--weights", feature_data.weights)
    features = read("AttentionCluster_test_result.json")["protocol"]
    assert (features["frames"], features["sampling"]) == (5, "evenly, with repeats")
    assert (features["feature_names"], features["feature_dims"]) == (["rgb", "audio"], [8, 4])
    assert "decoder" not in features


def test_infer_lists_what_it_could_not_read(
    command: Command, clip_data: World, tmp_path: Path
) -> None:
    broken = tmp_path / "broken [1].mp4"
    broken.write_bytes(b"no video at all")
    paths = [clip_data.files[0], broken, clip_data.files[1]]
    done = command("infer", *paths, "--weights", clip_data.weights)
    assert done.code == 2
    rows = read("TSN_infer_result.json")
    assert [row["video"] for row in rows] == [str(paths[0]), str(paths[2])]
    assert len(pickle.loads(Path("TSN_infer_result").read_bytes())) == 2
    summary = read("TSN_infer_summary.json")
    assert (summary["listed"], summary["predicted"]) == (3, 2)
    assert [u["video"] for u in summary["unreadable"]] == [str(broken)]
    assert summary["unreadable"][0]["reason"].startswith(str(broken))
    assert "unreadable: 1\n" in done.out
    assert summary["unreadable"][0]["reason"] in done.out
    assert "2 of 3 videos" in done.out


def test_infer_with_nothing_readable_still_says_why(command: Command, clip_data: World) -> None:
    Path("broken.mp4").write_bytes(b"")
    done = command("infer", "broken.mp4", "--weights", clip_data.weights)
    assert done.code == 2
    assert read("TSN_infer_result.json") == []
    assert read("TSN_infer_summary.json")["unreadable"][0]["video"] == "broken.mp4"


def test_test_writes_metrics_and_counts(command: Command, clip_data: World) -> None:
    done = command("test", "--weights", clip_data.weights, "--save-dir", "out")
    assert done.code == 0
    result = read("out/TSN_test_result.json")
    assert (result["listed"], result["evaluated"], result["unreadable"]) == (5, 5, [])
    assert result["list"] == str(clip_data.listing)
    assert result["class_names"] == clip_data.names
    confusion = torch.tensor(result["confusion"])
    assert confusion.sum(dim=1).tolist() == [2, 2, 1]  # labels 0 1 2 0 1
    assert result["top1"] == pytest.approx(confusion.diagonal().sum().item() / 5)
    found = videozoo.load(clip_data.weights).predict(clip_data.files)
    hits = [r.predictions[0].index == i % 3 for i, r in enumerate(found)]
    assert result["top1"] == pytest.approx(sum(hits) / 5)
    assert result["top5"] == 1.0
    assert [row["class"] for row in result["classes"]] == clip_data.names
    assert [row["support"] for row in result["classes"]] == [2, 2, 1]
    f1 = [row["f1"] for row in result["classes"]]
    assert result["macro_f1"] == pytest.approx(sum(f1) / 3)
    assert all(word in done.out for word in ("ECE", "by class, the worst first", *clip_data.names))
    assert "5 of 5 videos evaluated, 0 unreadable" in done.out
    assert f"{result['top1']:.4f}" in done.out
    assert "written to out/TSN_test_result.json" in done.out


def table_of(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_test_says_what_each_video_is_and_was_given(command: Command, clip_data: World) -> None:
    Path("broken.mp4").write_bytes(b"no video")
    lines = clip_data.listing.read_text().splitlines()
    listing = write_list(Path("some.list"), [lines[0], "broken.mp4 1", *lines[1:]])
    done = command("test", "--weights", clip_data.weights, "--filelist", listing)
    assert done.code == 2
    assert "written to TSN_test_result.json and TSN_test_predictions.csv" in done.out
    rows = table_of("TSN_test_predictions.csv")
    found = videozoo.load(clip_data.weights).predict(clip_data.files)
    assert [row["video"] for row in rows] == [str(file) for file in clip_data.files]
    assert [row["true"] for row in rows] == [clip_data.names[i % 3] for i in range(5)]
    for row, result in zip(rows, found, strict=True):
        best, second, _ = result.predictions
        assert (row["predicted"], row["second"]) == (best.label, second.label)
        assert float(row["score"]) == pytest.approx(best.score, abs=1e-6)
        assert float(row["margin"]) == pytest.approx(best.score - second.score, abs=1e-6)
    result = read("TSN_test_result.json")
    assert result["predictions"] == "TSN_test_predictions.csv"
    assert sum(row["true"] == row["predicted"] for row in rows) == result["top1"] * 5
    assert all(0 < row["average_precision"] <= 1 for row in result["classes"])
    assert [row["called"] for row in result["classes"]] == [
        sum(row["predicted"] == name for row in rows) for name in clip_data.names
    ]


def test_a_test_of_many_classes_a_video_has_them_in_its_files(
    command: Command, feature_data: World
) -> None:
    weights = Path("own.safetensors")
    weights.write_bytes(feature_data.weights.read_bytes())
    words = ("test", "--weights", weights)
    done = command(*words)
    title, heading = "by class, the worst first", " ".join(done.out.split())
    assert title in done.out
    assert "AP ┃ videos" in heading
    assert "precision" not in heading
    rows = table_of("AttentionCluster_test_predictions.csv")
    assert [row["true"] for row in rows] == [f"{feature_data.names[i]}; yard" for i in range(5)]
    result = read("AttentionCluster_test_result.json")
    classes = result["classes"]
    assert [row["support"] for row in classes] == [1, 1, 1, 1, 1, 0, 0, 5]
    precisions = [row["average_precision"] for row in classes]
    assert [value is None for value in precisions] == [False] * 5 + [True, True, False]
    assert result["map"] == pytest.approx(sum(value or 0 for value in precisions) / 8)
    write_calibration(weights, Calibration(1.0, torch.tensor([0.0] + [1.0] * 7)))
    heading = " ".join(command(*words).out.split())
    assert "precision ┃ recall ┃ F1 ┃ AP ┃ videos" in heading
    rows = table_of("AttentionCluster_test_predictions.csv")
    assert [row["predicted"] for row in rows] == ["cat"] * 5
    cat, dog, *_ = read("AttentionCluster_test_result.json")["classes"]
    assert (cat["precision"], cat["recall"], cat["called"]) == (0.2, 1.0, 5)
    assert (dog["precision"], dog["recall"], dog["called"]) == (0.0, 0.0, 0)


def test_above_a_hundred_classes_the_confusion_is_counted_in_pairs(
    tmp_path: Path,
) -> None:
    for count in (100, 101):
        confusion = torch.zeros(count, count, dtype=torch.int64)
        confusion[0, 0], confusion[7, 99] = 2, 1
        found = Evaluation({"top1": 2 / 3}, 3, 3, seconds=1.0, confusion=confusion)
        (tmp_path / "t.csv").touch()
        write_test_result(
            tmp_path / f"{count}.json", found, listing=None, protocol={}, predictions="t.csv"
        )
    few, many = read(tmp_path / "100.json"), read(tmp_path / "101.json")
    assert (few["confusion"][0][0], few["confusion"][7][99]) == (2, 1)
    assert many["confusion_counts"] == [[0, 0, 2], [7, 99, 1]]
    assert "confusion" not in many
    assert "confusion_counts" not in few


@pytest.mark.parametrize("size", [1, 2, 4, 5, 64])
def test_test_keeps_the_last_batch(command: Command, feature_data: World, size: int) -> None:
    words = ["test", "--weights", feature_data.weights]
    assert command(*words, "--batch-size", size).code == 0
    result = read("AttentionCluster_test_result.json")
    assert (result["listed"], result["evaluated"]) == (5, 5)
    metrics = {key: result[key] for key in ("hit_at_1", "perr", "gap", "map", "loss")}
    command(*words)
    again = read("AttentionCluster_test_result.json")
    assert {key: again[key] for key in metrics} == pytest.approx(metrics, abs=1e-5)


def test_test_lists_what_it_could_not_read(
    command: Command, feature_data: World, tmp_path: Path
) -> None:
    cut = write_shard(tmp_path / "cut.tfrecord", (5, 6, 7))
    cut.write_bytes(cut.read_bytes()[:-20])
    damaged = write_shard(tmp_path / "damaged.tfrecord", (8, 9))
    data = bytearray(damaged.read_bytes())
    data[-40] ^= 1  # within the second record
    damaged.write_bytes(data)
    listing = write_list(tmp_path / "some.list", [cut, feature_data.files[1], damaged])
    words = ("test", "--weights", feature_data.weights, "--filelist", listing)
    done = command(*words)
    assert done.code == 2
    result = read("AttentionCluster_test_result.json")
    assert (result["listed"], result["evaluated"]) == (7, 5)
    names = [Path(u["video"]).name for u in result["unreadable"]]
    assert names == ["cut.tfrecord#2", "damaged.tfrecord#1"]
    reasons = [u["reason"] for u in result["unreadable"]]
    assert reasons[0] == (
        f"{cut}: record 2 is cut off: the file ends inside it; the file is damaged, get it again"
    )
    assert reasons[1] == (
        f"{damaged}: record 1: checksum does not match: the file is damaged, get it again"
    )
    assert all(reason in done.out for reason in reasons)
    assert "5 of 7 videos evaluated, 2 unreadable" in done.out


def test_labels_ride_in_the_checkpoint(command: Command, clip_data: World) -> None:
    done = command("infer", clip_data.files[0], "--weights", clip_data.weights)
    assert any(name in done.out for name in clip_data.names)
    names = write_list(Path("other.txt"), ["A", "B", "C"])
    done = command(
        *("infer", clip_data.files[0], "--weights", clip_data.weights),
        *("--set", f"INFER.label_file={names}"),
    )
    assert done.code == 2
    assert "class 0 was" in done.err  # other names would mean other classes


def test_paths_with_brackets_and_blanks(command: Command, clip_data: World) -> None:
    folder = Path("out [/b] dir")
    done = command(
        "infer", clip_data.files[1], "--weights", clip_data.weights, "--save-dir", folder
    )
    assert done.code == 0
    assert f"written to {folder}/TSN_infer_result.json" in done.out
    assert (folder / "TSN_infer_result.json").is_file()


def test_names_that_the_terminal_cannot_show(
    feature_data: World, clip_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = os.fsdecode(b"caf\xe9.mp4")  # no UTF-8, as old archives hold
    Path(video).write_bytes(clip_data.files[0].read_bytes())
    for words in (
        ["infer", video, "--weights", str(clip_data.weights)],
        ["infer", str(feature_data.files[0]), "--weights", str(feature_data.weights)],
    ):
        screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
        monkeypatch.setattr("sys.stdout", screen)
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0
        assert b"written to" in screen.buffer.getvalue()
    raw = Path("TSN_infer_result.json").read_text(encoding="utf-8")  # JSON is UTF-8
    assert json.loads(raw)[0]["video"] == r"caf\xe9.mp4"


def test_videos_and_a_list_are_one_too_many(command: Command, clip_data: World) -> None:
    done = command("infer", "a.mp4", "--filelist", "b.list", "--weights", clip_data.weights)
    assert (done.code, done.err) == (2, "error: give videos or --filelist, not both\n")
