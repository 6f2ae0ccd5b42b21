"""What a training shows of its steps: the progress bar, lines, curves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from videozoo.data.batches import Batch
from videozoo.tasks.curves import Curves
from videozoo.tasks.state import Position
from videozoo.tasks.task import VideoTask


class StepReport(L.Callback):
    """The progress bar, or lines where there is no terminal; and the training curves.

    Args:
        epochs: of the whole training.
        steps: of an epoch.
        position: updated with every step.
        curves: None in processes other than the first.
        log_interval: steps between two lines and two points of the curves.
    """

    def __init__(
        self,
        *,
        epochs: int,
        steps: int,
        position: Position,
        curves: Curves | None,
        log_interval: int,
        console: Console,
    ) -> None:
        self.epochs, self.steps = epochs, steps
        self.position = position
        self.curves = curves
        self.log_interval = log_interval
        self.console = console
        self.waited = 0.0
        self.waited_in_all = self.worked_in_all = 0.0
        self._idle_since: float | None = None
        self._interval_start = time.perf_counter()
        self._interval_videos = 0
        self._bar: Progress | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begins the first interval: what came before was starting the processes."""
        self._interval_start = time.perf_counter()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begins a bar for the epoch."""
        self._idle_since = time.perf_counter()
        if self.curves is None or not self.console.is_terminal:
            return
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=self.console,
            transient=True,
        )
        epoch = f"{trainer.current_epoch + 1}/{self.epochs}"
        self._bar.add_task("", total=self.steps, completed=self.position.step, epoch=epoch, text="")
        self._bar.start()

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Counts the time since the last chunk as waiting for data."""
        now = time.perf_counter()
        if self._idle_since is not None:
            self.waited += now - self._idle_since

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Moves the position; reports each log_interval."""
        assert isinstance(pl_module, VideoTask)
        assert batch.chunk is not None
        position = self.position
        for unreadable in batch.unreadable:
            position.unreadable[unreadable.index] = (unreadable.video, unreadable.reason)
        self._idle_since = time.perf_counter()
        if not batch.chunk.last:
            return
        position.step += 1
        position.steps_done = pl_module.steps_done
        position.videos += pl_module.last_videos
        self._interval_videos += pl_module.last_videos
        if position.steps_done % self.log_interval == 0 or position.step == self.steps:
            self._report(trainer.current_epoch, pl_module)
        elif self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=position.step)

    def _report(self, epoch: int, task: VideoTask) -> None:
        now = time.perf_counter()
        seconds = now - self._interval_start
        speed = self._interval_videos / seconds
        waiting = self.waited / seconds
        self.waited_in_all += self.waited
        self.worked_in_all += seconds
        self._interval_start, self._interval_videos, self.waited = now, 0, 0.0
        if self.curves is None or task.last_videos == 0:  # of nothing there is no loss
            return
        step = self.position.steps_done
        values = {"loss": task.last_loss, "learning_rate": task.last_rate}
        self.curves.add(values, step=step, epoch=epoch, split="train")
        speeds = {"videos_per_second": speed, "waiting_for_data": waiting}
        self.curves.board.log_metrics(speeds, step=step)
        lost = len(self.position.unreadable)
        text = (
            f"loss {task.last_loss:.4f}  rate {task.last_rate:.3g}  {speed:.3g} videos/s"
            f"  waiting for data {waiting:.0%}" + (f"  unreadable {lost}" if lost else "")
        )
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self.position.step, text=text)
        else:
            self.console.print(
                f"epoch {epoch + 1}/{self.epochs}  step {self.position.step}/{self.steps}  {text}",
                highlight=False,
                soft_wrap=True,
            )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Ends the epoch's bar."""
        self._stop_bar()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Gives the terminal back."""
        self._stop_bar()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the block's time out of speeds and of the time spent waiting for data."""
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self._interval_start += seconds
        if self._idle_since is not None:
            self._idle_since += seconds

    def _stop_bar(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
