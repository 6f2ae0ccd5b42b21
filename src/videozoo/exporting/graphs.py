"""What is exported: a classifier, bytes in and scores out; an encoder, frames in and rows out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from videozoo.checkpoints.exports import GraphInput
from videozoo.classifier import Classifier
from videozoo.encoders.encoder import Encoder
from videozoo.families.family import Family
from videozoo.models.layers import full_precision

Tensors = tuple[Tensor, ...]


@dataclass(frozen=True)
class Graph:
    """A graph to be: what is traced, and what its answers must equal.

    Attributes:
        part: "model" or "encoder".
        module: what is traced; takes the inputs in their order, returns the outputs.
        reference: gives the same in PyTorch as everybody else is given it.
        inputs: what it takes.
        outputs: names of what it returns.
        sizes: of the free sizes, at which the answers are compared, by name.
    """

    part: str
    module: nn.Module
    reference: Callable[..., Tensors]
    inputs: list[GraphInput]
    outputs: list[str]
    sizes: list[dict[str, int]]

    def example(self, sizes: dict[str, int]) -> Tensors:
        """Returns made-up inputs of these sizes: bytes at random, lengths that differ."""
        generator = torch.Generator().manual_seed(sum(sizes.values()))
        found = []
        for one in self.inputs:
            shape = [sizes[size] if isinstance(size, str) else size for size in one.shape]
            high = 256 if one.dtype == "uint8" else sizes["length"] + 1
            low = 0 if one.dtype == "uint8" else 1
            values = torch.randint(low, high, shape, generator=generator)
            found.append(values.to(getattr(torch, one.dtype)))
        return tuple(found)


class _Scores(nn.Module):
    """A classifier's logits and scores of the tensors of a batch."""

    def __init__(self, classifier: Classifier, family: Family) -> None:
        super().__init__()
        self.classifier, self.family = classifier, family

    def forward(self, *tensors: Tensor) -> Tensors:
        arguments = self.classifier.inputs(self.family.graph_batch(tensors))
        model = self.classifier.model
        forward = getattr(model, "forward_padded", model.forward)
        logits = full_precision(forward(*arguments))  # [B, K]
        return logits, self.classifier.scores(logits)


def model_graph(classifier: Classifier, family: Family) -> Graph:
    """Returns the graph of a classifier in test mode, on the CPU: logits and scores [B, K]."""
    inputs = family.graph_inputs()
    free = inputs[0].shape[1]  # "length" or "segments"
    plan = [(1, 1), (2, 5), (5, 300)] if free == "length" else [(1, 1), (2, 3), (3, 5)]

    def reference(*tensors: Tensor) -> Tensors:
        logits = full_precision(classifier(family.graph_batch(tensors)))
        return logits, classifier.scores(logits)

    return Graph(
        part="model",
        module=_Scores(classifier, family).eval(),
        reference=reference,
        inputs=inputs,
        outputs=["logits", "scores"],
        sizes=[{"batch": batch, str(free): size} for batch, size in plan],
    )


def encoder_graph(encoder: Encoder) -> Graph:
    """Returns the graph of an encoder that is open on the CPU: rows float32 [n, D] a modality.

    Raises:
        VideozooError: it has no network to export.
    """
    network, framing = encoder.network().eval(), encoder.framing
    shape = ("rows", encoder.window, 3, framing.height, framing.width)
    return Graph(
        part="encoder",
        module=_Positional(network),
        reference=network,
        inputs=[GraphInput("frames", "uint8", shape)],
        outputs=list(encoder.dims),
        sizes=[{"rows": count} for count in (1, 2, 5)],
    )


class _Positional(nn.Module):
    """Takes tensors by their places, as all graphs do."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> Tensors:
        found: Tensors = tuple(self.network(*tensors))
        return found
