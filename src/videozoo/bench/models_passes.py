"""Runs inference or training steps of one model as test and train run them, and measures them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from videozoo.bench.models_batches import (
    Frames,
    SameBatch,
    batch_bytes,
    make_batch,
    pinned,
)
from videozoo.bench.models_floor import synchronise
from videozoo.bench.models_memory import PeakMemory
from videozoo.bench.timing import Clock
from videozoo.config.keys import Settings
from videozoo.data.batches import Batch, ClipBatch
from videozoo.predict.evaluate import video_losses
from videozoo.predict.inputs import Classifier, build_classifier
from videozoo.predict.scoring import score_batches
from videozoo.processes import settle_process
from videozoo.specs.nextvlad import NeXtVLADSettings

_MOST_PASSES = 2000
_FEWEST_PASSES = 3
_WARM_UP = 2  # passes that set things up: memory, kernels, the optimizer's state


@dataclass(frozen=True)
class Job:
    """What one process measures.

    Attributes:
        settings: of INFER or of TRAIN; they name the model, the batch size and the precision.
        training: training steps; else inference.
        frames: of the shortest and of the longest video, where the model takes features.
        seconds: how long passes are repeated, roughly.
        device: such as "cpu" or "cuda:0".
        threads: that PyTorch uses on the CPU.
    """

    settings: Settings
    training: bool
    frames: Frames
    seconds: float
    device: str
    threads: int


@dataclass(frozen=True)
class Passes:
    """What a job found.

    Attributes:
        seconds: of each pass over the batch.
        peak: bytes of memory beyond the libraries; None where the system does not tell.
        parameters: numbers that the model has learnt.
        operations: of a pass over the batch; a multiplication and an addition are two.
        batch: bytes of the stored batch.
        optimizer: bytes that the optimizer keeps; 0 in inference.
        said: what the loop said, such as that the memory is too small.
    """

    seconds: list[float]
    peak: int | None
    parameters: int
    operations: int
    batch: int
    optimizer: int
    said: list[str]


class Meter:
    """Collects the seconds of passes and tells when there are enough.

    Args:
        seconds: how long passes are repeated, roughly.
        clock: tells seconds.
    """

    def __init__(self, seconds: float, clock: Clock = time.perf_counter) -> None:
        self._wanted = seconds
        self._clock = clock
        self._warm_up = _WARM_UP
        self._start = 0.0
        self._begun = clock()
        self.seconds: list[float] = []

    def start(self) -> None:
        """Begins a pass."""
        self._start = self._clock()

    def stop(self) -> None:
        """Ends a pass. Those that set things up are not counted, nor is their time."""
        now = self._clock()
        if self._warm_up:
            self._warm_up -= 1
            self._begun = now
            return
        self.seconds.append(now - self._start)

    @property
    def enough(self) -> bool:
        """Whether the time is over and there are three passes at least."""
        over = self._clock() - self._begun >= self._wanted
        return over and len(self.seconds) >= _FEWEST_PASSES


def run_job(job: Job) -> Passes:
    """Measures in this process; the peak is right in a process that has done nothing before.

    Raises:
        VideozooError: the model's numbers do not fit together, or a single video needs more memory
            than there is.
    """
    settle_process()
    torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    if job.training:
        import videozoo.tasks.fit  # noqa: F401 (libraries are no memory of the model)
    (torch.ones(64, 64, device=device) @ torch.ones(64, 64, device=device)).sum().item()
    memory = PeakMemory(device)
    torch.manual_seed(0)
    classifier = build_classifier(job.settings, _eigenvalues(job.settings))
    batch = make_batch(job.settings, job.frames)
    source = SameBatch(pinned(batch, device), _MOST_PASSES)
    said: list[str] = []
    meter = Meter(job.seconds)
    optimizer = 0
    if job.training:
        optimizer = _train(classifier, source, job, meter, said)
    else:
        _infer(classifier, source, job, meter, said)
    peak = memory.taken()  # before operations are counted, which takes memory too
    return Passes(
        seconds=meter.seconds,
        peak=peak,
        parameters=sum(p.numel() for p in classifier.model.parameters()),
        operations=count_operations(classifier.to(device), batch.to(device), job.training),
        batch=batch_bytes(batch),
        optimizer=optimizer,
        said=said,
    )


def _eigenvalues(settings: Settings) -> torch.Tensor | None:
    """Returns made-up values where a file would give them: un-whitening is part of the work."""
    if not isinstance(settings, NeXtVLADSettings) or "rgb" not in settings.feature_names:
        return None
    return torch.ones(settings.feature_dims[settings.feature_names.index("rgb")])


def _infer(
    classifier: Classifier, source: SameBatch, job: Job, meter: Meter, said: list[str]
) -> None:
    """Goes the way of test and infer: batch to the device, preprocessing, model, logits."""
    device = torch.device(job.device)
    batches = score_batches(
        classifier.to(device), source, settings=job.settings, device=device, say=said.append
    )
    while not meter.enough:
        meter.start()
        if next(batches, None) is None:
            break
        synchronise(device)
        meter.stop()
    batches.close()  # type: ignore[attr-defined]  # a generator


def _train(
    classifier: Classifier, source: SameBatch, job: Job, meter: Meter, said: list[str]
) -> int:
    """Goes the way of train: forward, loss, backward, optimizer; returns what the last keeps."""
    import lightning as L

    from videozoo.tasks.fit import TASKS
    from videozoo.tasks.plan import TrainData
    from videozoo.tasks.state import Position
    from videozoo.tasks.trainer import quiet_lightning, run_trainer

    device = torch.device(job.device)

    class Timer(L.Callback):
        def on_train_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
            meter.start()

        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            synchronise(device)
            meter.stop()
            trainer.should_stop = meter.enough

    settings = job.settings
    quiet_lightning()
    task = TASKS[settings.NAME](classifier=classifier, settings=settings, videos=len(source))
    task.say = said.append
    trainer = L.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
        max_epochs=1,
        callbacks=[Timer()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    data = TrainData(source, settings, Position(), pin_memory=device.type == "cuda")
    run_trainer(trainer, task, data)
    return sum(kept_bytes(optimizer.state) for optimizer in trainer.optimizers)


def kept_bytes(state: Any) -> int:
    """Returns the bytes of the tensors of an optimizer's state; single numbers do not count."""
    tensors = [value for values in state.values() for value in values.values()]
    return sum(t.nbytes for t in tensors if isinstance(t, torch.Tensor) and t.numel() > 1)


def count_operations(classifier: nn.Module, batch: Batch, training: bool) -> int:
    """Counts the operations of products and convolutions of a pass.

    It is counted on the plain model in 32 bits, whatever is done to make it faster; for clips,
    which are all alike, on one of them.

    Args:
        classifier: on the batch's device.
        batch: the videos.
        training: forward and backward; else forward.
    """
    classifier.train(training)
    times = 1
    if isinstance(batch, ClipBatch):
        batch, times = batch.part(0, 1), len(batch)
    with torch.set_grad_enabled(training), _counter() as counter:
        logits = classifier(batch)
        if training:
            video_losses(batch, logits).sum().backward()  # type: ignore[no-untyped-call]
    classifier.zero_grad(set_to_none=True)
    return int(counter.get_total_flops()) * times


def _counter() -> FlopCounterMode:
    """Returns PyTorch's counter, which also knows the one product of the models that it does not.

    That is oneDNN's with weights laid out beforehand, an internal operator of builds that have it.
    """
    known: dict[Any, Any] = {}
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        known[torch.ops.mkldnn._linear_pointwise] = _product_operations
    return FlopCounterMode(display=False, custom_mapping=known)


def _product_operations(x: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any) -> int:
    return 2 * prod(out_shape) * x[-1]
