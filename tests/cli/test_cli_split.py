"""videozoo split."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from commands import Command


def make_videos(names: list[str], classes: tuple[str, ...] = ("cat", "dog")) -> None:
    for class_name in classes:
        for name in names:
            path = Path("my videos", class_name, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(path))


def test_lists_are_written_and_taken_again(command: Command) -> None:
    make_videos([f"{letter}_{i}.mp4" for letter in "abcde" for i in range(4)])
    done = command("split", "my videos", "--out", "the split")
    assert done.code == 0
    assert "kept together by names: 5, of 40 videos (a_0.mp4, a_1.mp4 ... -> a)" in done.out
    assert "now: videozoo train 'the split'" in done.out
    row = next(line for line in done.out.splitlines() if " dog " in line)
    assert [word for word in row.split() if word.isdigit()] == ["16", "4"]
    out = Path("the split")
    assert (out / "labels.txt").read_text() == "cat\ndog\n"
    lists = [(out / name).read_text().splitlines() for name in ("train.list", "val.list")]
    assert [len(lines) for lines in lists] == [32, 8]
    path, label = lists[1][0].rsplit(" ", 1)
    assert Path(path).is_absolute()
    assert Path(path).parent.name == ["cat", "dog"][int(label)]
    with (out / "split.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert {(row["side"], row["group"]) for row in table if row["path"] == path} == {
        ("val", Path(path).name[0])
    }
    again = command("split", "the split", "--out", "again")
    assert "split as the lists in the split say" in again.out
    for name in ("train.list", "val.list", "labels.txt", "split.csv"):
        assert (out / name).read_bytes() == Path("again", name).read_bytes()


def test_seed_and_share_decide(command: Command) -> None:
    make_videos([f"{i}.mp4" for i in range(10)])
    for number, words in enumerate((["--seed", 1], ["--seed", 2], ["--share", 0.5])):
        assert command("split", "my videos", "--out", number, *words).code == 0
    texts = [Path(str(i), "val.list").read_text() for i in range(3)]
    assert [text.count("\n") for text in texts] == [4, 4, 10]
    assert texts[0] != texts[1]


def test_help_says_what_groups(command: Command) -> None:
    done = command("split", "--help")
    assert done.code == 0
    assert "--group-by" in done.out
    assert "REGEX|COLUMN|none" in done.out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["nothing"], "nothing: no such folder; give a folder with one sub-folder a class"),
        (["empty"], "empty: holds no video"),
        (["my videos/cat"], "(0.mp4, ...) in no sub-folder"),
        (["my videos", "--group-by", "a("], "--group-by a(: is no regular expression"),
        (["my videos", "--group-by", "camera"], "--group-by camera: matches none of the 10 names"),
        (["my videos", "--share", "1"], "--share 1: must lie between 0 and 1"),
        (["my videos", "--group-by", "mp4"], "nothing is left to validate on"),
        (["data.csv", "--group-by", "day"], "--group-by day: data.csv has no such column"),
        (["one"], "two at the least; found only cat"),
        (["one.csv"], "one.csv: needs two classes at the least; found only cat"),
    ],
)
def test_faults_end_in_one_sentence(command: Command, words: list[str], error: str) -> None:
    make_videos([f"{i}.mp4" for i in range(5)])
    Path("empty").mkdir()
    Path("one/cat").mkdir(parents=True)
    Path("one/cat/0.mp4").write_text("one")
    Path("data.csv").write_text("path,label\nmy videos/cat/0.mp4,cat\nmy videos/dog/0.mp4,dog\n")
    Path("one.csv").write_text("path,label\none/cat/0.mp4,cat\n")
    done = command("split", *words)
    assert done.code == 2
    assert error in done.err
    assert done.err.count("\n") == 1
    assert not Path("split").exists()
