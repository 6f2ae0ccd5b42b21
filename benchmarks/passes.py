"""Runs inference or training steps of one model on one made-up batch, and measures them.

Nothing is read, so that the model alone is measured: a batch goes to the device, through the
preprocessing and the model; in training the loss, the gradients and the model's own optimizer
follow. The steps are those of `videozoo test` and `videozoo train`, without their loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from made_batches import make_batch
from peak_memory import PeakMemory
from torch import nn
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

from videozoo.classifier import Classifier, build_classifier
from videozoo.config.keys import Settings
from videozoo.data.batch import Batch
from videozoo.distributed import settle_process
from videozoo.metrics.losses import clip_loss, feature_loss
from videozoo.models.layers import autocast
from videozoo.specs import SPECS


@dataclass(frozen=True)
class Job:
    """What is measured.

    Attributes:
        settings: name the model, the batch size and the precision.
        training: training steps; else inference.
        frames: of the shortest and of the longest video, where the model takes features.
        seconds: how long passes are repeated, roughly.
        device: such as "cpu" or "cuda:0".
    """

    settings: Settings
    training: bool
    frames: tuple[int, int]
    seconds: float
    device: str


@dataclass(frozen=True)
class Passes:
    """What was found.

    Attributes:
        seconds: of each pass over the batch.
        peak: bytes of memory beyond the libraries; None where the system does not tell.
        parameters: numbers that the model has learnt.
        operations: of a pass over the batch; a multiplication and an addition are two.
    """

    seconds: list[float]
    peak: int | None
    parameters: int
    operations: int


def run_job(job: Job) -> Passes:
    """Measures in this process; the peak is right in a process that has done nothing before."""
    settle_process()
    device = torch.device(job.device)
    if job.training:
        import videozoo.training.loop  # noqa: F401 (libraries are no memory of the model)
    (torch.ones(64, 64, device=device) @ torch.ones(64, 64, device=device)).sum().item()
    memory = PeakMemory(device)
    torch.manual_seed(0)
    classifier = make_classifier(job.settings).to(device)
    batch = make_batch(job.settings, job.frames)
    if device.type == "cuda":
        batch = batch.pin_memory()  # as a loader hands it over
    make_pass = training_pass if job.training else inference_pass
    run = make_pass(classifier, batch, job.settings, device)
    run()  # sets things up: memory, kernels, the optimizer's state
    timer = Timer("run()", globals={"run": run}, num_threads=torch.get_num_threads())
    seconds = timer.blocked_autorange(min_run_time=job.seconds).times
    peak = memory.taken()  # before operations are counted, which takes memory too
    return Passes(
        seconds=list(seconds),
        peak=peak,
        parameters=sum(p.numel() for p in classifier.model.parameters()),
        operations=count_operations(classifier, batch.to(device), job.training),
    )


def make_classifier(settings: Settings) -> Classifier:
    """Builds the model with random weights; where a file would un-whiten rgb, made-up values do."""
    whitened = getattr(settings, "eigen_file", None) is not None
    return build_classifier(settings, torch.ones(settings.feature_dims[0]) if whitened else None)


def inference_pass(
    classifier: Classifier, batch: Batch, settings: Settings, device: torch.device
) -> Callable[[], None]:
    """Returns what scores the batch once, as test and infer do."""
    ready = classifier.eval().for_inference(settings.precision)

    def run() -> None:
        with torch.inference_mode(), autocast(device, settings.precision):
            ready(batch.to(device)).float()

    return run


def training_pass(
    classifier: Classifier, batch: Batch, settings: Settings, device: torch.device
) -> Callable[[], None]:
    """Returns what makes one training step on the batch, as train does."""
    from videozoo.training.optimizers import make_optimizer

    optimizer = make_optimizer(classifier.train().model, SPECS[settings.NAME], settings)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        moved = batch.to(device)
        with autocast(device, settings.precision):
            loss = mean_loss(moved, classifier(moved))
        loss.backward()
        optimizer.step()

    return run


def mean_loss(batch: Batch, logits: torch.Tensor) -> torch.Tensor:
    """Returns the loss of the model's task; bool labels have a column a class."""
    loss = feature_loss if batch.labels.ndim == 2 else clip_loss
    return loss(logits, batch.labels).mean()


def count_operations(classifier: nn.Module, batch: Batch, training: bool) -> int:
    """Counts the operations of products and convolutions of a pass.

    It is counted on the plain model in 32 bits, whatever is done to make it faster.

    Args:
        classifier: on the batch's device.
        batch: the videos.
        training: forward and backward; else forward.
    """
    known: dict[Any, Any] = {}
    if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        # oneDNN's product with weights laid out beforehand, which PyTorch's counter does not know.
        known[torch.ops.mkldnn._linear_pointwise] = product_operations
    classifier.train(training)
    counter = FlopCounterMode(display=False, custom_mapping=known)
    with torch.set_grad_enabled(training), counter:
        logits = classifier(batch)
        if training:
            mean_loss(batch, logits).backward()
    classifier.zero_grad(set_to_none=True)
    return int(counter.get_total_flops())


def product_operations(x: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any) -> int:
    return 2 * prod(out_shape) * x[-1]
