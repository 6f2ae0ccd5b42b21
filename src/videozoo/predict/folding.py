"""The copy of a classifier that scores, made again only when the weights have changed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from videozoo.models.cpu import for_inference
from videozoo.predict.inputs import Classifier


def ready_to_score(classifier: Classifier, precision: str) -> Classifier:
    """Returns a copy that computes a classifier's scores fastest: in test mode, norms folded.

    Args:
        classifier: its weights stay.
        precision: '32', or 'bf16' to be run in `autocast`.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = for_inference(classifier.model, dtype=dtype)
    ready = Classifier(inputs=classifier.inputs, model=model, multi_label=classifier.multi_label)
    return ready.eval()


class FoldedOnce:
    """Does what `ready_to_score` does, and keeps the result until the weights change.

    A change is seen as autograd sees one: by PyTorch's count of a tensor's changes in place, or by
    other memory. A change in place through `tensor.data` is not counted, nor is a step of a fused
    optimizer: they are seen by a number of each weight, the last.
    """

    def __init__(self) -> None:
        self._ready: Classifier | None = None
        self._made_of: tuple[Classifier, str] | None = None
        self._seen: list[tuple[Tensor, int]] = []  # each weight and its count
        self._last = torch.empty(0)

    def __call__(self, classifier: Classifier, precision: str) -> Classifier:
        """Returns the classifier that scores; see `ready_to_score`."""
        if self._ready is None or not self._is_of(classifier, precision):
            self._ready = ready_to_score(classifier, precision)
            self._made_of = (classifier, precision)
            # Views keep the memory they were made of, so no other weight can take its address.
            self._seen = [(t.detach(), _changes(t)) for t in _weights(classifier.model)]
            self._last = _last_numbers(classifier.model)
        return self._ready

    def _is_of(self, classifier: Classifier, precision: str) -> bool:
        if self._made_of is None or self._made_of[0] is not classifier:
            return False
        now = _weights(classifier.model)
        return (
            self._made_of[1] == precision
            and len(now) == len(self._seen)
            and all(_is_same(t, *seen) for t, seen in zip(now, self._seen, strict=True))
            and torch.equal(_last_numbers(classifier.model), self._last)
        )


def _weights(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _last_numbers(model: nn.Module) -> Tensor:
    """Returns the last number of each parameter."""
    with torch.no_grad():
        numbers = [p[(-1,) * p.ndim] for p in model.parameters() if p.numel()]
        return torch.stack(numbers) if numbers else torch.empty(0)


def _changes(tensor: Tensor) -> int:
    """Returns how often a tensor was changed in place; -1 where PyTorch does not count."""
    return -1 if tensor.is_inference() else tensor._version


def _is_same(tensor: Tensor, seen: Tensor, changes: int) -> bool:
    return changes >= 0 and tensor.data_ptr() == seen.data_ptr() and _changes(tensor) == changes
