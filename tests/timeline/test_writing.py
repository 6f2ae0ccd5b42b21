"""Timelines as files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from videozoo.errors import VideozooError
from videozoo.timeline.segments import Segment
from videozoo.timeline.writing import (
    VideoTimeline,
    read_segments,
    shown_classes,
    subtitles,
    write_timelines,
)


def made(video: str = "a.mp4", scores: tuple[float, ...] = (0.9, 0.9, 0.1, 0.1)) -> VideoTimeline:
    windows = [
        {
            "start": 2.0 * k,
            "end": 2.0 * k + 4,
            "predictions": [{"label": "goal $1", "score": s}, {"label": "ball", "score": 1 - s}],
        }
        for k, s in enumerate(scores)
    ]
    return VideoTimeline(video, windows, [Segment(0.0, 5.0, "goal $1", 0.9)])


def test_json_csv_srt_and_the_picture(tmp_path: Path) -> None:
    stem = tmp_path / "TSN_infer_timeline"
    for form in ("json", "csv", "srt"):
        written = write_timelines(stem, [made()], form, protocol={"model": "TSN"})
        assert {path.suffix for path in written} == {".json", ".png", f".{form}"}
    value = json.loads(stem.with_name("TSN_infer_timeline.json").read_text())
    assert value["protocol"] == {"model": "TSN"}
    assert value["videos"][0]["video"] == "a.mp4"
    assert value["videos"][0]["windows"][1] == made().windows[1]
    assert value["videos"][0]["segments"] == [
        {"start": 0.0, "end": 5.0, "label": "goal $1", "score": 0.9}
    ]
    rows = list(csv.DictReader(stem.with_name("TSN_infer_timeline.csv").open()))
    assert rows == [
        {"video": "a.mp4", "start": "0.0", "end": "5.0", "label": "goal $1", "score": "0.9"}
    ]
    assert read_segments(written[0])[0].segments == made().segments


def test_the_strip_shows_where_scores_are_high(tmp_path: Path) -> None:
    stem = tmp_path / "strip"
    write_timelines(stem, [made()], "json", protocol={})
    picture = np.asarray(Image.open(stem.with_name("strip.png")).convert("RGB")).astype(int)
    blue = (picture[..., 2] - picture[..., 0]) > 30  # [H, W]
    left, right = np.array_split(blue, 2, axis=1)
    assert left.sum() > 5 * max(1, right.sum())


def test_several_videos_and_one_that_cannot_be_read(tmp_path: Path) -> None:
    bad = VideoTimeline("b.mp4", fault="no such file")
    write_timelines(tmp_path / "t", [made("a.mp4"), bad, made("c.mp4")], "srt", protocol={})
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"t.json", "t_1.srt", "t_1.png", "t_2.srt", "t_2.png"}
    value = json.loads((tmp_path / "t.json").read_text())
    assert [one["video"] for one in value["videos"]] == ["a.mp4", "c.mp4"]
    assert value["unreadable"] == [{"video": "b.mp4", "reason": "no such file"}]


def test_subtitles() -> None:
    segments = [Segment(0.0, 5.25, "goal", 0.913), Segment(3661.5, 3662, "ball", 0.5)]
    assert subtitles(segments) == (
        "1\n00:00:00,000 --> 00:00:05,250\ngoal (0.91)\n\n"
        "2\n01:01:01,500 --> 01:01:02,000\nball (0.50)\n\n"
    )


def test_classes_of_the_picture() -> None:
    assert shown_classes(made()) == ["goal $1"]
    without = made()
    without.segments = []
    assert shown_classes(without) == ["goal $1", "ball"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"videos": [{"video": "a"}]}', "no json"])
def test_what_is_no_timeline(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(VideozooError, match=r"x.json: is no timeline; videozoo infer VIDEO"):
        read_segments(path)
