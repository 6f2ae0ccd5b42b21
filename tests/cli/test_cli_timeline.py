"""infer --timeline and cut, as they are typed."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from commands import Command

from tiny import World
from videos import write_video
from videozoo.errors import VideozooError
from videozoo.parts import Parts
from videozoo.video.reader import probe_video

SHORT = ("--window", "1", "--stride", "0.4")
OPTIONS = {"x264-params": "keyint=10:scenecut=0:bframes=0"}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "match 1.mp4", 75, options=OPTIONS)


def timeline(command: Command, world: World, *more: object, code: int = 0) -> str:
    done = command("infer", "--timeline", "--weights", world.weights, *SHORT, *more)
    assert done.code == code, done.err
    return done.out + done.err


@pytest.mark.parametrize("form", ["json", "csv", "srt"])
def test_infer_timeline_writes_what_was_found(
    command: Command, clip_data: World, video: Path, form: str
) -> None:
    said = timeline(command, clip_data, video, "--format", form, "--save-dir", "found")
    assert f"{video}: " in said
    assert "1 segment in 3.0 s" in said
    value = json.loads(Path("found/TSN_infer_timeline.json").read_text())
    (one,) = value["videos"]
    assert [w["start"] for w in one["windows"]] == [0, 0.4, 0.8, 1.2, 1.6, 2.0]
    assert len(one["windows"][0]["predictions"]) == 3
    assert one["segments"][0]["start"] == 0
    assert one["segments"][-1]["end"] == 3
    assert value["protocol"]["window"] == 1
    assert Path("found/TSN_infer_timeline.png").is_file()
    assert (form == "json") or Path(f"found/TSN_infer_timeline.{form}").is_file()


def test_infer_timeline_of_several_videos(command: Command, clip_data: World, video: Path) -> None:
    Path("bad.mp4").write_text("no video")
    said = timeline(command, clip_data, video, "bad.mp4", clip_data.files[4], code=2)
    assert "bad.mp4: cannot be opened as a video" in said
    value = json.loads(Path("TSN_infer_timeline.json").read_text())
    assert len(value["videos"]) == 2
    assert value["unreadable"][0]["video"] == "bad.mp4"


def test_a_stopped_timeline_of_several_videos_goes_on(
    command: Command, clip_data: World, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    videos = (video, *clip_data.files[3:])
    timeline(command, clip_data, *videos, "--save-dir", "whole")
    write, seen = Parts.add, []

    def stopped(self: Parts, data: bytes, *, steps_done: int) -> None:
        write(self, data, steps_done=steps_done)
        seen.append(steps_done)
        if steps_done == 2:
            raise VideozooError("stopped")

    monkeypatch.setattr(Parts, "add", stopped)
    timeline(command, clip_data, *videos, "--save-dir", "parts", code=2)
    assert "going on: 2 of 3" in timeline(command, clip_data, *videos, "--save-dir", "parts")
    assert seen == [1, 2, 3]
    names = sorted(path.name for path in Path("whole").iterdir())
    assert sorted(path.name for path in Path("parts").iterdir()) == names
    for name in names:
        assert (Path("parts") / name).read_bytes() == (Path("whole") / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("a.mp4", "--window", "3"), "--window: is for --timeline, which is not given"),
        (("a.mp4", "--format", "srt"), "--format srt: is for --timeline"),
        (("--timeline",), "--timeline: name the videos"),
        (("none.mp4", "--timeline"), "none.mp4: no such file"),
        (("none.mp4", "--timeline", "--stride", "9"), "stride 9"),
        (("-", "http://a/b", "--timeline"), "a stream is read alone"),
        (("-", "--timeline", "--onset", "2"), "onset 2: is no score"),
    ],
)
def test_what_is_refused(
    command: Command, clip_data: World, arguments: tuple[str, ...], said: str
) -> None:
    done = command("infer", "--weights", clip_data.weights, *arguments)
    assert done.code == 2
    assert said in done.err


def test_a_model_of_records_takes_no_video(
    command: Command, feature_data: World, video: Path
) -> None:
    done = command("infer", "--timeline", video, "--weights", feature_data.weights)
    assert done.code == 2
    assert "takes records of features" in done.err


def test_cut_takes_the_segments_of_a_timeline(
    command: Command, clip_data: World, video: Path
) -> None:
    timeline(command, clip_data, video)
    path = Path("TSN_infer_timeline.json")
    value = json.loads(path.read_text())
    made = [(0.4, 1.2, "goal"), (0.5, 1.0, "kick off/on"), (2.0, 3.0, "goal")]
    value["videos"][0]["segments"] = [
        {"start": start, "end": end, "label": label, "score": 0.5} for start, end, label in made
    ]
    path.write_text(json.dumps(value))
    done = command("cut", video, "--class", "goal", "--out", "clips", "--timeline", path)
    assert done.code == 0, done.err
    assert "2 segments of" in done.out
    rows = list(csv.DictReader(Path("clips/segments.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == ["match 1_001_goal.mp4", "match 1_002_goal.mp4"]
    assert [row["pictures"] for row in rows] == ["copied", "copied"]
    assert [probe_video(Path("clips", row["file"])).frames for row in rows] == [20, 25]
    done = command("cut", video, "--timeline", path, "--out", "all")
    assert done.code == 0, done.err
    assert sorted(p.name for p in Path("all").glob("*.mp4")) == [
        "match 1_001_goal.mp4", "match 1_002_kick_off_on.mp4", "match 1_003_goal.mp4"
    ]  # fmt: skip
    assert ",encoded" in Path("all/segments.csv").read_text()
    for arguments, said in (
        (("--class", "gaol", "--timeline", path), "--class gaol: no segment of"),
        (("--timeline", path, "--window", "3"), "--window: the segments are those of --timeline"),
        (("--timeline", "none.json"), "none.json: cannot be read: No such file"),
        ((), "give --timeline FILE.json, or --weights"),
    ):
        done = command("cut", video, *arguments)
        assert done.code == 2
        assert said in done.err
    done = command("cut", clip_data.files[0], "--timeline", path)
    assert done.code == 2
    assert "has no timeline of" in done.err


def test_cut_finds_the_segments_itself(command: Command, clip_data: World, video: Path) -> None:
    done = command("cut", video, "--weights", clip_data.weights, *SHORT, "--keyframes")
    assert done.code == 0, done.err
    rows = list(csv.DictReader(Path("clips/segments.csv").read_text().splitlines()))
    assert {row["pictures"] for row in rows} == {"copied"}
    assert float(rows[0]["start"]) == 0
    assert max(float(row["end"]) for row in rows) == pytest.approx(3.0)
