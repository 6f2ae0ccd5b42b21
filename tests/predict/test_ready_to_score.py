"""Videos are scored by a folded copy; the classifier itself stays what it is."""

from __future__ import annotations

import pytest
import torch

from tiny import World
from videozoo.classifier import load_weights
from videozoo.models.batch_norm import BatchNorm
from videozoo.models.cpu import FoldedConv


@pytest.mark.parametrize(("precision", "dtype"), [("32", torch.float32), ("bf16", torch.bfloat16)])
def test_clips_are_scored_by_a_folded_copy(
    clip_data: World, precision: str, dtype: torch.dtype
) -> None:
    classifier = load_weights(clip_data.weights).classifier
    ready = classifier.for_inference(precision)
    assert ready is not classifier
    assert ready.inputs is classifier.inputs
    convs = [module for module in ready.modules() if isinstance(module, FoldedConv)]
    assert convs
    assert {conv.weight.dtype for conv in convs} == {dtype}
    assert not any(isinstance(module, FoldedConv) for module in classifier.modules())
    assert any(isinstance(module, BatchNorm) for module in classifier.modules())


def test_features_are_scored_by_a_copy(feature_data: World) -> None:
    classifier = load_weights(feature_data.weights).classifier
    before = {key: value.clone() for key, value in classifier.model.state_dict().items()}
    ready = classifier.for_inference("32")
    assert ready.inputs is classifier.inputs
    assert not ready.training
    after = classifier.model.state_dict()
    assert all(torch.equal(after[key], value) for key, value in before.items())
