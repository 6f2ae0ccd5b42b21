"""The curves of a training: what the loss, the rate and the scores were, step by step."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger

CURVE_COLUMNS = ("step", "epoch", "split", "metric", "value")


class Curves:
    """Curves as a csv (step, epoch, split, metric, value) and for TensorBoard.

    Only values that a resumed run repeats exactly go into the csv: no times.

    Args:
        path: of the csv.
        board: the TensorBoard logger.
        after_step: rows behind this step are removed: the resumed run writes them again.
        within_epoch: the run goes on within an epoch, so a validation at `after_step` comes again.
    """

    def __init__(
        self, path: Path, board: TensorBoardLogger, *, after_step: int, within_epoch: bool = False
    ) -> None:
        self.path = path
        self.board = board
        rows: list[list[str]] = []
        if after_step and path.is_file():
            with path.open(newline="") as file:
                rows = [
                    row
                    for row in list(csv.reader(file))[1:]
                    if len(row) == len(CURVE_COLUMNS)  # a kill may cut the last row off
                    and (
                        int(row[0]) < after_step
                        or (int(row[0]) == after_step and not (within_epoch and row[2] == "valid"))
                    )
                ]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        with temporary.open("w", newline="") as file:
            csv.writer(file).writerows([list(CURVE_COLUMNS), *rows])
        os.replace(temporary, path)

    def add(self, values: dict[str, float], *, step: int, epoch: int, split: str) -> None:
        """Adds one row a value."""
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            for name, value in values.items():
                writer.writerow([step, epoch + 1, split, name, repr(value)])
        self.board.log_metrics({f"{split}/{name}": v for name, v in values.items()}, step=step)
