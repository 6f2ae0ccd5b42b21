"""What the page of `videozoo label` asks of its server, and what becomes of the answers."""

from __future__ import annotations

import csv
import re
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from shades import is_bright, write_shade, write_shades
from starlette.testclient import TestClient

import videozoo
from cli.commands import Command, command
from toy_encoder import ToyEncoder
from videozoo.answers import Prediction
from videozoo.encoders import find
from videozoo.errors import VideozooError
from videozoo.labelling.label_app import PORT, LabelPage
from videozoo.labelling.label_file import LabelFile, one_labelling
from videozoo.labelling.label_order import VideoToLabel, helpful_order
from videozoo.labelling.label_session import LabelSession
from videozoo.training import folder_encoder
from videozoo.web.listening import is_own, listening

__all__ = ["command"]

WEIGHTS = "checkpoints/LINEAR_best.safetensors"


class Labeller:
    """A browser that knows the page's token."""

    def __init__(self, session: LabelSession) -> None:
        self.client = TestClient(
            LabelPage(session, host="127.0.0.1").app, base_url="http://127.0.0.1:8020"
        )
        self.page = self.client.get("/").text
        token = re.search('data-token="([^"]+)"', self.page)
        assert token is not None
        self.token = {"X-Token": token[1]}
        self.state = self.client.get("/state").json()

    @property
    def video(self) -> dict[str, Any]:
        found: dict[str, Any] = self.state["video"]
        return found

    def post(self, path: str, **body: object) -> None:
        told = self.client.post(path, json=body, headers=self.token)
        assert told.status_code == 200, told.text
        self.state = told.json()

    def label(self, label: str | None, *, new: bool = False) -> str:
        """Labels the video that is shown; returns its name."""
        name = str(self.video["name"])
        self.post("/answer", number=self.video["number"], label=label, new=new)
        return name


Open = Callable[..., Labeller]


@pytest.fixture
def open_labeller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    with ExitStack() as stack:

        def opened(folder: str = "videos", out: str = "labels.csv", **how: Any) -> Labeller:
            console = how.pop("console", Console(quiet=True))
            session = LabelSession(Path(folder), out=Path(out), console=console, **how)
            stack.enter_context(closing(session.clips))
            return Labeller(session)

        yield opened


def rows(path: str = "labels.csv") -> dict[str, str]:
    with open(path, newline="", encoding="utf-8") as file:
        return {row["path"]: row["label"] for row in csv.DictReader(file)}


def empty(*names: str) -> None:
    """Makes files that are called like videos, for what does not look into them."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)


def test_labels_are_saved_one_by_one_undone_and_gone_on_with(open_labeller: Open) -> None:
    empty(*(f"videos/{i}.mp4" for i in range(5)))
    one = open_labeller(classes=["cat", "dog"])
    assert [one.state[key] for key in ("total", "labelled", "undo")] == [5, 0, False]
    first = one.label("cat")
    assert rows() == {f"videos/{first}": "cat"}
    second = one.label("dog")
    third = one.label(None)
    assert rows() == {f"videos/{first}": "cat", f"videos/{second}": "dog"}
    assert rows("labels_unclear.csv") == {f"videos/{third}": ""}
    assert (one.state["labelled"], one.state["unclear"]) == (2, 1)
    one.post("/undo")
    assert one.video["name"] == third
    assert not Path("labels_unclear.csv").exists()

    again = open_labeller(classes=["cat", "dog"])
    assert again.state["labelled"] == 2
    assert again.video["name"] not in (first, second)
    for name in (second, first):
        again.post("/undo")
        assert again.video["name"] == name
    assert not Path("labels.csv").exists()
    assert again.client.post("/undo", headers=again.token).json() == {
        "error": "there is nothing to undo"
    }


def test_undo_gives_back_the_label_from_before(open_labeller: Open) -> None:
    empty("videos/a.mp4", "videos/b.mp4")
    one = open_labeller(classes=["cat", "dog"])
    name = one.label("cat")
    one.post("/answer", number=0, label="dog")
    assert rows() == {f"videos/{name}": "dog"}
    one.post("/undo")
    assert (one.video["name"], one.video["label"]) == (name, "cat")
    assert rows() == {f"videos/{name}": "cat"}


def test_skipped_videos_come_back_at_the_end(open_labeller: Open) -> None:
    empty("videos/a.mp4", "videos/b.mp4")
    one = open_labeller(classes=["cat"])
    after = one.client.get("/state", params={"after": 0}).json()
    assert after["video"]["number"] == 1
    one.post("/answer", number=1, label="cat")
    assert one.video["number"] == 0
    one.label("cat")
    assert one.state["video"] is None


def test_class_folders_are_given_labels_and_sides_are_none(open_labeller: Open) -> None:
    empty("videos/train/cat/a.mp4", "videos/train/dog/b.mp4", "videos/val/cat/c.mp4")
    empty("videos/val/dog/d.mp4", "days/monday/a.mp4", "days/tuesday/b.mp4")
    one = open_labeller()
    assert [(name, key) for name, key, _ in one.state["classes"]] == [("cat", "1"), ("dog", "2")]
    for _ in range(4):
        assert one.video["given"] == Path(one.video["name"]).parent.name
        one.label(one.video["given"])
    days = open_labeller("days", "days.csv", classes=["rain"])
    assert days.video["given"] is None
    assert [name for name, *_ in days.state["classes"]] == ["rain"]


def test_a_class_that_is_typed_gets_a_key_and_is_written_once(open_labeller: Open) -> None:
    empty(*(f"videos/{i}.mp4" for i in range(4)))
    one = open_labeller()
    assert one.state["classes"] == []
    one.label("  Brown bear ", new=True)
    one.label("brown BEAR", new=True)
    assert one.state["classes"] == [["Brown bear", "1", 2]]
    for bad in ("", "   ", "a,b", "x" * 101):
        sent = {"number": 2, "label": bad, "new": True}
        told = one.client.post("/answer", json=sent, headers=one.token)
        assert told.status_code == 400
        assert "1 to 100 letters, without commas" in told.json()["error"]
    assert len(rows()) == 2


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_videos_that_browsers_do_not_play_are_shown_as_h264(
    open_labeller: Open, codec: str, tmp_path: Path
) -> None:
    write_shade(Path("videos/a.mkv"), bright=True, seed=1, codec=codec)
    found = open_labeller().client.get("/clip/0")
    assert (found.status_code, found.headers["content-type"]) == (200, "video/mp4")
    (tmp_path / "copy.mp4").write_bytes(found.content)
    info = videozoo.video.reader.probe_video(tmp_path / "copy.mp4")
    assert (info.codec, info.frames, info.duration) == ("h264", 10, 1.0)


def test_a_video_that_cannot_be_read_says_why_and_stands_last(open_labeller: Open) -> None:
    empty("videos/broken.mp4")
    told = open_labeller().client.get("/clip/0")
    assert told.status_code == 200
    assert told.json()["error"].startswith("it cannot be read: ")


def test_hostile_names_are_text(open_labeller: Open) -> None:
    names = ["<script>alert(1)</script>.mp4", "-1+1.mp4", '"a" 1.mp4', "a\nb.mp4", "=1,b.mp4"]
    empty(*(f"videos/<b>&/{name}" for name in [n.replace("/", "") for n in names]))
    one = open_labeller("videos/<b>&", classes=["=cmd", "<i>"])
    assert "<h1>videos/&lt;b&gt;&amp;</h1>" in one.page
    for _ in names:
        one.label("=cmd")
    again = open_labeller("videos/<b>&", classes=["<i>"])
    assert again.state["labelled"] == len(names)
    assert again.state["classes"] == [["<i>", "1", 0], ["=cmd", "2", 5]]
    assert Path("labels.csv").read_text().count(",'=cmd") == 5
    listing = videozoo.data.read_listing("labels.csv")
    assert all(entry.path.is_file() for entry in listing.entries)
    assert listing.class_names == ["=cmd"]


def test_requests_of_other_sites_are_refused(open_labeller: Open) -> None:
    empty("videos/a.mp4", "labels.txt")
    one = open_labeller(classes=["cat"])
    sent = {"number": 0, "label": "cat"}
    assert one.client.post("/answer", json=sent).status_code == 403
    assert (
        one.client.post("/answer", json=sent, headers={"X-Token": "é".encode()}).status_code == 403
    )
    assert one.client.get("/", headers={"Host": "evil.example:8020"}).status_code == 421
    assert not Path("labels.csv").exists()
    for path in ("/clip/1", "/clip/-1", "/clip/..%2f..%2flabels.txt", "/../labels.txt", "/labels"):
        assert one.client.get(path).status_code in (400, 404), path
    hostile = (b'{"number": 1e400, "label": "cat"}', b"[" * 50_000, b"0" * 100_000)
    for body in (b"no json", b"[]", b"{}", b'{"number": "x", "label": "cat"}', *hostile):
        told = one.client.post("/answer", content=body, headers=one.token)
        assert told.status_code == 400
    policy = one.client.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    ("header", "own"),
    [
        ("127.0.0.1:8020", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("[::1]:8020", True),
        ("192.168.1.7:8020", True),
        ("studio:8020", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost@evil.example", False),
        ("[", False),
        ("", False),
    ],
)
def test_which_hosts_are_this_machine(header: str, own: bool) -> None:
    assert is_own(header, {"localhost", "studio"}) is own


def test_a_csv_has_one_labelling_and_keeps_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    videos = [tmp_path / "in" / name for name in ("a.mp4", "b.mp4")]
    for video in videos:
        video.touch()
    path = tmp_path / "labels.csv"
    path.write_text(f"path,label\nin/a.mp4,cat\n{videos[1]},dog\n")
    with one_labelling(path):
        with pytest.raises(VideozooError, match=r"another videozoo label writes it"):
            one_labelling(path).__enter__()
        file = LabelFile(path, {str(videos[0])})
        file.give(str(videos[0]), "dog")
        assert path.read_text().splitlines() == ["path,label", "in/b.mp4,dog", "in/a.mp4,dog"]
        for _ in range(2):
            file.undo()
        assert not file.can_undo
        assert path.read_text().splitlines() == ["path,label", "in/b.mp4,dog"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "labels.csv"]
    path.write_text("path,label,camera\nin/a.mp4,cat,3\n")
    with pytest.raises(VideozooError, match=r"labels.csv: its columns are not path,label alone"):
        LabelFile(path, ())


def test_a_label_that_cannot_be_written_is_not_taken_for_saved(
    open_labeller: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty("videos/a.mp4", "videos/b.mp4")
    one = open_labeller(classes=["cat"])

    def full(*arguments: object) -> None:
        raise VideozooError("labels.csv: cannot be written: No space left on device")

    monkeypatch.setattr("videozoo.labelling.label_file.write_csv", full)
    told = one.client.post("/answer", json={"number": 0, "label": "cat"}, headers=one.token)
    assert (told.status_code, "No space left" in told.json()["error"]) == (400, True)
    state = one.client.get("/state").json()
    assert (state["labelled"], state["undo"]) == (0, False)


def test_at_twenty_labels_page_and_terminal_say_how_to_train(
    open_labeller: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    empty(*(f"videos/{i:02}.mp4" for i in range(25)))
    one = open_labeller(classes=["bright", "dark"], console=Console(width=200))
    for number in range(20):
        assert one.state["commands"] == []
        one.label("dark" if number % 2 else "bright")
    train = "videozoo train labels.csv"
    label = f"videozoo label videos --weights {WEIGHTS} --classes bright,dark"
    assert one.state["commands"] == [train, label]
    said = capsys.readouterr().out
    assert "20 of 25 videos labelled, in labels.csv\n  bright: 10\n  dark: 10\n" in said
    assert f"{train}\n{label}\n" in said


@pytest.mark.slow
def test_from_twenty_labels_to_a_classifier_that_orders_the_rest(
    open_labeller: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = ToyEncoder()
    for module in (find, folder_encoder):
        monkeypatch.setattr(module, "open_encoder", lambda name, device: toy)
    write_shades(Path("videos"), 30)
    one = open_labeller(classes=["bright", "dark"])
    for _ in range(20):
        one.label("bright" if is_bright(one.video["name"]) else "dark")
    trained = videozoo.train(
        "labels.csv", head="LINEAR", overrides=["MODEL.use_gpu=False"], save_dir="checkpoints"
    )
    assert str(trained.best) == WEIGHTS
    results = videozoo.infer(["videos"], WEIGHTS, overrides=["INFER.use_gpu=False"])
    right = [is_bright(Path(r.video).name) == (r.predictions[0].label == "bright") for r in results]
    assert sum(right) > 25

    again = open_labeller(weights=WEIGHTS)
    assert (again.state["labelled"], again.state["commands"]) == (20, [])  # trained on already
    assert again.video["guess"][0] in ("bright", "dark")
    one_in_wrong_folder = "dark/00.mp4"
    for video in Path("videos").iterdir():
        place = "bright" if is_bright(video.name) and video.name != "00.mp4" else "dark"
        copied = Path("sorted", place, video.name)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(video, copied)
    empty("sorted/dark/broken.mp4")
    again = open_labeller("sorted", "sorted.csv", weights=WEIGHTS)
    assert (again.video["name"], again.video["doubtful"]) == (one_in_wrong_folder, True)
    assert (again.video["given"], again.video["guess"][0]) == ("dark", "bright")
    last = again.client.get("/state", params={"at": 30}).json()["video"]
    assert (last["name"], last["guess"]) == ("dark/broken.mp4", None)


def test_the_surely_wrong_come_first_and_then_the_least_sure() -> None:
    def video(name: str, given: str | None, *scores: float) -> VideoToLabel:
        best = [Prediction(i, "ab"[i], score) for i, score in enumerate(scores)]
        return VideoToLabel(Path(name), given, best)

    videos = [
        video("right and sure", "a", 0.99, 0.01),
        video("wrong, not sure", "b", 0.6, 0.4),
        video("wrong", "b", 0.9, 0.1),
        video("surely wrong", "b", 0.97, 0.03),
        video("unreadable", "a"),
        video("no folder", None, 0.55, 0.45),
    ]
    assert [v.path.name for v in helpful_order(videos)] == [
        "surely wrong", "wrong", "no folder", "wrong, not sure", "right and sure", "unreadable"
    ]  # fmt: skip


def test_among_the_least_sure_classes_take_turns() -> None:
    def video(label: str, score: float) -> VideoToLabel:
        best = [Prediction(0, label, score), Prediction(1, "other", 1 - score)]
        return VideoToLabel(Path(f"{label} {score}"), None, best)

    videos = [video("a", 0.51), video("a", 0.52), video("a", 0.53), video("b", 0.7)]
    names = [v.path.name for v in helpful_order(videos)]
    assert names == ["a 0.51", "b 0.7", "a 0.52", "a 0.53"]


def test_without_weights_the_order_is_random_and_the_same_each_time() -> None:
    videos = [VideoToLabel(Path(f"{i:03}.mp4"), None) for i in range(50)]
    order = helpful_order(videos)
    assert order == helpful_order(reversed(videos))
    assert order != videos
    assert {v.path for v in order} == {v.path for v in videos}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["nothing"], "nothing: no such folder; give a folder of videos"),
        (["videos/a.mp4"], "videos/a.mp4: is a file; give a folder of videos"),
        (["videos", "--out", ""], "--out .: is no file; give one, such as labels.csv"),
        (["none"], "none: holds no video"),
        (["videos", "--classes", "a,,b"], "--classes a,,b: give each name once: cat,dog"),
        (["videos", "--weights", "no.safetensors"], "no.safetensors"),
        (["videos", "--host", "192.0.2.1"], "--host 192.0.2.1: cannot be listened at: "),
        (["videos", "--out", "videos/a.mp4/x.csv"], "videos/a.mp4/x.csv: cannot be written: "),
        (["videos", "--out", "bad.csv"], "bad.csv: its first line must name the columns"),
    ],
)
def test_faults_end_in_one_sentence(
    command: Command,
    words: list[str],
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    empty("videos/a.mp4", "bad.csv")
    Path("none").mkdir()
    done = command("label", *words)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert error in done.err
    assert not [*tmp_path.glob(".*.lock")]


def test_where_the_extra_is_missing_that_is_said(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "videozoo.labelling.label_app")
    done = command("label", "videos")
    assert done.code == 2
    assert 'pip install "videozoo[app]" installs them' in done.err


def test_a_taken_port_is_said_and_another_is_found_by_itself() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(VideozooError, match=f"--port {port}: cannot be listened at: "):
            listening("127.0.0.1", port, PORT)
    with listening("127.0.0.1", None, PORT) as first, listening("127.0.0.1", None, PORT) as second:
        assert first.getsockname()[1] != second.getsockname()[1]
