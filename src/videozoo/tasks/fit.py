"""A training run: the tasks, the data and the callbacks joined by Lightning's Trainer."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console
from torch.utils.data import DataLoader

from videozoo.config import Experiment
from videozoo.data.batches import Batch
from videozoo.data.loader import SampleSource, Stop, make_loader
from videozoo.data.samplers import StepSampler
from videozoo.errors import VideozooError
from videozoo.predict.devices import is_first_process
from videozoo.predict.evaluate import Evaluation, evaluate
from videozoo.predict.inputs import Classifier
from videozoo.predict.weights import save_weights
from videozoo.settings import Settings
from videozoo.tasks.callbacks import EpochEnd, SaveWithin, StepReport
from videozoo.tasks.clips import ClipTask
from videozoo.tasks.curves import Curves
from videozoo.tasks.features import AttentionClusterTask, AttentionLSTMTask, NeXtVLADTask
from videozoo.tasks.state import Position, TrainingState, save_state, state_path
from videozoo.tasks.task import VideoTask
from videozoo.tasks.trainer import quiet_lightning, run_trainer

TASKS: dict[str, Any] = {
    "AttentionCluster": AttentionClusterTask,
    "AttentionLSTM": AttentionLSTMTask,
    "NEXTVLAD": NeXtVLADTask,
    "STNET": ClipTask,
    "TSN": ClipTask,
}
VIDEOS_KEYS = ("total_videos", "num_samples", "lr_boundary_examples")


@dataclass
class Run:
    """What a training run needs.

    Attributes:
        experiment: the config.
        classifier: with its first weights.
        train: the training samples.
        valid: the validation samples; None: no validation.
        labels: class names, for the checkpoints.
        save_dir: folder of checkpoints and curves.
        resume: the state to go on from; None: from the beginning.
        valid_interval, save_interval: epochs between two validations, two checkpoints that stay.
        log_interval: steps between two lines.
        devices, nodes: GPUs (or CPU processes) of each machine, machines.
        use_gpu: train on GPUs.
        console: where to write.
    """

    experiment: Experiment
    classifier: Classifier
    train: SampleSource
    valid: SampleSource | None
    labels: list[str] | None
    save_dir: Path
    resume: TrainingState | None = None
    valid_interval: int = 1
    save_interval: int = 1
    log_interval: int = 10
    devices: int = 1
    nodes: int = 1
    use_gpu: bool = False
    console: Console | None = None


@dataclass
class Trained:
    """What a run left: its checkpoints, the last validation, and how it went."""

    last: Path
    best: Path | None
    evaluation: Evaluation | None
    unreadable: dict[str, str]
    videos_per_second: float
    waiting_for_data: float


def schedule_videos(settings: Settings, listed: int) -> tuple[int, str | None]:
    """Returns the videos that the learning-rate schedule counts by, and a warning or None.

    Args:
        settings: of TRAIN.
        listed: samples in the training list.
    """
    for key in VIDEOS_KEYS:
        value = getattr(settings, key, None)
        if isinstance(value, int):
            if abs(value - listed) > 0.1 * listed:
                return value, (
                    f"{key} is {value}, but the training list has {listed} samples: the learning"
                    f" rate follows {key} as written; --set TRAIN.{key}=auto counts the list"
                )
            return value, None
    return listed, None


def fingerprint(settings: Settings, source: SampleSource) -> dict[str, Any]:
    """Returns what must be the same for a resumed run to be exact."""
    names = hashlib.sha256()
    for index in range(0, len(source), max(1, len(source) // 1000)):
        names.update(source.name(index).encode("utf-8", "surrogateescape") + b"\0")
    return {
        "samples": len(source),
        "names": names.hexdigest()[:16],
        "batch_size": settings.batch_size,
        "seed": settings.seed,
    }


class TrainData(L.LightningDataModule):
    """The training loader; built when the number of processes is known."""

    def __init__(self, run: Run, position: Position) -> None:
        super().__init__()
        self.run = run
        self.position = position

    def train_dataloader(self) -> DataLoader[Batch | Stop]:
        """Returns the loader of this process's chunks."""
        settings = self.run.experiment["TRAIN"]
        assert self.trainer is not None
        world = self.trainer.world_size
        sampler = StepSampler(
            len(self.run.train),
            batch_size=settings.batch_size,
            chunk_size=settings.micro_batch
            or -(-settings.batch_size // max(settings.num_gpus, world)),
            shuffle=True,
            seed=settings.seed,
            rank=self.trainer.global_rank,
            world=world,
        )
        sampler.resume_at(self.position.epoch, self.position.step)
        return make_loader(
            self.run.train,
            sampler,
            training=True,
            num_workers=settings.num_workers,
            seed=settings.seed,
            pin_memory=self.run.use_gpu,
        )


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
        if warning:
            self.say(f"warning: {warning}")
        self.trainer: L.Trainer | None = None
        self.curves: Curves | None = None

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
        mine = fingerprint(settings, run.train)
        if run.resume is not None:
            self._check_resume(mine)
        self.position.fingerprint = mine
        run.save_dir.mkdir(parents=True, exist_ok=True)
        if self.position.epoch >= settings.epoch:
            self.say(f"all {settings.epoch} epochs are done; give --epoch-num to train longer")
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
        run_trainer(trainer, self.task, TrainData(run, self.position))
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
            _Restore(run.resume),
            meter,
            SaveWithin(
                position=self.position,
                save=self.save,
                steps=settings.save_every_steps,
                minutes=settings.save_every_minutes,
            ),
            EpochEnd(
                position=self.position,
                validate=self.validate if run.valid is not None else None,
                valid_interval=run.valid_interval,
                monitor="gap" if settings.FEATURES else "top1",
                save=self.save,
                save_interval=run.save_interval,
                epochs=settings.epoch,
                meter=meter,
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

    def _check_resume(self, mine: dict[str, Any]) -> None:
        theirs = self.position.fingerprint
        changed = [key for key in mine if mine[key] != theirs.get(key)]
        if not changed:
            return
        what = ", ".join(f"{key} was {theirs.get(key)} and is {mine[key]}" for key in changed)
        if self.position.step:
            raise VideozooError(
                f"--resume: the checkpoint was saved within an epoch of another training ({what});"
                " resume with the list, batch size and seed that it was trained with"
            )
        self.say(f"warning: resuming a training that has changed: {what}")

    def validate(self, epoch: int) -> dict[str, float]:
        """Tests on the validation list."""
        run = self.run
        assert run.valid is not None
        self.evaluation = evaluate(
            self.task.classifier,
            run.valid,
            settings=run.experiment["VALID"],
            device=self.task.device,
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

    def path(self, name: str) -> Path:
        """Returns the weights file of a checkpoint's name: last, best, epoch3."""
        return self.run.save_dir / f"{self.run.experiment.model}_{name}.safetensors"

    def save(self, names: list[str]) -> None:
        """Writes weights and training state under the first name, and links the others to it."""
        assert self.trainer is not None
        if not self.trainer.is_global_zero:
            return
        first = self.path(names[0])
        save_weights(first, self.task.classifier, self.run.experiment, self.run.labels)
        model = self.task.classifier.model.state_dict()
        optimizer = self.trainer.optimizers[0].state_dict()
        save_state(state_path(first), TrainingState(self.position, model, optimizer))
        for name in names[1:]:
            _link(first, self.path(name))
            _link(state_path(first), state_path(self.path(name)))

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


class _Restore(L.Callback):
    """Puts the saved weights and optimizer state in place, when Lightning has built them."""

    def __init__(self, state: TrainingState | None) -> None:
        self.state = state

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.state is None:
            return
        assert isinstance(pl_module, VideoTask)
        pl_module.classifier.model.load_state_dict(self.state.model)
        trainer.optimizers[0].load_state_dict(self.state.optimizer)


def _link(source: Path, target: Path) -> None:
    """Makes `target` a second name of `source` (a copy where that cannot be), in one step."""
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.link(source, temporary)
    if not temporary.exists():
        shutil.copyfile(source, temporary)
    os.replace(temporary, target)
