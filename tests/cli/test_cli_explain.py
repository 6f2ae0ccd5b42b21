"""videozoo explain."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from commands import Command
from PIL import Image

from tiny import CLIP_CLASSES, World


def test_pictures_and_numbers_of_all_that_can_be_read(
    command: Command, clip_data: World, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    shutil.copy(clip_data.files[3], folder / clip_data.files[4].name)  # two of one name
    (folder / "broken.mp4").write_bytes(b"no video")
    done = command("explain", clip_data.files[4], folder, "--weights", clip_data.weights)
    assert done.code == 2
    assert "unreadable: 1" in done.out
    assert "broken.mp4: cannot be opened as a video" in done.out
    assert "pictures and numbers are in TSN_explain" in done.out
    made = Path("TSN_explain")
    assert sorted(f.name for f in made.iterdir()) == [
        f"clip4{end}" for end in (".json", ".png", "_2.json", "_2.png")
    ]
    values = json.loads((made / "clip4.json").read_text())
    assert values["video"] == str(clip_data.files[4])
    assert values["label"] in CLIP_CLASSES
    assert f"{values['video']}: {values['label']} {values['score']:.3f}; " in done.out
    assert len(values["moments"]) == len(values["seconds"]) == 3
    assert {"start", "end", "occlusion", "score", "attention"} <= values["moments"][0].keys()
    assert values["protocol"]["model"] == "TSN"
    with Image.open(made / "clip4.png") as picture:
        assert picture.size[0] >= 600
    assert json.loads((made / "clip4_2.json").read_text())["moments"] != values["moments"]


def test_all_that_cannot_be_read_is_named_a_line_each(
    command: Command, clip_data: World, tmp_path: Path
) -> None:
    shutil.copy(clip_data.files[0], tmp_path / "a\nb.mp4")
    for number in range(7):
        (tmp_path / f"{number}\n.mp4").write_bytes(b"no video")
    done = command("explain", tmp_path, "--weights", clip_data.weights, "--save-dir", "made")
    assert done.code == 2
    assert f"{tmp_path}/a\\nb.mp4: " in done.out
    lines = [line for line in done.out.splitlines() if "cannot be opened" in line]
    starts = [line.split(": ")[0].strip() for line in lines]
    assert starts == [f"{tmp_path}/{number}\\n.mp4" for number in range(7)]
    assert "result file" not in done.out  # there is none


def test_a_class_that_was_asked_for(command: Command, clip_data: World) -> None:
    for name in CLIP_CLASSES[:2]:
        words = ("explain", clip_data.files[4], "--weights", clip_data.weights, "--class", name)
        done = command(*words, "--segments", 2, "--save-dir", name)
        assert done.code == 0
        values = json.loads((Path(name) / "TSN_explain" / "clip4.json").read_text())
        assert (values["label"], len(values["moments"])) == (name, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--class", "swin"), "class swin: the model knows no such class; did you mean 'swim'?"),
        (("--class", "?"), f"knows no such class; it knows {', '.join(CLIP_CLASSES)}"),
        (("nothing.mp4",), "nothing.mp4: no such file, folder or pattern"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_written(
    words: tuple[str, ...], said: str, command: Command, clip_data: World
) -> None:
    done = command("explain", clip_data.files[0], "--weights", clip_data.weights, *words)
    assert done.code == 2
    assert said in done.err
    assert not Path("TSN_explain").exists()


@pytest.mark.parametrize("words", [("explain",), ("infer", "--timeline")])
def test_without_weights_it_is_said_what_takes_videos(
    words: tuple[str, ...], command: Command, clip_data: World
) -> None:
    done = command(*words, clip_data.files[4])
    assert done.code == 2
    assert "give --weights a checkpoint that takes videos" in done.err
    assert "fetch" not in done.out + done.err  # of weights that would take none
