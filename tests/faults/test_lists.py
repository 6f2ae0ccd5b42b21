"""Lists and label files as people have them: numbers, names, several classes, or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.commands import Command
from tiny import World
from videos import write_video
from videozoo.data.clips.clip_list import read_listing
from videozoo.data.clips.dataset import ClipDataset
from videozoo.data.labels import read_label_file
from videozoo.data.youtube8m.dataset import YouTube8MDataset
from videozoo.errors import VideozooError
from videozoo.training.split import split_folder, write_split

NAMES = ["abseiling", "archery", "bowling"]


def csv_of(folder: Path, *cells: str, header: str = "path,label") -> Path:
    for i in range(len(cells)):
        (folder / f"{i}.mp4").write_text(str(i))
    path = folder / "data.csv"
    path.write_text("\n".join([header, *(f"{i}.mp4,{cell}" for i, cell in enumerate(cells))]))
    return path


def test_labels_that_pandas_made_floats(inputs: Path) -> None:
    listing = read_listing(inputs / "lists" / "float_labels12.csv")
    assert [entry.labels for entry in listing.entries] == [(i,) for i in range(12)]
    assert listing.class_names is None
    many = read_listing(inputs / "lists" / "float_labels12.csv", multi_label=True)
    assert [entry.labels for entry in many.entries] == [(i,) for i in range(12)]


def test_float_labels_in_plain_lists_and_with_names(tmp_path: Path) -> None:
    csv_of(tmp_path, "0.0", "2.0")
    path = tmp_path / "my.list"
    path.write_text("0.mp4 0.0\r\n1.mp4 2.0\r\n\r\n")
    assert [e.labels for e in read_listing(path).entries] == [(0,), (2,)]
    names = ["a", "b", "c"]
    assert [e.labels for e in read_listing(path, class_names=names).entries] == [(0,), (2,)]
    path.write_text("0.mp4 0.5\n")
    with pytest.raises(VideozooError, match=r"the label '0\.5' is not a number, and no names"):
        read_listing(path)
    path.write_text(f"0.mp4 {'9' * 5000}\n")
    with pytest.raises(VideozooError, match=r"line 1: the label '9{80}' is not a number"):
        read_listing(path)


def test_kinetics_table_with_times_that_pandas_made_floats(inputs: Path) -> None:
    folder = inputs / "misc" / "kin"
    (entry,) = read_listing(inputs / "misc/kinetics_float_times.csv", video_folder=folder).entries
    assert entry.path.is_file()


@pytest.mark.parametrize("name", ["id_name.csv", "names.json"])
def test_label_files_as_people_have_them(name: str, inputs: Path) -> None:
    assert read_label_file(str(inputs / "lists" / name)) == NAMES


@pytest.mark.parametrize(
    ("file", "text"),
    [("a.csv", "Index,Name\n0,abseiling\n1,archery\n2,bowling\n"),
     ("a.csv", "name,id\nbowling,2\nabseiling,0\narchery,1\n"),
     ("a.csv", "\ufeffid,name\r\n0.0,abseiling\r\n1.0,archery\r\n2.0,bowling\r\n\r\n\r\n"),
     ("a.csv", "class,label_id,count\narchery,1,7\nabseiling,0,8\nbowling,2,9\n"),
     ("a.csv", "0,abseiling\n1,archery\n2,bowling\n"),
     ("a.csv", "name\nabseiling\narchery\nbowling\n"),
     ("a.tsv", "id\tname\n0\tabseiling\n1\tarchery\n2\tbowling\n"),
     ("a.txt", "id,name\n0,abseiling\n1,archery\n2,bowling\n"),
     ("a.txt", "\n \nid,name\n0,abseiling\n1,archery\n2,bowling\n"),
     ("a.csv", "\n\nname\nabseiling\narchery\nbowling\n"),
     ("a.txt", "\ufeffabseiling\r\narchery\r\nbowling\r\n\r\n"),
     ("a.txt", '"abseiling"\n"archery"\n"bowling"\n'),
     ("a.json", '["abseiling", "archery", "bowling"]'),
     ("a.json", '["\\"abseiling\\"", "archery", "bowling"]'),
     ("a.json", '{"0": "abseiling", "2": "\\"bowling\\"", "1": "archery"}'),
     ("a.json", '{"abseiling": 0, "bowling": 2.0, "archery": "1"}')],
)  # fmt: skip
def test_label_files(file: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_text(text, encoding="utf-8", newline="")
    assert read_label_file(str(path)) == NAMES


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [("a.txt", "a\nb\nb\n", "names 'b' twice"), ("a.json", '["a", "b", "a"]', "names 'a' twice"),
     ("a.csv", "id,name\n0,a\n1,a\n", "names 'a' twice"),
     ("a.csv", "x,y\n0,a\n", "has the columns x, y"), ("a.txt", ",,\n,,\n", "names ',,' twice"),
     ("a.csv", "id,name\n1,a\n2,b\n", "not 0 to 1 but 1 to 2; count from 0"),
     ("a.json", "[" * 100_000, "nested too deep"),
     ("a.json", '{"a": ' + "9" * 5000 + "}", "is no JSON"),
     ("a.json", '{"a": "²"}', "'a' has no number of its own"), ("a.json", "3", "is neither a list"),
     ("a.csv", "id,name\n0," + "a" * 200_000 + "\n", "line 2: field larger than field limit")],
)  # fmt: skip
def test_label_files_that_cannot_be_meant(
    file: str, text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / file
    path.write_text(text)
    with pytest.raises(VideozooError, match=message):
        read_label_file(str(path))


def test_a_doubled_name_is_refused(inputs: Path) -> None:
    with pytest.raises(VideozooError, match="names 'archery' twice"):
        read_label_file(str(inputs / "lists" / "labels_doubled.txt"))


def test_youtube_8ms_own_table_tells_entities_of_one_name_apart(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.csv"
    path.write_text("Index,KnowledgeGraphId,Name\n0,/m/1,Game\n1,/m/2,Car\n2,/m/3,Game\n")
    assert read_label_file(str(path)) == ["Game (/m/1)", "Car", "Game (/m/3)"]


def test_a_clip_may_have_none_of_many_classes(inputs: Path, tmp_path: Path) -> None:
    videos = inputs / "lists" / "v"
    path = tmp_path / "m.csv"
    path.write_text(
        f'path,label\n{videos}/abseiling_0.mp4,"0,1"\n{videos}/archery_0.mp4,\n'
        f"{videos}/bowling_0.mp4,2\n"
    )
    labels = [entry.labels for entry in read_listing(path, multi_label=True).entries]
    assert labels == [(0, 1), (), (2,)]
    assert [e.labels for e in read_listing(path, multi_label=None).entries] == labels
    with pytest.raises(VideozooError, match="line 3: has no label"):
        read_listing(path)


def test_no_class_is_a_row_of_zeros(tmp_path: Path) -> None:
    for i in range(2):
        write_video(tmp_path / f"{i}.mp4", 4 + i)
    (tmp_path / "m.csv").write_text('path,label\n0.mp4,"0,1"\n1.mp4,\n')
    entries = read_listing(tmp_path / "m.csv", multi_label=True).entries
    dataset = ClipDataset(
        entries, num_classes=3, seg_num=1, seglen=1, short_size=36, target_size=32, multi_label=True
    )
    batch = dataset.collate([dataset.read(0), dataset.read(1)])
    assert batch.labels.tolist() == [[True, True, False], [False, False, False]]
    assert batch.labelled.tolist() == [True, True]
    assert [dataset.classes(i) for i in range(2)] == [(0, 1), ()]


@pytest.mark.slow
def test_no_class_is_a_row_of_zeros_that_teaches_and_tests(
    command: Command, tmp_path: Path
) -> None:
    for i in range(3):
        write_video(tmp_path / f"{i}.mp4", 4 + i)
    Path("m.csv").write_text('path,label\n0.mp4,"0,1"\n1.mp4,\n2.mp4,2\n')
    sizes = {"num_classes": 3, "num_layers": 18, "seg_num": 1, "short_size": 36, "target_size": 32,
             "multi_label": True, "format": '"mp4"', "num_workers": 0, "batch_size": 3}  # fmt: skip
    keys = [f"--set=MODEL.{key}={value}" for key, value in sizes.items()]
    lists = [f"--set={mode}.filelist=m.csv" for mode in ("TRAIN", "VALID")]
    done = command(
        "train", "--model-name", "TSN", *keys, *lists, "--pretrain", "none", "--epoch-num", 1,
        "--use-gpu", "false",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "trained on 3 videos" in done.out
    done = command("test", "--weights", "checkpoints/TSN_last.safetensors", "--filelist", "m.csv")
    assert "3 of 3 videos evaluated" in done.out
    assert "name no class" not in done.out


def test_a_split_keeps_videos_of_no_class(tmp_path: Path) -> None:
    path = csv_of(tmp_path, *['"a,b"', "a", "b", ""] * 5)
    split = split_folder(path, seed=0)
    assert split.class_names == ["a", "b"]
    assert any("5 videos of none of the classes" in note for note in split.notes)
    write_split(split, tmp_path / "lists")
    again = split_folder(tmp_path / "lists", seed=0)
    for side, entries in split.sides.items():
        assert [e.labels for e in again.sides[side]] == [e.labels for e in entries]
        assert [e.path.name for e in again.sides[side]] == [e.path.name for e in entries]
    assert any(entry.labels == () for entry in again.train)


@pytest.mark.parametrize(
    ("cells", "classes"),
    [(['"dog,outdoor"', "dog"], ["dog", "outdoor"]),
     (['"dog, outdoor"', "outdoor"], ["dog", "outdoor"]),
     (['"put x, y and z"', "run"], ["put x, y and z", "run"])],
)  # fmt: skip
def test_several_classes_become_records_of_several(
    cells: list[str], classes: list[str], command: Command, clip_data: World, tmp_path: Path
) -> None:
    path = csv_of(tmp_path, *cells)
    for i in range(2):
        write_video(tmp_path / f"{i}.mp4", 4 + i)
    done = command("prepare", "features", "f", path, "--weights", clip_data.weights, "--no-gpu")
    assert done.code == 0, done.err
    assert Path("f/labels.txt").read_text().splitlines() == classes
    shards = [Path(line) for line in Path("f/data.list").read_text().splitlines()]
    dataset = YouTube8MDataset(
        shards, feature_names=["rgb"], feature_dims=[512], num_classes=len(classes)
    )
    first = dataset.read(0).labels
    assert first is not None
    assert len(first) == 1 + ("outdoor" in classes)


def test_commas_that_a_config_takes_for_names_are_warned_of(tmp_path: Path) -> None:
    path = csv_of(tmp_path, '"dog,outdoor"', "dog")
    (note,) = read_listing(path).notes
    assert note.endswith("where videos have several, set MODEL.multi_label=True")
    assert read_listing(path, multi_label=True).notes == []
    assert read_listing(csv_of(tmp_path, '"put x, y"', "run")).notes == []


def test_a_prepared_csv_keeps_its_several_classes(command: Command, tmp_path: Path) -> None:
    path = csv_of(tmp_path, '"dog,outdoor"', "")
    for i in range(2):
        write_video(tmp_path / f"{i}.mp4", 4 + i)
    assert command("prepare", "clips", path, "out", "--workers", 1).code == 0
    listing = read_listing(Path("out/data.csv"), multi_label=True)
    assert [entry.labels for entry in listing.entries] == [(0, 1), ()]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [("a.tsv", "path\tlabel\n0.mp4\tcat\n", "are separated by tabs; separate them by commas"),
     ("a.csv", "path;label\n0.mp4;cat\n", "are separated by semicolons; separate them"),
     ("a.csv", "0.mp4,cat\n", "its first line must name the columns: path,label"),
     ("a.csv", "path,label\n" + "a" * 200_000 + ",x\n", "line 2: field larger than field limit")],
)  # fmt: skip
def test_tables_of_other_kinds(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(VideozooError, match=message):
        read_listing(tmp_path / name)


def test_byte_order_marks_line_ends_and_blank_lines(tmp_path: Path) -> None:
    csv_of(tmp_path, "a", "b")
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xef\xbb\xbfpath,label\r\n0.mp4,a\r\n1.mp4,b\r\n\r\n,\r\n")
    assert read_listing(path).class_names == ["a", "b"]
    path = tmp_path / "x.list"
    path.write_bytes(b"\xef\xbb\xbf0.mp4 0\r\n1.mp4 1\r\n\r\n  \r\n")
    assert [e.labels for e in read_listing(path).entries] == [(0,), (1,)]
    path.write_text('"0.mp4" 1\n  "1.mp4"   0\n')
    assert [e.labels for e in read_listing(path).entries] == [(1,), (0,)]


def test_labels_in_quotes_and_with_line_breaks(tmp_path: Path) -> None:
    path = csv_of(tmp_path, '"""cat"""', '"x\ny"', "cat")
    listing = read_listing(path)
    assert listing.class_names == ["cat", r"x\ny"]
    assert [e.labels for e in listing.entries] == [(0,), (1,), (0,)]
    (tmp_path / "names.json").write_text(json.dumps(["cat", "x\ny"]))
    assert read_label_file(str(tmp_path / "names.json")) == ["cat", r"x\ny"]
