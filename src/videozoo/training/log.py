"""What a training shows of itself: the progress bar or lines, and the curves."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from videozoo.distributed import is_first_process
from videozoo.errors import VideozooError
from videozoo.evaluate import Evaluation
from videozoo.files import append_csv, write_csv
from videozoo.forecast import METER, Forecast, timed
from videozoo.text import counted
from videozoo.training.state import Position
from videozoo.training.step import StepResult

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

CURVE_COLUMNS = ("step", "epoch", "split", "metric", "value")
Item = TypeVar("Item")


class Curves:
    """The curves of a training, as a csv (step, epoch, split, metric, value) and for TensorBoard.

    Only values that a resumed run repeats exactly go into the csv: no times.

    Args:
        path: of the csv.
        board: folder of TensorBoard's files.
        after_step: rows behind this step are removed: the resumed run writes them again.
        within_epoch: the run goes on within an epoch, so a validation at `after_step` comes again.
    """

    def __init__(
        self, path: Path, board: Path, *, after_step: int, within_epoch: bool = False
    ) -> None:
        self.path = path
        self._board_folder = board
        self._board: SummaryWriter | None = None
        # The file is begun with the first value: a run that fails before leaves it as it was.
        self._begin: list[list[str]] | None = []
        if after_step and path.is_file():
            last = (after_step, "train" if within_epoch else "valid")
            self._begin += [row for row in _rows_of(path) if (int(row[0]), row[2]) <= last]

    def add(self, values: dict[str, float], *, step: int, epoch: int, split: str) -> None:
        """Adds one row a value."""
        if self._begin is not None:
            write_csv(self.path, CURVE_COLUMNS, self._begin)
            self._begin = None
        rows = [[step, epoch + 1, split, name, repr(value)] for name, value in values.items()]
        append_csv(self.path, rows)
        self.show({f"{split}/{name}": value for name, value in values.items()}, step=step)

    def show(self, values: dict[str, float], *, step: int) -> None:
        """Sends values to TensorBoard alone."""
        with self._writing_board():
            if self._board is None:
                from torch.utils.tensorboard import SummaryWriter

                self._board = SummaryWriter(self._board_folder)
            for name, value in values.items():
                self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Writes what TensorBoard still has in memory."""
        if self._board is not None:
            with self._writing_board():
                self._board.close()

    @contextmanager
    def _writing_board(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise VideozooError(f"{self._board_folder}: cannot be written: {reason}") from None


def _rows_of(path: Path) -> Iterator[list[str]]:
    """Yields the rows of a csv of curves; a kill or a bad disk may have left some that are none."""
    with path.open(newline="", encoding="utf-8", errors="replace") as file, suppress(csv.Error):
        for row in csv.reader(line.replace("\0", "") for line in file):
            if len(row) == len(CURVE_COLUMNS) and re.fullmatch("[0-9]{1,18}", row[0]):
                yield row


class TrainingLog:
    """The progress bar, or lines where there is no terminal; and the curves.

    Args:
        epochs: of the whole training.
        steps: of an epoch.
        curves: None in processes other than the first.
        log_interval: steps between two lines and two points of the curves.
        console: where to print.
    """

    def __init__(
        self,
        *,
        epochs: int,
        steps: int,
        curves: Curves | None,
        log_interval: int,
        console: Console,
    ) -> None:
        self.epochs, self.steps = epochs, steps
        self.curves = curves
        self.log_interval = log_interval
        self.console = console
        self.waited_in_all = self.worked_in_all = 0.0
        self._waited = 0.0
        self._interval_start = time.perf_counter()
        self._interval_videos = 0
        self._bar: Progress | None = None
        self._foretell = Forecast(self.say, unit="steps")

    @property
    def share_waiting(self) -> float:
        """The share of the time that was spent waiting for data."""
        return self.waited_in_all / self.worked_in_all if self.worked_in_all else 0.0

    def say(self, message: str) -> None:
        """Prints a line, in the first process only."""
        if is_first_process():
            self.console.print(message, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def epoch(self, epoch: int, *, done: int) -> Iterator[None]:
        """Shows an epoch's bar within the block.

        Args:
            epoch: from 0.
            done: its steps that are done.
        """
        if self.curves is not None and self.console.is_terminal:
            self._bar = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[text]}"),
                console=self.console,
                transient=True,
            )
            name = f"{epoch + 1}/{self.epochs}"
            self._bar.add_task("", total=self.steps, completed=done, epoch=name, text="")
            self._bar.start()
        try:
            yield
        finally:
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def waiting(self, batches: Iterable[Item]) -> Iterator[Item]:
        """Yields the batches; counts the time until each is there as waiting for data."""
        return timed(batches, self._wait)

    def _wait(self, seconds: float) -> None:
        self._waited += seconds
        METER.waited += seconds

    def step(self, position: Position, result: StepResult) -> None:
        """Shows a step that is done; with each log_interval, the loss and the speed."""
        self._interval_videos += result.videos
        if is_first_process():
            self._foretell(position.steps_done, self.epochs * self.steps)
        if position.steps_done % self.log_interval == 0 or position.step == self.steps:
            self._report(position, result)
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=position.step)

    def _report(self, position: Position, result: StepResult) -> None:
        now = time.perf_counter()
        seconds = now - self._interval_start
        speed, waiting = self._interval_videos / seconds, self._waited / seconds
        self.waited_in_all += self._waited
        self.worked_in_all += seconds
        self._interval_start, self._interval_videos, self._waited = now, 0, 0.0
        if self.curves is None or result.videos == 0:  # of nothing there is no loss
            return
        step = position.steps_done
        values = {"loss": result.loss, "learning_rate": result.rate}
        self.curves.add(values, step=step, epoch=position.epoch, split="train")
        speeds = {"videos_per_second": speed, "waiting_for_data": waiting}
        self.curves.show(speeds, step=step)
        text = (
            f"loss {result.loss:.4f}  rate {result.rate:.3g}  {speed:.3g} videos/s"
            f"  waiting for data {waiting:.0%}"
            f"{lost_videos(len(position.unreadable), len(position.damaged))}"
        )
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=position.step, text=text)
        else:
            self.say(
                f"epoch {position.epoch + 1}/{self.epochs}  step {position.step}/{self.steps}"
                f"  {text}"
            )

    def validation(self, position: Position, evaluation: Evaluation) -> None:
        """Shows what a validation found."""
        epoch, metrics = position.epoch, evaluation.metrics
        if self.curves is not None:
            self.curves.add(metrics, step=position.steps_done, epoch=epoch, split="valid")
        values = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        self.say(
            f"epoch {epoch + 1}/{self.epochs}  validation on"
            f" {counted(evaluation.evaluated, 'video')}: {values}"
            f"{lost_videos(len(evaluation.unreadable), len(evaluation.damaged))}"
        )

    def start(self) -> None:
        """Begins the first interval: what came before was starting."""
        self._interval_start = time.perf_counter()

    @contextmanager
    def closing(self) -> Iterator[None]:
        """Writes behind the block what curves still have in memory."""
        try:
            yield
        except BaseException:
            if self.curves is not None:
                with suppress(VideozooError):  # what ends training is told
                    self.curves.close()
            raise
        if self.curves is not None:
            self.curves.close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the block's time out of speeds and of the time spent waiting for data."""
        start = time.perf_counter()
        yield
        self._interval_start += time.perf_counter() - start


def lost_videos(unreadable: int, damaged: int) -> str:
    """Returns what a line of progress says of videos that could not be read, or in part."""
    counts = {"unreadable": unreadable, "damaged": damaged}
    return "".join(f"  {name} {count}" for name, count in counts.items() if count)
