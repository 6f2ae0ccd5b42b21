"""A training run: the tasks, the data and the callbacks joined by Lightning's Trainer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from videozoo.config.keys import Settings
from videozoo.errors import VideozooError
from videozoo.predict.evaluate import Evaluation, evaluate, monitored
from videozoo.predict.inputs import Classifier
from videozoo.predict.weights import native_checkpoint
from videozoo.processes import is_first_process
from videozoo.tasks.balance import ListedClasses, listed_classes
from videozoo.tasks.callbacks import EpochEnd, Restore, SaveWithin, stopped_early
from videozoo.tasks.clips import ClipTask
from videozoo.tasks.curves import Curves
from videozoo.tasks.features import AttentionClusterTask, AttentionLSTMTask, NeXtVLADTask
from videozoo.tasks.plan import (
    Run,
    TrainData,
    Trained,
    changes_since,
    chunk_size,
    fingerprint,
    not_applied,
    schedule_videos,
)
from videozoo.tasks.progress import StepReport
from videozoo.tasks.recipe import Recipe, check_recipe, make_recipe
from videozoo.tasks.state import Position, TrainingState, save_training, state_path
from videozoo.tasks.task import VideoTask
from videozoo.tasks.trainer import quiet_lightning, run_trainer

TASKS: dict[str, Any] = {
    "AttentionCluster": AttentionClusterTask,
    "AttentionLSTM": AttentionLSTMTask,
    "NEXTVLAD": NeXtVLADTask,
    "STNET": ClipTask,
    "TSN": ClipTask,
}


class Fit:
    """Runs a training; `Fit(run).go()`."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.settings = run.experiment["TRAIN"]
        self.console = run.console or Console()
        self.position = run.resume.position if run.resume else Position()
        self.evaluation: Evaluation | None = None
        videos, warning = schedule_videos(self.settings, len(run.train))
        self.task: VideoTask = TASKS[run.experiment.model](
            classifier=run.classifier, settings=self.settings, videos=videos
        )
        self.task.say = self.say
        self.task.steps_done = self.position.steps_done
        self.listed = self._listed_classes()
        self.task.recipe = self._recipe()
        if warning:
            self.say(f"warning: {warning}")
        for sentence in not_applied(run.experiment):
            self.say(sentence)
        self.trainer: L.Trainer | None = None
        self.curves: Curves | None = None

    def _listed_classes(self) -> ListedClasses | None:
        """Returns the classes of the training list, where something is to be balanced."""
        if "balanced" not in (self.settings.sampler, self.settings.class_weights):
            return None
        if self.settings.family == "features":  # a list of clips names them, records hold them
            self.say(f"reading the classes of {len(self.run.train)} videos, to balance them")
        listed = listed_classes(self.run.train)
        self.position.unreadable |= listed.unreadable
        return listed

    def _recipe(self) -> Recipe:
        run, settings = self.run, self.settings
        steps = settings.epoch * -(-len(run.train) // settings.batch_size)
        at_once = chunk_size(settings, processes=run.devices * run.nodes)
        validates = run.valid is not None
        check_recipe(run.experiment, validates=validates, at_once=at_once, steps=steps)
        return make_recipe(
            settings,
            multi_label=run.classifier.multi_label,
            steps=steps,
            listed=self.listed,
            teachers=run.teachers,
        )

    def say(self, message: str) -> None:
        """Prints a line, in the first process only."""
        if is_first_process():
            self.console.print(message, highlight=False, markup=False, soft_wrap=True)

    def go(self) -> Trained:
        """Trains to the last epoch.

        Raises:
            VideozooError: the resumed run does not fit, or training diverged.
        """
        run, settings = self.run, self.settings
        mine = fingerprint(settings, run.train, processes=run.devices * run.nodes)
        if run.resume is not None:
            self._check_resume(mine)
        self.position.fingerprint = mine
        run.save_dir.mkdir(parents=True, exist_ok=True)
        self._say_what_it_writes_over()
        if self.position.epoch >= settings.epoch:
            self.say(f"all {settings.epoch} epochs are done; give --epoch-num to train longer")
            return self._trained(None, 0.0)
        if stopped_early(self.position, settings.early_stopping):
            self.say("this training has ended early; with a larger early_stopping it would go on")
            return self._trained(None, 0.0)
        quiet_lightning()
        board = TensorBoardLogger(run.save_dir, name="curves", version=run.experiment.model)
        if is_first_process():
            self.curves = Curves(
                run.save_dir / f"{run.experiment.model}_curves.csv",
                board,
                after_step=self.position.steps_done,
                within_epoch=self.position.step > 0,
            )
        meter = StepReport(
            epochs=settings.epoch,
            steps=-(-len(run.train) // settings.batch_size),
            position=self.position,
            curves=self.curves,
            log_interval=run.log_interval,
            console=self.console,
        )
        trainer = self._trainer(board, meter)
        self.trainer = trainer
        done: Any = trainer.fit_loop.epoch_progress.current
        done.processed = done.completed = self.position.epoch
        start, before = time.perf_counter(), self.position.videos
        balanced = self.listed if settings.sampler == "balanced" else None
        data = TrainData(
            run.train,
            settings,
            self.position,
            pin_memory=run.use_gpu,
            policy=self.task.recipe.policy,
            classes=None if balanced is None else balanced.classes,
        )
        try:
            run_trainer(trainer, self.task, data)
        except KeyboardInterrupt:
            self.say("interrupted; --resume auto goes on from the last checkpoint, if there is one")
            raise
        seconds = time.perf_counter() - start
        videos = self.position.videos - before
        self.say(
            f"trained on {videos} videos in {seconds:.1f} s,"
            f" {self._share_waiting(meter):.1%} of it waiting for data"
        )
        return self._trained(meter, videos / seconds)

    def _trainer(self, board: TensorBoardLogger, meter: StepReport) -> L.Trainer:
        run, settings = self.run, self.settings
        callbacks: list[L.Callback] = [
            Restore(run.resume, ema_decay=settings.ema_decay),
            meter,
            SaveWithin(
                position=self.position,
                save=self.save,
                steps=settings.save_every_steps,
                minutes=settings.save_every_minutes,
                meter=meter,
            ),
            EpochEnd(
                position=self.position,
                validate=self.validate if run.valid is not None else None,
                valid_interval=run.valid_interval,
                monitor=monitored(settings),
                save=self.save,
                save_interval=run.save_interval,
                epochs=settings.epoch,
                meter=meter,
                patience=settings.early_stopping,
                say=self.say,
            ),
        ]
        processes = run.devices * run.nodes
        return L.Trainer(
            accelerator="gpu" if run.use_gpu else "cpu",
            devices=run.devices,
            num_nodes=run.nodes,
            strategy="ddp" if processes > 1 else "auto",
            precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
            max_epochs=settings.epoch,
            logger=board,
            callbacks=callbacks,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            log_every_n_steps=run.log_interval,
            default_root_dir=run.save_dir,
        )

    def _say_what_it_writes_over(self) -> None:
        if self.run.resume is None and state_path(self.path("last")).exists():
            self.say(
                f"{self.run.save_dir} holds an earlier training of {self.run.experiment.model}:"
                " this one writes over its checkpoints (--resume auto would go on with it)"
            )

    def _check_resume(self, mine: dict[str, Any]) -> None:
        """Compares what decides the course of training with that of the checkpoint."""
        if not self.path("best").exists():
            self.position.best = None  # it lies in another folder: this one gets its own
            self.position.worse = 0
        changes = changes_since(self.position.fingerprint, mine, self.settings)
        if not changes:
            return
        what = ", ".join(f"{key} was {was} and is {is_}" for key, (was, is_) in changes.items())
        order = {"samples", "names", *self.settings.keys_of("order")}
        if self.position.step and order & set(changes):
            raise VideozooError(
                f"--resume: the checkpoint was saved within an epoch of another training ({what});"
                " resume with the list, batch size, seed and sampler it was trained with"
            )
        self.say(f"warning: resuming a training that has changed: {what}")

    def validate(self, epoch: int) -> dict[str, float]:
        """Tests on the validation list."""
        run = self.run
        assert run.valid is not None
        self.evaluation = evaluate(
            self.ready(),
            run.valid,
            settings=self._valid_settings(),
            device=self.task.device,
            say=self.say,
        )
        metrics = self.evaluation.metrics
        if self.curves is not None:
            step = self.position.steps_done
            self.curves.add(metrics, step=step, epoch=epoch, split="valid")
        values = "  ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        lost = len(self.evaluation.unreadable)
        self.say(
            f"epoch {epoch + 1}/{self.settings.epoch}  validation on"
            f" {self.evaluation.evaluated} videos: {values}"
            + (f"  unreadable {lost}" if lost else "")
        )
        return metrics

    def ready(self) -> Classifier:
        """Returns the classifier that is validated and saved: the average where there is one."""
        average = self.task.averaging
        return self.task.classifier if average is None else average.classifier

    def _valid_settings(self) -> Settings:
        """Returns VALID's settings, with chunks no larger than TRAIN's."""
        settings, processes = self.run.experiment["VALID"], self.run.devices * self.run.nodes
        if settings.micro_batch is not None:
            return settings
        size = min(settings.batch_size, chunk_size(self.settings, processes=processes))
        return settings.model_copy(update={"micro_batch": size})

    def path(self, name: str) -> Path:
        """Returns the weights file of a checkpoint's name: last, best, epoch3."""
        return self.run.save_dir / f"{self.run.experiment.model}_{name}.safetensors"

    def save(self, names: list[str]) -> None:
        """Writes weights and training state under every name, in the first process."""
        assert self.trainer is not None
        if not self.trainer.is_global_zero:
            return
        weights = native_checkpoint(self.ready(), self.run.experiment, self.run.labels)
        average = self.task.averaging
        state = TrainingState(
            self.position,
            self.task.classifier.model.state_dict(),
            self.trainer.optimizers[0].state_dict(),
            None if average is None else average.state(),
        )
        save_training([self.path(name) for name in names], weights, state)

    def _share_waiting(self, meter: StepReport) -> float:
        return meter.waited_in_all / meter.worked_in_all if meter.worked_in_all else 0.0

    def _trained(self, meter: StepReport | None, speed: float) -> Trained:
        best = self.path("best")
        return Trained(
            last=self.path("last"),
            best=best if best.exists() and self.run.valid is not None else None,
            evaluation=self.evaluation,
            unreadable=dict(self.position.unreadable),
            videos_per_second=speed,
            waiting_for_data=self._share_waiting(meter) if meter is not None else 0.0,
        )
