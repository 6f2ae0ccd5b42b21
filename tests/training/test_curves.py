from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from videozoo.training.log import CURVE_COLUMNS, Curves


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def curves_csv(tmp_path: Path) -> Path:
    """Curves of two epochs of two steps."""
    curves = Curves(tmp_path / "new" / "x.csv", tmp_path / "board", after_step=0)
    for epoch in range(2):
        for step in (2 * epoch + 1, 2 * epoch + 2):
            curves.add({"loss": 1 / step}, step=step, epoch=epoch, split="train")
        curves.add({"gap": 0.5}, step=2 * epoch + 2, epoch=epoch, split="valid")
    curves.close()
    return curves.path


def test_the_board_has_them_too(curves_csv: Path) -> None:
    board = EventAccumulator(str(curves_csv.parents[1] / "board"))
    board.Reload()
    found = [(event.step, event.value) for event in board.Scalars("train/loss")]
    assert found == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3)), (4, 0.25)]
    assert [event.step for event in board.Scalars("valid/gap")] == [2, 4]


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
    board = curves_csv.parents[1] / "again"
    curves = Curves(curves_csv, board, after_step=after_step, within_epoch=within_epoch)
    assert rows(curves_csv) == before, "a run that fails before its first value changes nothing"
    curves.add({"loss": 9.0}, step=5, epoch=2, split="train")
    curves.close()
    assert rows(curves_csv) == [*before[: kept + 1], ["5", "3", "train", "loss", "9.0"]]
