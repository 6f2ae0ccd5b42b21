"""Folders in the form of the Hub's VideoFolder: metadata.csv or metadata.jsonl."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from class_folders import make_named

from cli.commands import Run, run
from tiny import World, clip_world
from videozoo.data.clips.clip_list import Listing, read_listing
from videozoo.errors import VideozooError
from videozoo.training.split import split_folder

__all__ = ["run"]


def folder_of(place: Path, labels: dict[str, Any], header: str = "file_name,label") -> Path:
    """Writes videos, and a metadata.csv beside them."""
    make_named(place.parent, {place.name: list(labels)})
    rows = [f"{name},{label}" for name, label in labels.items()]
    (place / "metadata.csv").write_text("\n".join([header, *rows]) + "\n")
    return place


def lines_of(place: Path, records: list[dict[str, Any]]) -> Path:
    """Writes videos, and a metadata.jsonl beside them."""
    make_named(place.parent, {place.name: [record["file_name"] for record in records]})
    text = "".join(f"{json.dumps(record)}\n" for record in records)
    (place / "metadata.jsonl").write_text(text)
    return place


def named(listing: Listing, folder: Path) -> dict[str, list[str]]:
    names = listing.class_names or [str(i) for i in range(9)]
    return {
        str(entry.path.relative_to(folder)): [names[label] for label in entry.labels or ()]
        for entry in listing.entries
    }


def test_labels_are_metadata_s_and_not_the_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path / "data", {"x/a.mp4": "run", "x/b.mp4": "sit", "c d.mp4": "run"})
    monkeypatch.chdir(make_named(tmp_path / "elsewhere", {"x": ["a.mp4"]}))
    listing = read_listing(folder)
    assert listing.class_names == ["run", "sit"]
    assert named(listing, folder) == {"x/a.mp4": ["run"], "x/b.mp4": ["sit"], "c d.mp4": ["run"]}
    assert listing.notes == []
    assert read_listing(folder, class_names=["sit", "run"]).entries[0].labels == (1,)
    assert named(read_listing(folder / "x"), folder) == {"x/a.mp4": ["run"], "x/b.mp4": ["sit"]}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_numbers_and_other_columns(tmp_path: Path, form: str) -> None:
    if form == "csv":
        rows = {"a.mp4": "1,0.5", "b.mp4": "0,0.25"}
        folder = folder_of(tmp_path / "data", rows, "file_name,label,length")
    else:
        records = [
            {"file_name": "a.mp4", "label": 1, "length": 0.5},
            {"length": 0.25, "file_name": "b.mp4", "label": 0},
        ]
        folder = lines_of(tmp_path / "data", records)
    listing = read_listing(folder)
    assert listing.class_names is None
    assert [entry.labels for entry in listing.entries] == [(1,), (0,)]
    assert listing.columns["length"] == ["0.5", "0.25"]


def test_several_classes_a_video(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"file_name": "a.mp4", "label": ["run", "jump"]},
        {"file_name": "b.mp4", "label": ["sit"]},
        {"file_name": "c.mp4", "label": []},
        {"file_name": "d.mp4", "label": None},
    ]
    folder = lines_of(tmp_path / "lists", records)
    wanted = {"a.mp4": ["run", "jump"], "b.mp4": ["sit"], "c.mp4": [], "d.mp4": []}
    assert named(read_listing(folder, multi_label=None), folder) == wanted
    labels = {"a.mp4": '"run,jump"', "b.mp4": "sit"}
    folder = folder_of(tmp_path / "cells", labels, "file_name,labels")
    listing = read_listing(folder, multi_label=None)
    assert named(listing, folder) == {"a.mp4": ["run", "jump"], "b.mp4": ["sit"]}


def test_what_is_named_and_not_there_and_the_other_way_round(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "data", {f"{i}.mp4": "ab"[i % 2] for i in range(6)})
    (folder / "3.mp4").unlink()
    (folder / "more.mp4").write_text("one more")
    (folder / "notes.txt").write_text("a text")
    listing = read_listing(folder)
    assert len(listing.entries) == 6  # the one that is lacking is unreadable when its turn comes
    table, said = folder / "metadata.csv", "\n".join(listing.notes)
    assert f"{table}: 1 of its 6 videos is not there, such as {folder / '3.mp4'}" in said
    left = f"does not name 1 video of the folder, left aside, such as {folder / 'more.mp4'}"
    assert left in said
    assert "1 file is no video: .txt 1" in said
    listing = read_listing(folder, labelled=False)
    assert len(listing.entries) == 6  # what is there
    assert any("1 of its 6 videos is not there" in note for note in listing.notes)
    assert any("does not name 1 video of the folder, such as" in note for note in listing.notes)


def test_a_folder_without_sides_is_split(tmp_path: Path) -> None:
    rows = {f"{i}.mp4": f"{'run' if i % 2 else 'sit'},day {i // 4}" for i in range(40)}
    folder = folder_of(tmp_path / "data", rows, "file_name,label,day")
    split = split_folder(folder, seed=0)
    assert Counter(entry.labels for entry in split.valid) == {(0,): 4, (1,): 4}
    split = split_folder(folder, seed=0, group_by="day")
    days = [{int(e.path.stem) // 4 for e in side} for side in (split.train, split.valid)]
    assert not days[0] & days[1]


@pytest.mark.parametrize("above", [False, True])
def test_sides_are_taken_as_they_are(tmp_path: Path, above: bool) -> None:
    sides = {"train": 12, "validation": 4, "test": 4}
    labels = {
        f"{side}/{side}_{i}.mp4": "run" if i % 2 else "sit"
        for side, count in sides.items()
        for i in range(count)
    }
    folder = tmp_path / "data"
    if above:
        folder_of(folder, labels)
    else:
        for side in sides:
            own = {Path(name).name: v for name, v in labels.items() if name.startswith(side)}
            folder_of(folder / side, own)
    split = split_folder(folder, seed=0)
    assert split.class_names == ["run", "sit"]
    found = {side: len(entries) for side, entries in split.sides.items()}
    assert found == {"train": 12, "val": 4, "test": 4}
    assert all(
        ("run", "sit").index(labels[str(e.path.relative_to(folder))]) == (e.labels or ())[0]
        for entries in split.sides.values()
        for e in entries
    )
    assert any("split as the folders are" in note for note in split.notes)
    if not above:
        (folder / "train" / "train_0.mp4").unlink()
    notes = read_listing(folder, labelled=False).notes
    assert any("is not there, such as" in note for note in notes) != above
    if not above:
        with pytest.raises(VideozooError, match="are its sides and no classes; give one of them"):
            read_listing(folder)
        (folder / "validation" / "metadata.csv").write_text("file_name,label\nvalidation_0.mp4,9\n")
        with pytest.raises(VideozooError, match="has the label 9, but there are 2 classes"):
            split_folder(folder, seed=0)


def test_other_files_of_that_name_change_nothing(tmp_path: Path) -> None:
    folder = make_named(tmp_path / "data", {"cat": ["a.mp4"], "dog": ["b.mp4"]})
    table = folder / "metadata.csv"
    for data in (b"file_name,text\ncat/a.mp4,a cat\n", b"camera;day\n1;2\n", b"\xff\xfe\0"):
        table.write_bytes(data)
        assert read_listing(folder).class_names == ["cat", "dog"]
    table.unlink()
    (folder.parent / "metadata.csv").write_text("file_name,label\nother/x.mp4,run\n")
    assert read_listing(folder).class_names == ["cat", "dog"]


def test_bad_lines_are_named(tmp_path: Path) -> None:
    folder = lines_of(tmp_path / "data", [{"file_name": "a.mp4", "label": "run"}])
    lines = folder / "metadata.jsonl"
    lines.write_text(lines.read_text() + "\n[1]\n")
    with pytest.raises(VideozooError, match=r"metadata.jsonl: line 3: is no JSON object"):
        read_listing(folder)
    lines.write_text('{"file_name": "a.mp4", "label": "run"}\n\n{"file_name": "b.mp4"}\n')
    with pytest.raises(VideozooError, match=r"metadata.jsonl, line 3: has no label"):
        read_listing(folder)


def test_commands_read_it(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "world").mkdir()
    world: World = clip_world(tmp_path / "world")
    rows = [f"{file.name},{world.names[i % 3]}" for i, file in enumerate(world.files)]
    table = world.folder / "metadata.csv"
    table.write_text("\n".join(["file_name,label", *rows, "lost.mp4,run"]) + "\n")
    weights = ("--weights", world.weights)
    said = run("test", *weights, "--filelist", world.folder, code=2)
    assert "metadata.csv: 1 of its 6 videos is not there, such as" in said
    result = json.loads(Path("TSN_test_result.json").read_text())
    assert (result["listed"], result["evaluated"]) == (6, 5)
    assert [one["video"] for one in result["unreadable"]] == [str(world.folder / "lost.mp4")]
    assert "5 of 5 videos" in run("infer", *weights, world.folder)
    assert "5 of 5 samples can be used" in run("scan", world.folder)
    table.write_text("\n".join(["file_name,label", *rows]) + "\n")
    assert "now: videozoo train" in run("split", world.folder, "--out", "split")
    lines = Path("split/train.list").read_text() + Path("split/val.list").read_text()
    assert all(str(file) in lines for file in world.files)
