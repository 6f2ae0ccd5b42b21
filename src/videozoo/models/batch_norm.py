"""Batch norm whose statistics are those of one process, however many share the work.

A batch norm sees groups of videos (micro-batches). In training, each group is normalised by its own
statistics, and the running ones take the groups in, one after another. So that several processes
train as one does, `GroupStatistics` collects what the groups of a step had, from all processes, and
applies it in the order of the groups. A group is never merged with another one; where a group
itself is spread over the processes, its statistics are those of all of its (real) values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from videozoo.distributed import process_place

_collecting: GroupStatistics | None = None  # what the pass under way reports to


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over [N, C, ...]; with one value a channel it uses its running statistics.

    A variance of one value is no variance: PyTorch raises there, and a last batch of one video
    would end a training run.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"a batch norm takes [N, C, ...], not {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:
        """Normalises a tensor; the shape stays."""
        if not self.training:
            return super().forward(input)
        statistics = _collecting
        if statistics is not None and statistics.split:
            return self._shared(input, statistics)
        if input.numel() <= input.shape[1]:
            return self._stored(input)
        if statistics is None or self.running_mean is None or self.running_var is None:
            return super().forward(input)
        # Into zeros with the momentum 1 go the group's own statistics.
        mean, variance = torch.zeros_like(self.running_mean), torch.zeros_like(self.running_var)
        normed = F.batch_norm(
            input, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps
        )
        statistics.add(self, mean, variance)
        return normed

    def _stored(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps
        )

    def _shared(self, x: Tensor, statistics: GroupStatistics) -> Tensor:
        """Normalises by the values that all processes have of a group."""
        axes, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        with torch.autocast(x.device.type, enabled=False):
            values = x if x.dtype == torch.float64 else x.float()
            real = 1.0 if statistics.is_real else 0.0
            sums = values.sum(axes) * real  # [C]
            number = sums.new_full((1,), x.numel() / x.shape[1] * real)
            sums = _sum_over_processes(torch.cat([sums, number]), statistics.processes)
            count = float(sums[-1].detach())
            if count <= 1:
                return self._stored(x)
            centred = values - (sums[:-1] / count).view(shape)  # [N, C, ...]
            squares = (centred * centred).sum(axes) * real  # [C]
            variance = _sum_over_processes(squares, statistics.processes) / count  # [C]
            normed = centred * (variance + self.eps).rsqrt().view(shape)
            if self.affine:
                normed = normed * self.weight.view(shape) + self.bias.view(shape)
        mean = (sums[:-1] / count).detach()
        statistics.add(self, mean, variance.detach() * (count / (count - 1)))
        return normed.to(x.dtype)


def _sum_over_processes(x: Tensor, processes: dist.ProcessGroup) -> Tensor:
    total: Tensor = _SumOverProcesses.apply(x, processes)  # type: ignore[no-untyped-call]
    return total


class _SumOverProcesses(torch.autograd.Function):
    """The sum over processes; gradients are sums over processes too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, processes: dist.ProcessGroup) -> Tensor:
        ctx.processes = processes
        total = x.clone()
        dist.all_reduce(total, group=processes)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].clone()
        dist.all_reduce(total, group=ctx.processes)
        return total, None


class GroupStatistics:
    """Collects the statistics that the groups of a step had; `apply` takes them all in.

    Args:
        model: its batch norms are BatchNorm.
        split: every group is spread over all processes. Else each process has groups of its own.

    Attributes:
        is_real: the values under way count; False: they are a placeholder's.
        processes: what sums over a split group; its own, so that sums never meet gradients' sums.

    Raises:
        ValueError: with several processes, a batch norm is none of ours.
    """

    def __init__(self, model: nn.Module, *, split: bool = False) -> None:
        _, world = process_place()
        norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
        strange = next((m for m in norms if not isinstance(m, BatchNorm)), None)
        if strange is not None and world > 1:
            raise ValueError(
                f"{type(model).__name__} has a {type(strange).__name__} of PyTorch, which cannot"
                " train in several processes as in one; use videozoo.models.batch_norm.BatchNorm"
            )
        self.split = split
        self.is_real = True
        self.processes: Any = dist.new_group() if split else None
        self._world = world
        self._norms = [m for m in norms if isinstance(m, BatchNorm) and m.running_mean is not None]
        self._number_of = {norm: number for number, norm in enumerate(self._norms)}
        self._passes: list[tuple[int, dict[int, tuple[Tensor, Tensor]]]] = []

    @contextmanager
    def of_group(self, group: int, *, is_real: bool = True) -> Iterator[None]:
        """Takes what passes through the model within the block for (a part of) one group.

        Args:
            group: its number within the step.
            is_real: see the attribute.
        """
        global _collecting
        self.is_real = is_real
        self._passes.append((group, {}))
        before, _collecting = _collecting, self
        try:
            yield
        finally:
            _collecting = before

    def add(self, norm: BatchNorm, mean: Tensor, variance: Tensor) -> None:
        """Notes what a norm found in the group under way: mean and unbiased variance, [C] both."""
        if norm in self._number_of:
            self._passes[-1][1][self._number_of[norm]] = (mean, variance)

    def clear(self) -> None:
        """Forgets the step's groups."""
        self._passes.clear()

    @torch.no_grad()
    def apply(self) -> None:
        """Takes all groups of all processes into the running statistics, in their order."""
        passes = [(group, found) for group, found in self._passes if found]
        if self._world > 1 and not self.split and self._norms:
            passes = self._of_all(passes)
        for _, found in sorted(passes, key=lambda one: one[0]):
            running: dict[float, tuple[list[Tensor], list[Tensor]]] = {}  # by momentum
            for number, pair in sorted(found.items()):
                norm = self._norms[number]
                assert norm.num_batches_tracked is not None
                norm.num_batches_tracked += 1
                momentum = norm.momentum or 1.0 / float(norm.num_batches_tracked)
                old, new = running.setdefault(momentum, ([], []))
                old += [t for t in (norm.running_mean, norm.running_var) if t is not None]
                new += pair
            for momentum, (old, new) in running.items():
                torch._foreach_lerp_(old, new, momentum)
        self.clear()

    def _of_all(
        self, passes: list[tuple[int, dict[int, tuple[Tensor, Tensor]]]]
    ) -> list[tuple[int, dict[int, tuple[Tensor, Tensor]]]]:
        """Returns the passes of all processes: one row of numbers a pass, sent in one message."""
        first = self._norms[0].running_mean
        assert first is not None
        widths = [2 * norm.num_features for norm in self._norms]
        sizes = [1, len(widths), *widths]  # a row: the group, which norms have found something, ...
        most = torch.tensor([len(passes)], device=first.device)
        dist.all_reduce(most, dist.ReduceOp.MAX)
        rows = first.new_zeros(int(most), sum(sizes))
        rows[:, 0] = -1.0  # no pass
        for row, (group, found) in zip(rows, passes, strict=False):
            numbers, present, *values = row.split(sizes)
            numbers.fill_(group)
            for number, pair in found.items():
                present[number] = 1.0
                torch.cat(pair, out=values[number])
        everyone = [torch.empty_like(rows) for _ in range(self._world)]
        dist.all_gather(everyone, rows)
        found_by_all: list[Any] = []
        for row in torch.cat(everyone):
            numbers, present, *values = row.split(sizes)
            if numbers >= 0:
                there = [number for number, flag in enumerate(present.tolist()) if flag]
                pairs = {number: tuple(values[number].chunk(2)) for number in there}
                found_by_all.append((int(numbers), pairs))
        return found_by_all
