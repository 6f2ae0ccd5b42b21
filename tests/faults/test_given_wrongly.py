"""What is typed wrongly, or named by others, is answered in one sentence, and harmlessly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from cli.commands import Command
from tiny import World
from videozoo.data.clips.clip_files import expand_path
from videozoo.errors import VideozooError
from videozoo.terminal import Terminal


def test_what_others_named_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "x\x1b]0;title\x07\x1b[31m\x9b2J\u2028\u202e.mp4"
    console = Terminal(force_terminal=True, highlight=False, width=200)
    console.print(evil)
    console.print(Text(evil, "bold"))
    table = Table(title=evil)
    table.add_column(evil)
    table.add_row(evil)
    console.print(table)
    shown = capsys.readouterr().out
    assert not {"\x07", "\x9b", "\u2028", "\u202e"} & set(shown)
    assert "\x1b]" not in shown
    assert "\x1b[31m" not in shown
    assert r"\x1b]0;title" in shown
    assert "\x1b[1m" in shown  # the console's own


@pytest.mark.parametrize(
    ("typed", "said"),
    [("http://127.0.0.1:9/a.mp4", "cannot be had in 6 tries (cannot be reached"),
     ("rtsp://camera/1", "is an address"),
     ("0", "cameras and standard input are not read; record into a file"),
     ("/dev/video7", "cameras and standard input are not read"), ("-", "cameras and standard"),
     ("my.list", "is a text, not a video; a list of videos is given as --filelist my.list"),
     ("data.csv", "is a text, not a video; a list of videos is given as --filelist data.csv"),
     ("pipe", "is no file"), ("empty", "holds no video"), ("gone.mp4", "no such file, folder or"),
     ("*.txt", "*.txt: holds no video, but 1 other file (.txt 1)")],
)  # fmt: skip
def test_what_is_no_video_is_called_what_it_is(typed: str, said: str) -> None:
    for name in ("my.list", "data.csv", "a.txt"):
        Path(name).write_text("a.mp4 1")
    os.mkfifo("pipe")
    os.mkdir("empty")
    with pytest.raises(VideozooError) as error:
        expand_path(typed)
    assert said in str(error.value)


def test_answers_to_what_a_new_user_types(
    command: Command, clip_data: World, feature_data: World
) -> None:
    video, nothing = clip_data.files[0], "nothing is given to read"
    Path("data.tsv").write_text(f"path\tlabel\n{video}\tcat\n")
    features = ("--weights", feature_data.weights)
    for words, said in (
        (("infer", video), "give --weights a checkpoint that takes videos"),
        (("infer", *features, video), "give --weights a checkpoint that takes videos"),
        (("infer", "rtsp://camera/1"), "is an address"),
        (("infer", "0"), "cameras and standard input are not read"),
        (("infer", "--weights", clip_data.weights, clip_data.listing), "as --filelist"),
        (("scan", clip_data.listing), "a list of videos is given as --filelist"),
        (("train", "data.tsv"), "are separated by tabs; separate them by commas"),
        (("train", "rtsp://camera/1"), "is an address"),
        (("train", "0"), "cameras"),
        (("train", video), "is a clip, not a list of clips"),
        (("train",), nothing),
        (("scan",), nothing),
        (("infer",), nothing),
        (("test",), nothing),
    ):
        done = command(*words)
        assert done.code == 2
        assert said in done.err
        assert done.err.count("\n") == 1


def test_one_slip_is_told_once(command: Command, inputs: Path) -> None:
    words = ("train", inputs / "folders" / "plain", "--end-to-end", "--save-dir", "ck")
    for slip, said in (
        ("MODEL.segnum=3", "error: --set MODEL.segnum: STNET has no such key; did you mean 'seg"),
        ("MODEL.target_size=100", "STNET: [TRAIN, VALID, TEST, INFER] target_size 100 is larger"),
    ):
        done = command(*words, "--set", slip)
        assert said in done.err
        assert done.err.count("\n") == 1
        assert not list(Path("ck").glob("*config*"))
