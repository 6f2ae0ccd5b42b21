from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from class_folders import make_named

from videozoo.errors import VideozooError
from videozoo.training.side_lists import read_list
from videozoo.training.split import split_folder


def write_csv(folder: Path, rows: list[str], header: str = "path,label,Recording") -> Path:
    make_named(folder, {"videos": [row.split(",")[0].removeprefix("videos/") for row in rows]})
    path = folder / "data.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_csv_is_split_by_class(tmp_path: Path) -> None:
    rows = [f"videos/{i}.mp4,{'run' if i % 2 else 'jump'}" for i in range(20)]
    split = split_folder(write_csv(tmp_path, rows, "path,label"), seed=0)
    assert split.class_names == ["jump", "run"]
    assert Counter(e.labels for e in split.valid) == {(0,): 2, (1,): 2}


def test_a_column_of_a_csv_groups(tmp_path: Path) -> None:
    rows = [f"videos/{i}.mp4,{'run' if i % 2 else 'jump'},day {i // 4}" for i in range(40)]
    path = write_csv(tmp_path, rows)
    split = split_folder(path, seed=0, group_by="recording")
    days = [{int(e.path.stem) // 4 for e in side} for side in (split.train, split.valid)]
    assert not days[0] & days[1]
    assert len(split.valid) == 8
    assert any("by --group-by recording: 10, of 40 videos" in note for note in split.notes)
    with pytest.raises(VideozooError, match=r"no such column.*did you mean 'recording'"):
        split_folder(path, seed=0, group_by="recordings")
    assert split_folder(path, seed=0, group_by=r"(\d)\.mp4").kept[split.train[0].path].group


def test_names_in_a_list_are_read_below_the_folders_of_its_classes(tmp_path: Path) -> None:
    make_named(tmp_path / "videos", {"cat": ["a_1.mp4"], "dog": ["deep/b_1.mp4"]})
    path = tmp_path / "data.csv"
    path.write_text("path,label\nvideos/cat/a_1.mp4,cat\nvideos/dog/deep/b_1.mp4,dog\n")
    assert read_list(path).below == ["a_1.mp4", "deep/b_1.mp4"]


def test_cells_of_several_classes(tmp_path: Path) -> None:
    cells = ['"run,jump"', "run", "jump", '"jump, sit"'] * 5
    path = write_csv(tmp_path, [f"videos/{i}.mp4,{cell}" for i, cell in enumerate(cells)],
                     "path,label")  # fmt: skip
    split = split_folder(path, seed=0)
    assert split.class_names == ["jump", "run", "sit"]
    labels = Counter(label for entry in split.valid for label in entry.labels or ())
    assert set(labels) == {0, 1, 2}
    assert len(split.train) + len(split.valid) == 20


def test_a_comma_may_belong_to_a_name(tmp_path: Path) -> None:
    cells = ['"putting x, y and z on a table"', "running"] * 5
    rows = [f"videos/{i}.mp4,{cell}" for i, cell in enumerate(cells)]
    split = split_folder(write_csv(tmp_path, rows, "path,label"), seed=0)
    assert split.class_names == ["putting x, y and z on a table", "running"]


def test_numbers_are_names_where_a_list_has_no_other(tmp_path: Path) -> None:
    make_named(tmp_path, {"videos": [f"{i}.mp4" for i in range(10)]})
    path = tmp_path / "some.list"
    path.write_text("".join(f"videos/{i}.mp4 {i % 2}\n" for i in range(10)))
    assert split_folder(path, seed=0).class_names == ["0", "1"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["videos/1.mp4,cat", "videos/2.mp4,cat"], "two classes at the least; found only cat"),
        (["videos/1.mp4,cat", "videos/2.mp4,"], "line 3: has no label"),
    ],
)
def test_lists_that_cannot_be_split(rows: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match=message):
        split_folder(write_csv(tmp_path, rows, "path,label"), seed=0)
