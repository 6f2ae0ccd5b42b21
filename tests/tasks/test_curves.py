from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from videozoo.tasks.curves import CURVE_COLUMNS, Curves


class Board:
    """Stands for TensorBoard."""

    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, float], int]] = []

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        self.logged.append((values, step))


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def curves_csv(tmp_path: Path) -> Path:
    """Curves of two epochs of two steps."""
    board: Any = Board()
    curves = Curves(tmp_path / "new" / "x.csv", board, after_step=0)
    for epoch in range(2):
        for step in (2 * epoch + 1, 2 * epoch + 2):
            curves.add({"loss": 1 / step}, step=step, epoch=epoch, split="train")
        curves.add({"gap": 0.5}, step=2 * epoch + 2, epoch=epoch, split="valid")
    assert board.logged[0] == ({"train/loss": 1.0}, 1)
    return curves.path


def test_a_row_for_each_value(curves_csv: Path) -> None:
    assert rows(curves_csv) == [
        list(CURVE_COLUMNS),
        ["1", "1", "train", "loss", "1.0"],
        ["2", "1", "train", "loss", "0.5"],
        ["2", "1", "valid", "gap", "0.5"],
        ["3", "2", "train", "loss", repr(1 / 3)],
        ["4", "2", "train", "loss", "0.25"],
        ["4", "2", "valid", "gap", "0.5"],
    ]


@pytest.mark.parametrize(
    ("after_step", "within_epoch", "kept"),
    [(0, False, 0), (1, True, 1), (2, False, 3), (2, True, 2), (3, True, 4), (4, False, 6)],
)
def test_a_resumed_training_drops_what_it_writes_again(
    curves_csv: Path, after_step: int, within_epoch: bool, kept: int
) -> None:
    before = rows(curves_csv)
    board: Any = Board()
    curves = Curves(curves_csv, board, after_step=after_step, within_epoch=within_epoch)
    assert rows(curves_csv) == before, "a run that fails before its first value changes nothing"
    curves.add({"loss": 9.0}, step=5, epoch=2, split="train")
    assert rows(curves_csv) == [*before[: kept + 1], ["5", "3", "train", "loss", "9.0"]]
