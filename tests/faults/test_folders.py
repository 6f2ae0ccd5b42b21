"""Folders as people have them: nothing is left out without a word, no name is misread."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from cli.commands import Command
from tiny import World
from videos import write_video
from videozoo.data.clips.clip_files import expand_path, look_through
from videozoo.data.clips.clip_list import read_listing
from videozoo.errors import VideozooError
from videozoo.training.split import Split, split_folder, write_split

ODD_NAMES = [
    "10:30 take.mp4", "data:a.mp4", "concat:a.mp4", "pipe:1.mp4", "x\u2028y.mp4", "x\x85y.mp4",
    "x\x0by.mp4", "x\ny.mp4", "x\ry.mp4", "x\ty.mp4", 'say "x".mp4', '"x".mp4', "a, b.mp4",
    " x .mp4", "#x.mp4", "x.mp4 3", "=1+1.mp4", "-x.mp4", "@x.mp4", "x\x1b]0;y\x07.mp4",
    os.fsdecode(b"caf\xe9.mp4"), "%d.mp4", "[x].mp4", "x\u202ey.mp4", "x 1,2.mp4", "x.mp4 y",
]  # fmt: skip


def written_again(split: Split, folder: Path) -> Split:
    """Writes a split and reads it."""
    write_split(split, folder)
    for file in folder.iterdir():
        file.read_bytes().decode("utf-8")
    return split_folder(folder, seed=0)


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content of " + os.fsencode(path))
    return folder


def classes(folder: Path, *names: str, videos: int = 2) -> Path:
    return make(folder, *(f"{name}/{name[0]}{i}.mp4" for name in names for i in range(videos)))


def test_videos_of_any_ending_are_used(inputs: Path) -> None:
    split = split_folder(inputs / "folders" / "endings", seed=0)
    assert len(split.train) + len(split.valid) == 24
    assert len(expand_path(str(inputs / "folders/endings/cat/*.gif"))) == 3


def test_what_no_ending_tells_is_looked_into(inputs: Path, tmp_path: Path) -> None:
    video = inputs / "folders" / "plain" / "cat" / "0.mp4"
    for name in ("x.mp4.1", "movie", "vcd.dat", "x.LRV"):
        shutil.copy(video, tmp_path / name)
    shutil.copy(video, tmp_path / "shot.jpg")  # by its ending a picture, whatever is in it
    make(tmp_path, "README", "notes.txt", "x.srt", "x.zip", "x.wav", "Thumbs.db", ".DS_Store",
         "._x.mp4", "__MACOSX/x.mp4", ".git/x.mp4")  # fmt: skip
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing").touch()
    found = look_through(tmp_path)
    assert [clip.name for clip in found.clips] == ["movie", "vcd.dat", "x.LRV", "x.mp4.1"]
    over, other = found.notes(tmp_path)
    assert over.endswith("no video is taken from it: .git/, __MACOSX/, empty/")
    assert "9 files are no videos: without an ending 2, " in other
    for kind in (".jpg 1", ".txt 1", ".srt 1", ".zip 1", ".wav 1", ".db 1", ".mp4 1"):
        assert kind in other
    assert other.endswith("; 2 hidden files are passed over")


@pytest.mark.parametrize(
    ("words", "listed"),
    [("scan videos --workers 1", "6 of 6 samples"),
     ("infer videos --weights W", "6 of 6 videos"),
     ("infer --filelist videos --weights W", "6 of 6 videos"),
     ("test --filelist videos --weights W", "6 of 6 videos"),
     ("split videos --encoder none", "all"),
     ("prepare clips videos small --workers 1", "6 listed"),
     ("prepare features rows videos --weights W --no-gpu", "6 listed")],
)  # fmt: skip
def test_every_command_says_what_it_passes_over(
    words: str, listed: str, command: Command, clip_data: World
) -> None:
    for name in ("jump", "run", "swim"):
        folder = Path("videos", name)
        folder.mkdir(parents=True)
        write_video(folder / "a.mp4", 3)
        write_video(folder / "b.mp4", 4).rename(folder / "b.xyz")
    make(Path("videos"), "run/a.txt", "run/b.json", "run/c.json", "__MACOSX/run/x", "run/._a.mp4")
    Path("videos/empty").mkdir()
    done = command(*(clip_data.weights if word == "W" else word for word in words.split()))
    assert done.code == 0, done.err
    said = done.out + done.err
    assert listed in said
    assert "videos: passed over, as no video is taken from it: __MACOSX/, empty/" in said
    assert "videos: 3 files are no videos: .json 2, .txt 1; 1 hidden file is passed over" in said


def test_a_pattern_is_a_list(command: Command, clip_data: World, tmp_path: Path) -> None:
    for name in ("jump", "swim"):
        (tmp_path / "v" / name).mkdir(parents=True)
        write_video(tmp_path / "v" / name / "a.gif", 4, codec="gif", pixels="rgb8")
        write_video(tmp_path / "v" / name / "a.mp4", 4)
    weights = ("--weights", clip_data.weights)
    done = command("infer", *weights, "--filelist", "v/*/*.gif")
    assert "2 of 2 videos" in done.out
    assert "2 of 2 videos evaluated" in command("test", *weights, "--filelist", "v/*/*.gif").out
    assert "2 of 2 videos evaluated" in command("test", *weights, "--filelist", "v/jump/*").out
    scanned = command("scan", "--filelist", "v/*/*.gif", "--mode", "infer", "--model-name", "TSN")
    assert "2 of 2 samples" in scanned.out
    assert read_listing("v/**/*.mp4").class_names == ["jump", "swim"]
    done = command("infer", *weights, "--filelist", "v/*/*.avi")
    assert (done.code, "v/*/*.avi: no such list or folder, and no file" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("train", "other"),
    [("train", "dev"), ("train", "eval"), ("train", "valid"), ("train", "validation"),
     ("split_train", "split_val"), ("train_split", "test_split"), ("training", "testing"),
     ("TRAIN", "Test"), ("my_train", "my_val"), ("train_2023", "test_2023"), ("trainval", "test"),
     ("train_val", "test"), ("ucf_train_set", "ucf_test_set"), ("训练集", "测试集"),
     ("train", "holdout")],
)  # fmt: skip
def test_sides_are_no_classes(train: str, other: str, tmp_path: Path) -> None:
    for side in (train, other):
        classes(tmp_path / side, "cat", "dog")
    split = split_folder(tmp_path, seed=0)
    assert split.class_names == ["cat", "dog"]
    assert {entry.path.parent.parent.name for entry in split.train} == {train}
    assert {entry.path.parent.parent.name for entry in split.valid} == {other}
    with pytest.raises(VideozooError, match="are its sides and no classes; give one of them"):
        read_listing(tmp_path)
    assert read_listing(tmp_path / train, class_names=["cat", "dog"]).entries


@pytest.mark.parametrize(
    ("folders", "message"),
    [
        (["fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog"], "fold1/, fold2/ hold folders of"),
        (["train/cat", "train/dog", "extra/cat", "extra/dog"], "train/ is called like a side and"),
        (["cat/train", "cat/val", "dog/train", "dog/val"], "train/, val/ lie in the class folders"),
        (["train", "val"], "are called like sides, but hold videos and no class folders"),
        (["cat", "dog", "test"], "test/ is called like sides, but holds videos"),
        (["train/cat", "train/dog", "train2/cat", "train2/dog"], "are both the train side"),
    ],
)  # fmt: skip
def test_sides_that_are_not_clear_are_refused(
    folders: list[str], message: str, tmp_path: Path
) -> None:
    for name in folders:
        make(tmp_path / name, "0.mp4", "1.mp4")
    for read in (lambda: split_folder(tmp_path, seed=0), lambda: read_listing(tmp_path)):
        with pytest.raises(VideozooError, match=message):
            read()


def test_what_lies_beside_the_sides_is_named(tmp_path: Path) -> None:
    for side in ("train", "val", "test", "unlabelled"):
        classes(tmp_path / side, "cat", "dog")
    make(tmp_path, "loose.mp4", "readme.txt", "__MACOSX/x.mp4")
    split = split_folder(tmp_path, seed=0)
    said = "\n".join(split.notes)
    assert split.test is not None
    assert "test/ for the test" in said
    assert "left aside beside them: unlabelled/" in said
    assert "1 video of no side left aside" in said
    assert "1 file is no video: .txt 1" in said
    assert "no video is taken from it: __MACOSX/" in said


def test_new_videos_in_test_are_left_aside(tmp_path: Path) -> None:
    classes(tmp_path / "train", "cat", "dog", videos=4)
    make(tmp_path / "test", "0.mp4", "1.mp4")
    split = split_folder(tmp_path, seed=0)
    assert split.class_names == ["cat", "dog"]
    assert "left aside beside them: test/" in "\n".join(split.notes)


def test_frames_as_pictures_are_told_in_one_sentence(tmp_path: Path) -> None:
    make(tmp_path, *(f"{c}/v 1/{i}.jpg" for c in ("cat", "dog") for i in range(3)))
    for read in (lambda: split_folder(tmp_path, seed=0), lambda: expand_path(str(tmp_path))):
        with pytest.raises(VideozooError, match=r"no video, but 6 pictures \(.jpg 6\): .*ffmpeg"):
            read()
    make(tmp_path, "bird/0.mp4", "bird/1.mp4", "fish/0.mp4", "fish/1.mp4", "fish/2.mp4")
    split = split_folder(tmp_path, seed=0)
    assert any("taken from it: cat/ (.jpg 3), dog/ (.jpg 3)" in note for note in split.notes)


def test_lists_hold_every_name_that_a_folder_holds(inputs: Path, tmp_path: Path) -> None:
    video = (inputs / "folders" / "plain" / "cat" / "0.mp4").read_bytes()
    for name in ("cat", "dog"):
        (tmp_path / "d" / name).mkdir(parents=True)
        for odd in ODD_NAMES:
            (tmp_path / "d" / name / odd).write_bytes(video + os.fsencode(name + odd))
    split = split_folder(tmp_path / "d", seed=0)
    again = written_again(split, tmp_path / "lists")
    for side, entries in split.sides.items():
        assert [e.path for e in again.sides[side]] == [e.path for e in entries]
        assert [e.labels for e in again.sides[side]] == [e.labels for e in entries]
    assert len(split.train) + len(split.valid) == 2 * len(ODD_NAMES)


@pytest.fixture
def odd_names(tmp_path: Path) -> list[str]:
    """Writes videos of all odd names into d/jump."""
    names = [name for name in ODD_NAMES if name.endswith(".mp4")]
    Path("d/jump").mkdir(parents=True)
    made = write_video(tmp_path / "one.mp4", 3)
    for name in names:
        shutil.copy(made, os.path.join("d/jump", name))
    return names


def test_results_carry_every_name(command: Command, clip_data: World, odd_names: list[str]) -> None:
    count = len(odd_names)
    assert f"{count} of {count} samples can be used" in command("scan", "d", "--workers", 1).out
    with open("scan.csv", encoding="utf-8", newline="") as file:
        assert len(list(csv.reader(file))) == count + 1
    for form in ("json", "csv"):
        done = command("infer", "--weights", clip_data.weights, "d", "--format", form)
        assert f"{count} of {count} videos" in done.out
        assert not {"\x1b", "\x07", "\u2028", "\x85", "\u202e"} & set(done.out)
    text = Path("TSN_infer_result.json").read_text("utf-8")
    found = [entry["video"] for entry in json.loads(text)]
    assert {r"d/jump/caf\xe9.mp4", "d/jump/10:30 take.mp4"} < set(found)
    assert len(set(found)) == count


def test_prepare_takes_every_name(command: Command, clip_data: World, odd_names: list[str]) -> None:
    count = len(odd_names)
    done = command("prepare", "features", "r", "d", "--weights", clip_data.weights, "--no-gpu")
    assert f"{count} listed, {count} described" in done.out
    done = command("prepare", "clips", "d", "small", "--workers", 1)
    assert f"{count} listed, {count} prepared" in done.out
    done = command("prepare", "clips", "d", "small", "--workers", 1)
    assert f"({count} of them before)" in done.out


def test_a_name_is_no_address_and_no_formula(
    command: Command, clip_data: World, odd_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("d/jump")
    names = ["10:30 take.mp4", "data:a.mp4", "concat:a.mp4", "pipe:1.mp4", "=1+1.mp4"]
    done = command("infer", "--weights", clip_data.weights, *names, "--format", "csv")
    assert "5 of 5 videos" in done.out
    with open("TSN_infer_result.csv", encoding="utf-8", newline="") as file:
        assert {row[0] for row in csv.reader(file)} == {"video", *names[:-1], "'=1+1.mp4"}
    Path("my.csv").write_text("path,label\n" + "".join(f"{name},a\n" for name in names))
    done = command("prepare", "features", "rows", "my.csv", "--weights", clip_data.weights)
    assert "5 listed, 5 described" in done.out


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), " cat ", "x\ny", "=cat", "x\x1b[31m"])
def test_class_folders_of_any_name_make_labels_that_are_read_back(
    name: str, tmp_path: Path
) -> None:
    make(tmp_path / "d", f"{name}/0.mp4", f"{name}/1.mp4", "dog/0.mp4", "dog/1.mp4")
    split = split_folder(tmp_path / "d", seed=0)
    again = written_again(split, tmp_path / "lists")
    assert again.class_names == split.class_names
    assert all(n == n.strip() and n.isprintable() for n in split.class_names)
    listing = read_listing(tmp_path / "d", class_names=again.class_names)
    assert len(listing.entries) == 4


def test_two_folders_of_one_class_are_refused(tmp_path: Path) -> None:
    make(tmp_path, "cat/0.mp4", "cat /0.mp4", "dog/0.mp4")
    with pytest.raises(VideozooError, match=r"cat/, cat / would be one class"):
        split_folder(tmp_path, seed=0)


def test_people_with_the_same_classes_are_doubted(tmp_path: Path) -> None:
    for person in ("anna", "ben"):
        classes(tmp_path / person, "jump", "run")
    split = split_folder(tmp_path, seed=0)
    assert split.class_names == ["anna", "ben"]
    assert any("anna/, ben/ all hold jump/, run/; if these are" in note for note in split.notes)
