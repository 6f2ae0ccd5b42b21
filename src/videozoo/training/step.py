"""One optimizer step: micro-batches in, gradients of all processes, the optimizer.

A step's gradients add up over its micro-batches and over the processes, and are divided by the
number of videos that were really read: a sample that could not be read has no share in the mean,
and a process without a micro-batch adds nothing. DistributedDataParallel's reducer sends gradients
while the last backward pass still runs; the passes before it are its `no_sync`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from videozoo.classifier import Classifier
from videozoo.data.batch import Batch
from videozoo.data.loader import FatalDataError, or_placeholder
from videozoo.distributed import gathered, process_place
from videozoo.errors import VideozooError
from videozoo.models.batch_norm import GroupStatistics
from videozoo.models.layers import autocast
from videozoo.stopping import Stop
from videozoo.training.averaging import Averaging
from videozoo.training.regularise import Regulariser

MicroBatches = Sequence[Batch | FatalDataError]


@dataclass(frozen=True)
class StepResult:
    """What a step did, over all processes.

    Attributes:
        loss: the mean over the step's videos, or their sum where the model's loss is one.
        rate: the learning rate.
        videos: how many of the step's videos could be read.
        stop: a process was asked to stop.
    """

    loss: float
    rate: float
    videos: int
    stop: bool = False


class BatchLoss(nn.Module):
    """A batch in, the sum of its videos' losses out: what DistributedDataParallel wraps."""

    def __init__(self, classifier: Classifier, regulariser: Regulariser, precision: str) -> None:
        super().__init__()
        self.classifier = classifier
        self.regulariser = regulariser
        self.precision = precision
        self._weights = [p for p in self.parameters() if p.requires_grad]

    def forward(self, batch: Batch | None) -> Tensor:
        """Returns the sum over the batch; of None zero.

        A process without a video takes part in the exchange of gradients by that zero, and leaves
        running statistics alone.
        """
        if batch is None:
            return _of_all_weights(self._weights[0].new_zeros(()), self._weights)
        with autocast(batch.weights.device, self.precision):
            batch = self.regulariser.prepare(batch)
            losses: Tensor = self.regulariser.losses(batch, self.classifier(batch)) * batch.weights
        return _of_all_weights(losses.sum(), self._weights)


def _of_all_weights(loss: Tensor, weights: Sequence[Tensor]) -> Tensor:
    result: Tensor = _OfAllWeights.apply(loss, *weights)  # type: ignore[no-untyped-call]
    return result


class _OfAllWeights(torch.autograd.Function):
    """Passes a loss on, as one that all weights have a part in.

    DistributedDataParallel waits for the gradient of each weight, also of one that the loss does
    not depend on. No gradient is computed for that: none is an answer.
    """

    @staticmethod
    def forward(ctx: Any, loss: Tensor, *weights: Tensor) -> Tensor:
        ctx.count = len(weights)
        return loss.view_as(loss)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], *(None,) * ctx.count


@dataclass
class Stepper:
    """Makes steps; `stepper(batches, steps_done)`.

    Attributes:
        classifier: on its device, in training mode.
        optimizer: of its parameters.
        rate: the learning rate after so many steps.
        regulariser: what is done beyond the model's own recipe.
        seed: decides dropout, together with the step and the micro-batch.
        precision: '32', '64' or 'bf16' mixed precision.
        loss_is_sum: the loss is the sum over the step's videos, not their mean.
        clip_norm: clip the norm of all gradients to this; None: they are not clipped.
        frozen: modules that do not learn, their running statistics included.
        averaging: takes in the weights of every step; None: they are not averaged.
        split_groups: a batch norm's group is spread over all processes: see GroupStatistics.
        say: prints a line.
        stop: whether this process has been asked to stop.
    """

    classifier: Classifier
    optimizer: Optimizer
    rate: Callable[[int], float]
    regulariser: Regulariser
    seed: int
    precision: str = "32"
    loss_is_sum: bool = False
    clip_norm: float | None = None
    frozen: Sequence[nn.Module] = ()
    averaging: Averaging | None = None
    split_groups: bool = False
    say: Callable[[str], None] = print
    stop: Stop = field(default_factory=Stop)
    _parts: int = field(default=1, init=False)  # out of memory doubles it
    _stops: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        model, (_, world) = self.classifier.model, process_place()
        self.device = next(model.parameters()).device
        self.statistics = GroupStatistics(model, split=self.split_groups and world > 1)
        loss = BatchLoss(self.classifier, self.regulariser, self.precision)
        self._loss_of: nn.Module = loss
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        if world > 1:
            with warnings.catch_warnings():
                # the option's new name is younger than our oldest torch
                warnings.simplefilter("ignore", FutureWarning)
                parallel = DistributedDataParallel(loss, broadcast_buffers=False)
            # Of a 1 x 1 kernel any strides are right.
            warnings.filterwarnings("ignore", message="Grad strides do not match")
            # (a lambda: DDP does not understand annotations that are strings)
            parallel.register_comm_hook(None, lambda _, bucket: _sum_of_bucket(bucket))
            self._loss_of = parallel

    def __call__(self, batches: MicroBatches, steps_done: int) -> StepResult:
        """Makes one step.

        Args:
            batches: this process's micro-batches of the step, at least one.
            steps_done: steps since the beginning of training.

        Raises:
            VideozooError: the data show that the config is wrong, training has diverged, or the
                memory is too small for a single video.
        """
        fatal = next((b.message for b in batches if isinstance(b, FatalDataError)), None)
        readable = [or_placeholder(batch) for batch in batches]
        while (failed := self._first_too_large(readable, steps_done)) is not None:
            self._halve(readable[: failed + 1])
        if self.statistics.split:
            for parameter in self._parameters:
                dist.all_reduce(self._gradient(parameter))
        loss, videos = self._over_processes(readable, fatal)
        rate = self.rate(steps_done)
        if videos:
            self.statistics.apply()
            self._update(readable[0], videos, rate)
        if not self.loss_is_sum:
            loss /= max(videos, 1)
        if not np.isfinite(loss):
            raise VideozooError(
                f"the loss is {loss} at step {steps_done}: training has diverged;"
                " resume from an earlier checkpoint with a smaller learning rate"
            )
        return StepResult(loss, rate, videos, bool(self._stops))

    def _first_too_large(self, batches: Sequence[Batch], steps_done: int) -> int | None:
        """Adds up the gradients of all micro-batches, or returns the first without room in memory.

        The caller goes on behind the `except`: while an error is handled, its traceback keeps all
        that the failed pass had in memory.
        """
        self.classifier.train()
        for module in self.frozen:
            module.eval()
        self._loss_of.zero_grad(set_to_none=True)
        self.statistics.clear()
        self._loss = torch.zeros((), dtype=torch.float64, device=self.device)
        self._sending, number = False, 0
        try:
            for number, batch in enumerate(batches):
                self._add_gradients(batch, steps_done, sends=number == len(batches) - 1)
        except torch.OutOfMemoryError:
            if self._sending or self.statistics.split:  # the others wait within the pass
                raise VideozooError(
                    "out of memory in a pass that processes share; --resume auto with a smaller"
                    " micro_batch goes on from the last checkpoint"
                ) from None
            return number
        return None

    def _add_gradients(self, batch: Batch, steps_done: int, *, sends: bool) -> None:
        """Runs one micro-batch through the model and back; `sends`: it is the step's last one."""
        assert batch.micro_batch is not None
        rank, world = process_place()
        split, group = self.statistics.split, batch.micro_batch.group
        # What dropout draws depends on (seed, step, group) alone: a resumed run, or one in another
        # number of processes, draws the same.
        key = [self.seed, steps_done, group, *([rank] if split else [])]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
        is_real = bool(batch.weights.any())
        parts: list[Batch | None] = [None]
        if is_real or split:  # who shares a group's statistics runs the placeholder too
            size = -(-len(batch) // self._parts)
            parts = [batch.part(start, start + size) for start in range(0, len(batch), size)]
        elif not sends or world == 1:
            return
        scale = 1.0 if self.loss_is_sum else 1.0 / batch.micro_batch.step_size
        for number, part in enumerate(parts):
            # Sums for batch norms must not meet sums of gradients: those come behind the passes.
            last = sends and number == len(parts) - 1 and not split
            with self._no_sync(not last), self.statistics.of_group(group, is_real=is_real):
                loss = self._loss_of(None if part is None else part.to(self.device))
                self._sending = last and world > 1
                # Outside of autocast: gradients have the types of what they are of without it.
                (loss * scale).backward()
                self._sending = False
            self._loss += loss.detach().double()

    @staticmethod
    def _gradient(parameter: nn.Parameter) -> Tensor:
        if parameter.grad is None:  # the loss does not depend on it
            parameter.grad = torch.zeros_like(parameter)
        return parameter.grad

    def _no_sync(self, wanted: bool) -> AbstractContextManager[Any]:
        if wanted and isinstance(self._loss_of, DistributedDataParallel):
            return self._loss_of.no_sync()
        return nullcontext()

    def _halve(self, batches: Sequence[Batch]) -> None:
        """Lets fewer videos go through the model at once from now on."""
        largest = max(len(batch) for batch in batches)
        if self._parts >= largest:
            raise VideozooError("out of memory with a single video; use a smaller model or clip")
        self._parts *= 2
        self.say(
            "out of memory: videos at once (micro_batch) from now on:"
            f" {-(-largest // self._parts)}; batch norms see these smaller groups"
        )

    def _over_processes(self, batches: Sequence[Batch], fatal: str | None) -> tuple[float, int]:
        """Returns the sum of the step's losses and the number of its videos.

        Raises:
            VideozooError: the data of one process show that the config is wrong.
        """
        videos = sum(int(batch.weights.sum()) for batch in batches)
        self._stops = self.stop.signal != 0
        if process_place()[1] == 1:
            if fatal is not None:
                raise VideozooError(fatal)
            return float(self._loss), videos
        numbers = self._loss.new_tensor([0, videos, fatal is not None, self._stops])  # [4]
        numbers[0] = self._loss
        dist.all_reduce(numbers)
        total, read, faults, self._stops = numbers.tolist()
        if faults:
            raise VideozooError(next(m for m in gathered(fatal) if m is not None))
        return total, round(read)

    def _update(self, batch: Batch, videos: int, rate: float) -> None:
        """Steps the optimizer, and the average of the weights."""
        assert batch.micro_batch is not None
        gradients = [self._gradient(parameter) for parameter in self._parameters]
        if not self.loss_is_sum and videos != batch.micro_batch.step_size:
            torch._foreach_mul_(gradients, batch.micro_batch.step_size / videos)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self.clip_norm)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_scale", 1.0)
        self.optimizer.step()
        if self.averaging is not None:
            self.averaging.update(self.classifier.model)


def _sum_of_bucket(bucket: Any) -> Any:
    """Adds up a bucket of gradients over the processes (by itself, DDP would take the mean)."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])
