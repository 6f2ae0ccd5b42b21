"""The page of `videozoo report`: what it says, and what it says where something is missing."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import videozoo
from report_worlds import ROWS, write_beside, write_result
from tiny import World
from videozoo.errors import VideozooError
from videozoo.reports.page import report_line

NO_END = {"meta", "link", "img", "br", "line", "circle", "polyline", "rect"}


class Page(HTMLParser):
    """A page taken apart: text of each section, tags with their attributes, rows of tables."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, str] = {}
        self.open: list[str] = []
        self._section = ""
        self.text = path.read_text()
        self.feed(self.text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in NO_END:
            self.open.append(tag)
        if tag == "section":
            self._section = str(dict(attrs)["id"])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "section":
            self._section = ""

    def handle_data(self, data: str) -> None:
        before = self.sections.get(self._section, "")
        self.sections[self._section] = " ".join(f"{before} {data}".split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(folder: Path, **options: object) -> Page:
    return Page(videozoo.report(folder, **options))  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_result(tmp_path / "run")
    write_beside(tmp_path / "run")
    return tmp_path / "run"


def test_the_page_lies_beside_the_result_and_holds_all_that_it_shows(run: Path) -> None:
    path = videozoo.report(run)
    assert path == run / "LINEAR_report.html"
    page = Page(path)
    assert not page.all("script")
    for tag, attributes in page.tags:
        for key in ("src", "href"):
            address = attributes.get(key) or "#"
            assert address.startswith(("#", "data:")), (tag, address)
    assert "url(" not in page.text
    assert "@import" not in page.text


def test_scores_stand_in_plain_words_with_counts_and_notes(run: Path) -> None:
    said = page_of(run).sections["scores"]
    assert "5 of 7 listed videos were evaluated; 1 could not be read, 1 are damaged" in said
    assert "Named right 60.0%" in said
    assert "between 23.1% and 88.2% would be named right" in said  # Wilson's interval of 3 of 5
    assert "Note: few videos say little" in said
    assert "Note: 1 videos look like one on another side" in said


def test_curves_are_drawn_where_there_are_some(run: Path) -> None:
    page = page_of(run)
    assert "loss" in page.sections["curves"].lower()
    assert "train from 2 to 0.5, over 20 steps" in page.sections["curves"]
    assert [svg["role"] for svg in page.all("svg")] == ["img"] * 3  # two of curves, calibration
    points = [line["points"] for line in page.all("polyline")]
    assert points[0] == "254.0,12.0 460.0,159.0"  # steps 10 and 20 of 20; 2.0 and 0.5 of 2.0
    (run / "LINEAR_curves.csv").unlink()
    assert "No curves" in page_of(run).sections["curves"]


def test_classes_stand_the_worst_first(run: Path) -> None:
    said = page_of(run).sections["classes"]
    assert said.index("cat 50.0%") < said.index("dog 66.7%")
    assert "AP (" in said
    assert "#AP" not in said


def test_the_matrix_says_what_is_taken_for_what(run: Path) -> None:
    page = page_of(run)
    said = page.sections["confusion"]
    assert "Most often: cat called dog (1), dog called cat (1)" in said
    assert said.endswith("is \\ called cat dog cat 1 1 dog 1 2")
    shares = [cell["style"] for cell in page.all("td") if "style" in cell]
    assert shares == ["--share: 0.50", "--share: 0.50", "--share: 0.33", "--share: 0.67"]


def test_of_many_classes_those_mixed_up_most_come_first(tmp_path: Path) -> None:
    names = [f"class {n:03}" for n in range(40)]
    rows = [(f"{n}.mp4", n, n, 0.9, names[0], 0.8) for n in names]
    rows += [(f"{k}.mp4", names[30], names[17], 0.9, "", "") for k in range(9)]
    write_result(tmp_path, rows=rows, names=names)
    page = page_of(tmp_path)
    said = page.sections["confusion"]
    part, whole = said.split("40 classes Confusion matrix")
    assert "Most often: class 030 called class 017 (9)." in part
    assert "The 15 classes that are mixed up most" in part
    assert "class 030" in part
    assert "class 039" not in part
    assert "class 039" in whole
    assert len(page.all("details")) >= 1


def test_of_very_many_classes_a_result_has_counts_of_pairs(tmp_path: Path) -> None:
    names = ["cat", "dog"]
    write_result(tmp_path, names=names, confusion=None, confusion_counts=[[0, 1, 7], [1, 1, 2]])
    assert "cat called dog (7)" in page_of(tmp_path).sections["confusion"]


def test_the_surest_mistakes_and_the_narrowest_successes_come_first(run: Path) -> None:
    page = page_of(run)
    mistakes, narrow = page.sections["mistakes"], page.sections["narrow"]
    assert "2 of 5 videos are named wrong" in mistakes
    first = "is cat , called dog 95.0%, then cat 3.0% cat/1.mp4"
    assert mistakes.index(first) < mistakes.index("is dog , called cat 60.0%")
    assert narrow.index("dog/1.mp4") < narrow.index("dog/0.mp4") < narrow.index("cat/0.mp4")
    assert "the weights nowhere/LINEAR_best.safetensors are not here" in mistakes


def test_a_label_is_doubted_where_the_model_is_surer_than_usual_of_another_class(
    run: Path,
) -> None:
    said = page_of(run).sections["labels"]
    assert "1 labels are probably wrong" in said
    assert "cat/1.mp4 cat dog 95.0% 67.5%" in said  # dogs called so score 0.8 and 0.55
    assert "dog/2.mp4" not in said  # cats called so score 0.9


def test_copies_across_sides_come_first(run: Path) -> None:
    said = page_of(run).sections["copies"]
    assert "2 videos look like another one. 1 of them lie on another side" in said
    assert "dog/1.mp4 val dog dog/7.mp4 train dog" in said.replace("/v/", "")
    assert said.index("dog/1.mp4") < said.index("cat/5.mp4")
    (run / "split.csv").write_text("name,part\na,b\n")  # somebody else's
    assert "Not known: no split.csv" in page_of(run).sections["copies"]
    (run / "split.csv").unlink()
    assert "Not known: no split.csv" in page_of(run).sections["copies"]


def test_unreadable_and_damaged_videos_have_their_reasons(run: Path) -> None:
    said = page_of(run).sections["faults"]
    assert "dog/9.mp4 the file is empty" in said
    assert "cat/0.mp4 4 of 60 frames decode" in said


def test_calibration_is_drawn_and_told(run: Path) -> None:
    page = page_of(run)
    said = page.sections["calibration"]
    assert "ECE 0.1250: scores are 12.5 points of 100 away" in said
    assert "90 to 100% 2 92.5% 50.0%" in said
    bars = [r for r in page.all("rect") if r["class"] == "bar"]
    assert [float(str(bar["height"])) for bar in bars] == [196.0, 0.0, 196.0, 98.0]


def test_the_commands_and_the_config_are_told(run: Path) -> None:
    said = page_of(run).sections["made"]
    assert "videozoo train v --save-dir out" in said
    assert f"--filelist val.list --save-dir {run}" in said
    assert f"videozoo report {run} --model-name LINEAR" in said
    assert "[MODEL] x = 1" in said


def test_without_a_table_of_videos_the_page_says_what_makes_one(tmp_path: Path) -> None:
    write_result(tmp_path, rows=None)
    page = page_of(tmp_path)
    for section in ("mistakes", "narrow", "labels", "calibration"):
        assert "the test kept no table of its videos" in page.sections[section]
    assert "videozoo test --weights" in page.sections["made"]


def test_a_table_of_another_test_is_not_believed(run: Path) -> None:
    write_result(run, rows=ROWS)
    result = json.loads((run / "LINEAR_test_result.json").read_text())
    (run / "LINEAR_test_result.json").write_text(json.dumps(result | {"evaluated": 4}))
    assert "kept no table" in page_of(run).sections["mistakes"]


def test_where_videos_have_many_classes_one_of_them_is_enough(tmp_path: Path) -> None:
    rows = [("a", "cat; dog", "dog;cat", 0.9, "cat", 0.2), ("b", "cat", "dog", 0.6, "cat", 0.3)]
    write_result(tmp_path, rows=rows, top1=None, confusion=None, classes=None, map=0.5)
    path = tmp_path / "LINEAR_test_result.json"
    result = json.loads(path.read_text())
    del result["top1"], result["confusion"], result["classes"]
    path.write_text(json.dumps(result | {"hit_at_1": 0.5}))
    page = page_of(tmp_path)
    assert "1 of 2 videos is named wrong" in page.sections["mistakes"]
    assert "dog + cat 90.0%" in page.sections["narrow"]
    assert "no confusion matrix" in page.sections["confusion"]


def test_hostile_names_are_text(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>'
    names = [evil, "#\x1b[2J\u202eback"]
    video = "\" onerror='alert(2)' <b>.mp4"
    rows = [(video, evil, names[1], 0.9, evil, 0.8), ("ok.mp4", evil, evil, 0.9, "", "")]
    faults = [{"video": video, "reason": evil}]
    write_result(tmp_path, rows=rows, names=names, unreadable=faults, notes=[evil], list=video,
                 protocol={"weights": evil, evil: evil})  # fmt: skip
    page = page_of(tmp_path, compare=tmp_path)
    assert not page.all("script")
    assert not page.all("b")
    assert all("onerror" not in attributes for _, attributes in page.tags)
    assert evil in page.sections["classes"]
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text
    assert r"#\x1b[2J\u202eback" in page.sections["confusion"]


def test_two_tests_stand_side_by_side(run: Path, tmp_path: Path) -> None:
    other = [(v, true, true if v == "cat/1.mp4" else "cat", 0.7, "", "") for v, true, *_ in ROWS]
    write_result(tmp_path / "other", rows=other, model="TSN")
    said = page_of(run, compare=tmp_path / "other").sections["compare"]
    assert f"Beside TSN of {tmp_path / 'other'}" in said
    assert "Named right 0.6000 0.4000 +0.2000" in said
    assert "dog 66.7% 0.0% +66.7" in said
    assert "Of the 5 videos of both tests, 2 are right here alone, and 1 in the other" in said
    assert "may well be chance (p = 1, sign test)" in said
    assert "dog/0.mp4 dog dog 80.0% cat 70.0%" in said
    assert "cat/1.mp4 cat dog 95.0% cat 70.0%" in said
    assert "compare" not in page_of(run).sections


def test_tests_of_other_videos_are_not_compared(run: Path, tmp_path: Path) -> None:
    write_result(tmp_path / "other", rows=[(f"x{k}", *row[1:]) for k, row in enumerate(ROWS)])
    assert "cannot be compared" in page_of(run, compare=tmp_path / "other").sections["compare"]
    write_result(tmp_path / "third", rows=None)
    said = page_of(run, compare=tmp_path / "third").sections["compare"]
    assert f"--save-dir {tmp_path / 'third'}" in said


def test_of_several_models_the_newest_or_the_named_one_is_told(run: Path) -> None:
    write_result(run, model="TSN")
    assert videozoo.report(run).name == "TSN_report.html"
    assert videozoo.report(run, model="linear").name == "LINEAR_report.html"
    with pytest.raises(VideozooError, match=r"no result of STNET, only of LINEAR, TSN"):
        videozoo.report(run, model="STNET")


def test_what_is_no_result_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match="is no folder"):
        videozoo.report(tmp_path / "none")
    (tmp_path / "TSN_best.safetensors").write_text("")
    with pytest.raises(VideozooError, match=r"videozoo test --weights .*TSN_best.safetensors"):
        videozoo.report(tmp_path)
    path = tmp_path / "TSN_test_result.json"
    for text in ("{", "[]", "{}", "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(VideozooError, match=r"TSN_test_result\.json: "):
            videozoo.report(tmp_path)
    write_result(tmp_path)
    with pytest.raises(VideozooError, match="is a folder"):
        videozoo.report(tmp_path, out=tmp_path)
    (tmp_path / "LINEAR_test_predictions.csv").write_text("video,true\na,b\n")
    with pytest.raises(VideozooError, match=r"predictions\.csv: is damaged"):
        videozoo.report(tmp_path)
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(
    "other",
    [
        {"unreadable": 3},
        {"damaged": [5]},
        {"evaluated": "5"},
        {"top1": "high"},
        {"classes": [{}]},
        {"confusion": 5},
        {"confusion": [[1, "1"], [0, 1]]},
        {"confusion_counts": [[0, 9, 1]]},
        {"notes": [None]},
        {"protocol": 5},
        {"protocol": {"versions": []}},
    ],
    ids=str,
)
def test_a_result_of_other_forms_is_damaged(tmp_path: Path, other: dict[str, Any]) -> None:
    write_result(tmp_path, **other)
    with pytest.raises(VideozooError, match=r"LINEAR_test_result\.json: is damaged"):
        videozoo.report(tmp_path)
    assert not list(tmp_path.glob("*.html"))


def test_headings_tables_and_pictures_are_named_for_all_readers(run: Path) -> None:
    page = page_of(run, compare=run)
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert len(page.all("table")) == len(page.all("caption")) > 6
    assert all(cell.get("scope") in ("col", "row") for cell in page.all("th"))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(a["href"])[1:] for a in page.all("a")]
    assert set(links) <= set(ids)
    assert page.all("html")[0]["lang"] == "en"


@pytest.fixture
def tested(clip_data: World, tmp_path: Path) -> Path:
    """A real test of a TSN, with a table of its videos."""
    videozoo.test(clip_data.weights, filelist=clip_data.listing, save_dir=tmp_path)
    return tmp_path


def test_frames_that_the_model_saw_are_in_the_page(tested: Path) -> None:
    page = page_of(tested)
    pictures = page.all("img")
    assert len(pictures) == 15  # five videos of three segments
    assert all(str(one["src"]).startswith("data:image/jpeg;base64,/9j/") for one in pictures)
    assert {"clip 1.mp4 at 0.0 s", "clip 1.mp4 at 0.16 s"} <= {one["alt"] for one in pictures}


def test_of_the_surest_mistakes_it_is_told_which_moment_they_come_from(tested: Path) -> None:
    mistakes = page_of(tested).sections["mistakes"]
    told = mistakes.count("(without it") + mistakes.count("no moment alone matters")
    assert 1 <= told == min(3, mistakes.count("called"))


def test_frames_of_other_weights_are_not_shown(tested: Path) -> None:
    path = tested / "TSN_test_result.json"
    result = json.loads(path.read_text())
    result["protocol"]["weights_sha256"] = "0"
    path.write_text(json.dumps(result))
    page = page_of(tested)
    assert not page.all("img")
    assert "holds other weights than those that were tested" in page.text


def test_a_video_that_is_gone_is_named(tested: Path, tmp_path: Path, clip_data: World) -> None:
    gone = tmp_path / "gone.list"
    gone.write_text(f"{tmp_path / 'gone.mp4'} 0\n{clip_data.files[0]} 0\n")
    path = tested / "TSN_test_result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"list": str(gone)}))
    page = page_of(tested)
    assert len(page.all("img")) == 3
    assert "No frames: its list names no such video now" in page.text


def test_a_report_that_fails_is_one_sentence_behind_a_training(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Console(quiet=True)
    assert report_line(run, "LINEAR", console) == f"report: {run / 'LINEAR_report.html'}"
    monkeypatch.setattr("videozoo.reports.page._content", lambda *_: 1 / 0)
    said = report_line(run, "LINEAR", console)
    assert said.startswith("warning: there is no report: division by zero")
    assert f"videozoo report {run}" in said
