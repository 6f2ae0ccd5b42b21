"""What training a model means, for all models: chunks in, one optimizer step a batch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import lightning as L
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from videozoo.data.batches import Batch
from videozoo.data.loader import Stop, checked
from videozoo.errors import VideozooError
from videozoo.predict.inputs import Classifier
from videozoo.processes import process_place
from videozoo.tasks.averaging import Averaging
from videozoo.tasks.recipe import Recipe

SMALLEST_BUCKET = 16 * 2**20


class VideoTask(L.LightningModule):
    """Trains a classifier on chunks; the subclasses say with which loss, optimizer and schedule.

    A step's batch comes in chunks (see StepSampler). Their gradients add up, over the chunks and
    over the processes, and are divided by the number of videos that were really read: a sample that
    could not be read has no share in the mean, and a process without a chunk adds nothing.

    Attributes:
        steps_done: optimizer steps since the beginning of training, over resumed runs too.
        last_loss: the loss of the last step: mean over its videos, or their sum (loss_is_sum).
        last_rate: the learning rate of the last step.
        last_videos: how many videos of the last step could be read, in all processes.
        recipe: what is done beyond the model's own recipe.
        averaging: takes in the weights of every step; None: they are not averaged.
        frozen: modules that do not learn, their running statistics included.

    Args:
        classifier: preprocessing and model.
        learning_rate: at the start.
        seed: decides dropout, together with the step.
    """

    loss_is_sum = False
    """The loss is the sum over the batch, not the mean."""

    def __init__(self, *, classifier: Classifier, learning_rate: float, seed: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.classifier = classifier
        self.learning_rate = learning_rate
        self.seed = seed
        self.steps_done = 0
        self.last_loss = float("nan")
        self.last_rate = float("nan")
        self.last_videos = 0
        self.recipe = Recipe(multi_label=classifier.multi_label)
        self.averaging: Averaging | None = None
        self.frozen: list[nn.Module] = []
        self.say: Callable[[str], None] = print
        self._parts = 1  # out of memory doubles it: a chunk goes through the model in parts
        self._step_batches: list[Batch] = []
        self._loss = torch.zeros(())
        self._videos = 0.0
        self._stop: str | None = None

    @abstractmethod
    def configure_optimizers(self) -> Optimizer:
        """Returns the optimizer."""

    @abstractmethod
    def rate_factor(self, step: int) -> float:
        """Returns the factor of the learning rate after `step` steps."""

    def clip(self) -> None:
        """Clips gradients before the step, where the model's recipe does."""

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        step = self.steps_done
        return self.learning_rate * self.recipe.rate_factor(step, self.rate_factor(step))

    def on_train_start(self) -> None:
        """Moves what the loss needs to the device."""
        self.recipe.to(self.device)

    def transfer_batch_to_device(
        self, batch: Batch | Stop, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """Leaves the batch on the host: training_step moves the part it works on.

        Raises:
            VideozooError: the data show that the config is wrong.
        """
        if isinstance(batch, Stop) and process_place()[1] > 1:
            # The others wait for this process at the end of the step; all stop there.
            self._stop = batch.message
            return batch.placeholder
        return checked(batch)

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Adds a chunk's gradients; after a step's last chunk, steps."""
        assert batch.chunk is not None
        self._step_batches.append(batch)
        number = len(self._step_batches) - 1
        if number == 0:
            self._begin_step()
        if not self._fits(batch, number):
            self._halve_and_repeat()
        if batch.chunk.last:
            self._finish_step(batch.chunk.step_size)

    def _begin_step(self) -> None:
        self.zero_grad(set_to_none=True)
        for module in self.frozen:
            module.eval()  # whoever called train() since meant all
        self._loss = torch.zeros((), dtype=torch.float64, device=self.device)
        self._videos = 0.0

    def _add_gradients(self, batch: Batch, number: int) -> None:
        assert batch.chunk is not None
        rank, _ = process_place()
        # What dropout draws depends on (seed, step, chunk, process) alone, so that a resumed run
        # draws what a run never stopped would have drawn.
        key = [self.seed, self.steps_done, number, rank]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
        videos = float(batch.weights.sum())
        if videos == 0:
            return
        scale = 1.0 if self.loss_is_sum else 1.0 / batch.chunk.step_size
        size = -(-len(batch) // self._parts)
        for start in range(0, len(batch), size):
            part = self.recipe.prepare(batch.part(start, start + size).to(self.device))
            losses = self.recipe.losses(part, self.classifier(part)) * part.weights  # [B]
            # Autograd's thread for a GPU does not know which short type autocast means and would
            # take float16. Gradients have the types of what they are of without it.
            with torch.autocast(self.device.type, enabled=False):
                (losses.sum() * scale).backward()  # type: ignore[no-untyped-call]
            self._loss += losses.detach().sum().double()
        self._videos += videos

    def _fits(self, batch: Batch, number: int) -> bool:
        """Adds a chunk's gradients; False where the memory is too small.

        The caller goes on behind the `except`: while an error is handled, its traceback keeps all
        that the failed pass had in memory.
        """
        try:
            self._add_gradients(batch, number)
        except torch.OutOfMemoryError:
            return False
        return True

    def _halve_and_repeat(self) -> None:
        """Halves the parts and repeats this step's chunks from the first one.

        The gradients so far may hold part of the failed backward pass, so they start anew.
        """
        largest = max(len(batch) for batch in self._step_batches)
        while True:
            if self._parts >= largest:
                raise VideozooError(
                    "out of memory with a single video; use a smaller model or clip"
                )
            self._parts *= 2
            size = -(-largest // self._parts)
            self.say(
                f"out of memory: videos at once (micro_batch) from now on: {size};"
                " batch norms see these smaller groups"
            )
            self._begin_step()
            if all(self._fits(batch, number) for number, batch in enumerate(self._step_batches)):
                return

    def _finish_step(self, step_size: int) -> None:
        self._step_batches.clear()
        videos = self._sum_over_processes()
        self.last_videos, self.last_rate = round(videos), self.rate
        optimizer = self.optimizers()
        assert not isinstance(optimizer, list)
        if videos > 0:
            if not self.loss_is_sum and videos != step_size:
                self._scale_gradients(step_size / videos)
            self.clip()
            for group in optimizer.param_groups:
                group["lr"] = self.last_rate * group.get("rate_scale", 1.0)
            optimizer.step()
            if self.averaging is not None:
                self.averaging.update(self.classifier.model)
        self.last_loss = float(self._loss) / (1.0 if self.loss_is_sum else max(videos, 1.0))
        if not np.isfinite(self.last_loss):
            raise VideozooError(
                f"the loss is {self.last_loss} at step {self.steps_done}: training has diverged;"
                " resume from an earlier checkpoint with a smaller learning rate"
            )
        self.steps_done += 1

    def share_buffers(self) -> None:
        """Gives every process the first one's running statistics: those that are saved."""
        _, world = process_place()
        average = self.averaging
        if world > 1:
            for model in (self, *(() if average is None else (average.classifier,))):
                for buffer in model.buffers():
                    dist.broadcast(buffer, src=0)

    def _gradients(self) -> list[Tensor]:
        gradients = []
        for parameter in self.parameters():
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                gradients.append(parameter.grad)
        return gradients

    def _scale_gradients(self, factor: float) -> None:
        torch._foreach_mul_(self._gradients(), factor)

    def _sum_over_processes(self) -> float:
        """Adds up gradients, losses and counts of all processes; returns the videos of the step.

        Raises:
            VideozooError: the data of one process show that the config is wrong.
        """
        _, world = process_place()
        if world == 1:
            return self._videos
        counts = self._loss.new_tensor([self._videos, self._stop is not None])
        totals = torch.cat([self._loss[None], counts])
        dist.all_reduce(totals)
        if totals[2] > 0:
            messages: list[str | None] = [None] * world
            dist.all_gather_object(messages, self._stop)
            raise VideozooError(next(message for message in messages if message is not None))
        self._loss, self._videos = totals[0], float(totals[1])
        bucket: list[Tensor] = []
        gradients = self._gradients()
        for i, gradient in enumerate(gradients):
            bucket.append(gradient)
            if sum(g.numel() for g in bucket) >= SMALLEST_BUCKET or i == len(gradients) - 1:
                flat = torch.cat([g.flatten() for g in bucket])
                dist.all_reduce(flat)
                parts = torch.split(flat, [g.numel() for g in bucket])
                torch._foreach_copy_(
                    bucket, [p.view_as(g) for p, g in zip(parts, bucket, strict=True)]
                )
                bucket = []
        return self._videos
