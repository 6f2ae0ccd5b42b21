"""The curves of a training: what the loss, the rate and the scores were, step by step."""

from __future__ import annotations

import csv
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger

from videozoo.files import replacing

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
        # The file is begun with the first value: a run that fails before leaves it as it was.
        self._begin: list[list[str]] | None = [list(CURVE_COLUMNS)]
        if after_step and path.is_file():
            with path.open(newline="") as file:
                self._begin += [
                    row
                    for row in list(csv.reader(file))[1:]
                    if len(row) == len(CURVE_COLUMNS)  # a kill may cut the last row off
                    and (
                        int(row[0]) < after_step
                        or (int(row[0]) == after_step and not (within_epoch and row[2] == "valid"))
                    )
                ]

    def add(self, values: dict[str, float], *, step: int, epoch: int, split: str) -> None:
        """Adds one row a value."""
        if self._begin is not None:
            self._begin_file(self._begin)
            self._begin = None
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            for name, value in values.items():
                writer.writerow([step, epoch + 1, split, name, repr(value)])
        self.board.log_metrics({f"{split}/{name}": v for name, v in values.items()}, step=step)

    def _begin_file(self, rows: list[list[str]]) -> None:
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
