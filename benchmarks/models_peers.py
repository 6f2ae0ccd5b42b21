"""The peers of runtimes.py that are PyTorch: ours, the models as written, torch.compile.

Each makes the same model with the same made-up weights and inputs, from fixed seeds. All have two
threads, and what videozoo's commands settle for themselves is settled for all of PyTorch's: threads
wait without spinning, freed memory is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from turns import Bench

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

THREADS = 2
DIMS = (1024, 128)  # rgb and audio of YouTube-8M
CLASSES = 3862
ARGUMENTS: dict[str, dict[str, Any]] = {
    "TSN": {"num_classes": 400},
    "AttentionLSTM": {"feature_dims": DIMS, "num_classes": CLASSES},
    "NEXTVLAD": {"feature_dims": DIMS, "num_classes": CLASSES},
    "AttentionCluster": {"feature_dims": DIMS, "num_classes": CLASSES, "cluster_nums": (32, 32)},
}
# A weight of each at the far end of the backward pass: its gradient is compared.
FIRST_WEIGHTS = {
    "AttentionLSTM": "modalities.0.embedding.weight",
    "NEXTVLAD": "modalities.0.expansion.weight",
    "AttentionCluster": "clusters.0.attention.weight",
}


@dataclass(frozen=True)
class Work:
    """A model and the videos that go through it.

    Attributes:
        model: its name; or "LSTMs": those of AttentionLSTM alone.
        precision: "32" or "bf16".
        training: forward, loss and backward; else forward.
        lengths: frames of each video; segments where the model takes clips.
        passes: over the videos in a round.
    """

    model: str
    precision: str
    training: bool
    lengths: tuple[int, ...]
    passes: int


class Passes(Bench):
    """A peer whose `once` goes over the videos once; what it computed stays until the next time."""

    def once(self) -> None:
        raise NotImplementedError

    def answers(self) -> list[np.ndarray]:
        """Returns what the last pass computed, float32."""
        raise NotImplementedError

    def run(self, case: Work) -> None:
        for _ in range(case.passes):
            self.once()

    def check(self, case: Work) -> list[np.ndarray]:
        self.once()
        return self.answers()


def two_threads() -> None:
    """Must come before anything that computes is imported: OpenMP reads this once."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    os.environ.update(dict.fromkeys(names, str(THREADS)))


def two_torch_threads() -> None:
    from videozoo.distributed import settle_process

    two_threads()
    settle_process()
    import torch

    torch.set_num_threads(THREADS)


def autocast(precision: str) -> AbstractContextManager[object]:
    import torch

    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16")


def draw_norms(model: nn.Module) -> None:
    """Gives batch norms statistics and weights as if they were trained."""
    from torch import nn

    from videozoo.models.batch_norm import BatchNorm

    for module in model.modules():
        if isinstance(module, BatchNorm):
            if module.weight is not None:
                nn.init.uniform_(module.weight, 0.5, 1.0)
                nn.init.normal_(module.bias, std=0.1)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)


def made_model(name: str, *, training: bool) -> nn.Module:
    """Makes a model of the published size; in training without dropout, so that it can be compared.

    Batch norms get statistics and weights as if they were trained, which must be right in a copy.
    """
    import torch

    from videozoo.specs import build_model

    torch.manual_seed(0)
    without = {"drop_rate": 0.0} if training else {}
    model = build_model(name, **ARGUMENTS[name], **without)
    draw_norms(model)
    return model.train(training)


def made_inputs(work: Work) -> tuple[Any, ...]:
    """Returns what the model's forward takes; features are padded with zeros."""
    import torch

    torch.manual_seed(1)
    if work.model == "TSN":
        return (torch.randn(len(work.lengths), work.lengths[0], 3, 224, 224),)
    lengths = torch.tensor(work.lengths)
    frames = int(lengths.max())
    real = (torch.arange(frames) < lengths[:, None])[:, :, None]  # [B, L, 1]
    features = [torch.rand(len(lengths), frames, d).mul(4).sub(2) * real for d in DIMS]
    return features, lengths


def made_labels(work: Work) -> Tensor:
    """Returns bool labels, three or so of each video."""
    import torch

    torch.manual_seed(2)
    return torch.rand(len(work.lengths), CLASSES) < 3 / CLASSES


class ModelPasses(Passes):
    """Forward of a model, or forward, loss and backward.

    Args:
        work: the model's work.
        model: computes logits; in training its parameters get gradients.
        first: the parameter whose gradient is compared.
    """

    def __init__(self, work: Work, model: Callable[..., Tensor], first: Tensor | None) -> None:
        from videozoo.metrics.losses import feature_loss

        self.work, self.model, self.first = work, model, first
        self.inputs = made_inputs(work)
        self.labels = made_labels(work) if work.training else None
        self.loss = feature_loss
        self.parameters: list[nn.Parameter] = []

    def once(self) -> None:
        import torch

        # torch.compile cannot lay weights out once under inference_mode; the two are equally fast
        with torch.set_grad_enabled(self.work.training), autocast(self.work.precision):
            self.logits = self.model(*self.inputs)
            if self.work.training:
                loss = self.loss(self.logits, self.labels).mean()
        if self.work.training:
            for parameter in self.parameters:
                parameter.grad = None
            loss.backward()

    def answers(self) -> list[np.ndarray]:
        tensors = [self.logits]
        if self.work.training:
            assert self.first is not None
            tensors.append(self.first.grad)
        return [as_array(tensor) for tensor in tensors]


def as_array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().float().numpy().copy()


class Written(ModelPasses):
    """A model as it is written, without anything done to it."""

    def __init__(self, work: Work) -> None:
        two_torch_threads()
        model = made_model(work.model, training=work.training)
        super().__init__(work, self.changed(model, work), first_of(work, model))
        self.parameters = list(model.parameters())

    def changed(self, model: nn.Module, work: Work) -> Callable[..., Tensor]:
        return model


class Videozoo(Written):
    """Ours: what train runs, or what test and infer run: packed weights, folded norms."""

    def changed(self, model: nn.Module, work: Work) -> Callable[..., Tensor]:
        return model if work.training else scoring(model, work.precision)


class Compiled(Written):
    """The model through torch.compile.

    Args:
        work: the model's work.
        freezing: weights are constants: folded, converted and laid out while compiling.
        channels_last: weights are in this layout beforehand; images always are.
    """

    def __init__(self, work: Work, freezing: bool = False, channels_last: bool = False) -> None:
        self.freezing, self.channels_last = freezing, channels_last
        super().__init__(work)

    def changed(self, model: nn.Module, work: Work) -> Callable[..., Tensor]:
        import torch
        import torch._inductor.config

        torch._inductor.config.freezing = self.freezing
        if self.channels_last:
            model = model.to(memory_format=torch.channels_last)
        compiled: Callable[..., Tensor] = torch.compile(model)
        return compiled


def scoring(model: nn.Module, precision: str) -> nn.Module:
    """Returns the copy of a model that test and infer run."""
    from torch import nn

    from videozoo.classifier import Classifier

    classifier = Classifier(inputs=nn.Identity(), model=model, multi_label=True)
    return classifier.for_inference(precision).model


def first_of(work: Work, model: nn.Module) -> Tensor | None:
    return model.get_parameter(FIRST_WEIGHTS[work.model]) if work.training else None
