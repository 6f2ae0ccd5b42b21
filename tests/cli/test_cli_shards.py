"""Lists that are shared out to many jobs, and what puts their results together."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from tiny import World, write_list
from videozoo import forecast
from videozoo.errors import VideozooError
from videozoo.shards import Shard, Span

MODEL = {"clip_data": "TSN", "feature_data": "AttentionCluster"}


def long_list(world: World, times: int = 3) -> Path:
    lines = world.listing.read_text().splitlines() * times
    return write_list(Path("long.list"), ["missing.mp4 1", *lines] if "mp4" in lines[0] else lines)


def read(path: Path) -> Any:
    value = json.loads(path.read_text())
    for timed in ("seconds", "videos_per_second"):
        value.pop(timed, None)
    return value


@pytest.mark.parametrize(
    ("listed", "step", "count"), [(10, 2, 3), (7, 4, 5), (0, 3, 2), (5, 1, 9), (1000, 7, 64)]
)
def test_shards_are_disjoint_and_complete(listed: int, step: int, count: int) -> None:
    spans = [Span(listed, step, Shard(number, count)) for number in range(1, count + 1)]
    assert [index for span in spans for index in span.indices()] == list(range(listed))
    assert [step for span in spans for step in span.steps] == list(Span(listed, step).steps)
    steps = [len(span.steps) for span in spans]
    assert max(steps) - min(steps) <= 1


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/2"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(VideozooError, match="counted from 1"):
        Shard.parse(text)


@pytest.mark.parametrize("world", MODEL)
@pytest.mark.parametrize(("word", "form"), [("infer", "json"), ("infer", "csv"), ("test", "csv")])
def test_shards_put_together_are_what_one_process_writes(
    command: Command, request: pytest.FixtureRequest, world: str, word: str, form: str
) -> None:
    data: World = request.getfixturevalue(world)
    words = (word, "--weights", data.weights, "--filelist", long_list(data), "--format", form)
    code = command(*words, "--save-dir", "whole").code
    for number in (3, 1, 12, *range(4, 12), 2):  # more than there are batches
        done = command(*words, "--save-dir", "found", "--shard", f"{number}/12")
        assert f"shard {number}/12 is done" in done.out, done.err
    assert "12 of 12" in command("verify", "found", "--weights", data.weights).out
    again = command(*words, "--save-dir", "found")
    assert again.code == code
    assert f"going on: {15 + code // 2} of {15 + code // 2} were done" in again.out
    said = command("verify", "found", "--weights", data.weights, "--filelist", "long.list")
    assert said.code == 0, said.out
    files = sorted(Path("found").iterdir())
    assert [file.name for file in files] == sorted(p.name for p in Path("whole").iterdir())
    for file in files:
        one = Path("whole") / file.name
        if file.name.endswith("_test_result.json"):
            assert read(file) == read(one)
        else:
            assert file.read_bytes() == one.read_bytes()
    assert code == (2 if world == "clip_data" else 0)


@pytest.mark.parametrize("change", ["missing", "top_k", "damaged", "part"])
def test_shards_that_do_not_belong_together_stay_apart(
    command: Command, clip_data: World, change: str
) -> None:
    words = ("infer", "--weights", clip_data.weights, "--filelist", clip_data.listing)
    for number in (1, 2):
        top_k = number + 1 if change == "top_k" else 1
        command(*words, "--shard", f"{number}/2", "--infer-topk", top_k)
    folder = Path("TSN_infer_result.2-of-2.parts")
    if change == "missing":
        (folder / "done.json").unlink()
    elif change == "damaged":
        part = next(folder.glob("*.part"))
        part.write_bytes(part.read_bytes()[:-2])
    elif change == "part":
        next(folder.glob("*.part")).unlink()
    done = command("verify", ".")
    assert ("they differ in top_k" if change == "top_k" else "1 of 2; run again: 2") in done.out
    assert done.code == 2
    refused = command(*words, "--infer-topk", 1)
    assert ("other weights" if change == "top_k" else "1 of 2 shards are done") in refused.err
    assert not Path("TSN_infer_result").exists()
    for number in (1, 2):
        command(*words, "--shard", f"{number}/2", "--infer-topk", 1)
    assert command("verify", ".").code == 0
    assert command(*words, "--infer-topk", 1).code == 0
    assert not list(Path().glob("*.parts"))


def test_results_that_were_changed_do_not_add_up(command: Command, clip_data: World) -> None:
    command("infer", "--weights", clip_data.weights, "--filelist", clip_data.listing)
    assert command("verify", ".").code == 0
    result = Path("TSN_infer_result.json")
    result.write_text(result.read_text().replace("clip0", "clip7"))
    assert "changed" in command("verify", ".").out
    summary = Path("TSN_infer_summary.json")
    summary.write_text(summary.read_text().replace('"listed": 5', '"listed": 6'))
    done = command("verify", ".", "--weights", clip_data.config, "--filelist", clip_data.config)
    assert done.code == 2
    assert done.out.count(": NO, ") == 4
    Path("empty").mkdir()
    assert "holds no results" in command("verify", "empty").err


@pytest.mark.parametrize("word", ["infer", "test", "scan"])
def test_a_dry_run_says_how_long_it_takes_and_writes_nothing(
    command: Command, clip_data: World, word: str
) -> None:
    listing = long_list(clip_data)
    how = ("--config", clip_data.config) if word == "scan" else ("--weights", clip_data.weights)
    done = command(word, *how, "--filelist", listing, "--dry-run")
    assert done.code == 0, done.err
    assert re.search(r"about \d+ s for 16 videos: [\d.]+ a second", done.out)
    assert [path.name for path in Path().iterdir()] == [listing.name]


def test_a_dry_run_of_a_training_says_it_of_all_epochs(
    command: Command, feature_data: World
) -> None:
    done = command("train", "--config", feature_data.config, "--epoch-num", 3, "--dry-run")
    assert done.code == 0, done.err
    assert re.search(r"about \d+ s for \d+ steps: [\d.]+ a second, bound by ", done.out)
    assert not Path("checkpoints").exists()


def test_a_dry_run_of_a_folder_ends_when_videos_are_encoded(
    command: Command, clip_data: World
) -> None:
    for number, file in enumerate(clip_data.files):
        place = Path("data") / f"class{number % 2}" / f"{number}{file.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, place)
    for _ in range(2):  # the second time all rows are kept
        done = command("train", "data", "--dry-run")
        assert done.code == 0, done.err
        assert re.search(r"about \d+ s for 5 videos\n$", done.out)
        assert not Path("checkpoints").exists()


def test_a_forecast_is_of_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0, 112.0, 120.0])
    monkeypatch.setattr(forecast.time, "perf_counter", lambda: next(clock))
    said: list[str] = []
    told = forecast.Forecast(said.append)
    told(10, 12_000)  # ten seconds of warming up
    told(11, 12_000)
    forecast.METER.waited += 7
    forecast.METER.written += 1000
    told(20, 12_000)
    told(30, 12_000)
    assert said == [
        "about 3 h 20 min for 12,000 videos: 1 a second, bound by reading and decoding; results"
        " 1.2 MB"
    ]


def test_shards_of_features_are_written_by_the_run_without(
    command: Command, clip_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("prepare", "features", "out", clip_data.listing, "--no-labels", "--no-sound")
    for number in (2, 1):
        done = command(*words, "--shard", f"{number}/2")
        assert f"shard {number}/2 is done" in done.out, done.err
        assert not list(Path("out").glob("*.tfrecord"))

    def encoder_of(*given: object) -> None:
        raise AssertionError("nothing is left to encode")

    monkeypatch.setattr("videozoo.encoders.encoded_videos.encoder_of", encoder_of)
    assert command(*words).code == 0
    assert len(list(Path("out").glob("*.tfrecord"))) == 1


def test_shards_of_a_scan_become_the_same_csv(command: Command, clip_data: World) -> None:
    words = ("scan", "--config", clip_data.config, "--filelist", long_list(clip_data))
    command(*words, "--out", "whole.csv")
    for number in (2, 3, 1):
        if number == 1:
            assert "shard 1 of 3 is not done" in command(*words, "--out", "found.csv").err
        said = command(*words, "--out", "found.csv", "--shard", f"{number}/3").out
        assert f"shard {number}/3 is done" in said
    assert "going on: 16 of 16 were done" in command(*words, "--out", "found.csv").out
    assert Path("found.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert not list(Path().glob("*.part"))
