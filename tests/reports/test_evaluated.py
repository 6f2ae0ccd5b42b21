"""The table of what a test gave each video."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pyarrow.parquet
import pytest

from videozoo.answers import Evaluated, evaluated_of
from videozoo.errors import VideozooError
from videozoo.reports import evaluated
from videozoo.reports.evaluated import COLUMNS, check_form, write_evaluated

NAMES = ["=1+1", "tall, wide", "run"]
ROWS = [
    Evaluated("-a.mp4", [0], [1], 0.75, 2, 0.625),
    Evaluated("b\udce9.mp4", [0, 2], [], 0.125, 1, 0.0),
    Evaluated("c.mp4", [], [2, 1], 1.0, None, None),
]
CELLS = [
    ("-a.mp4", "=1+1", "tall, wide", 0.75, "run", 0.625),
    (r"b\xe9.mp4", "=1+1; run", "none of these", 0.125, "tall, wide", 0.0),
    ("c.mp4", "", "run; tall, wide", 1.0, None, None),
]


def test_the_csv_has_a_row_a_video_and_no_formulas(tmp_path: Path) -> None:
    write_evaluated(tmp_path / "t.csv", iter(ROWS), NAMES.__getitem__)
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert tuple(header) == COLUMNS == ("video", "true", "predicted", "score", "second", "margin")
    assert rows[0] == ["'-a.mp4", "'=1+1", "tall, wide", "0.75", "run", "0.625"]
    assert rows[1] == [str(cell) if i != 1 else "'=1+1; run" for i, cell in enumerate(CELLS[1])]
    assert rows[2] == ["c.mp4", "", "run; tall, wide", "1.0", "", ""]


def test_parquet_has_typed_columns_and_writes_group_by_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluated, "_GROUP", 2)
    write_evaluated(tmp_path / "t.parquet", iter(ROWS), NAMES.__getitem__)
    found = pyarrow.parquet.ParquetFile(tmp_path / "t.parquet")
    types = {field.name: str(field.type) for field in found.schema_arrow}
    assert types == {
        c: "double" if c in ("score", "margin") else "string" for c in COLUMNS
    }  # fmt: skip
    assert [tuple(row.values()) for row in found.read().to_pylist()] == CELLS
    assert found.num_row_groups == 2


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_that_cannot_be_made_leaves_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(IndexError):
        write_evaluated(
            tmp_path / name, iter([*ROWS, Evaluated("d", [9], [0], 0, 1, 0)]), NAMES.__getitem__
        )
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_for_parquet_is_said_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_form("csv")
    check_form("parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(VideozooError, match=r"pip install 'videozoo\[parquet\]' installs it"):
        check_form("parquet")
    with pytest.raises(
        VideozooError, match="form 'xls': predictions are written as csv or parquet"
    ):
        check_form("xls")


@pytest.mark.parametrize("one", ROWS)
def test_a_line_of_a_part_gives_a_video_back(one: Evaluated) -> None:
    assert evaluated_of(one.as_json(7)) == (7, one)
