"""A predictor folds its weights once, and again when they have changed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import videozoo
from tiny import World
from videozoo.predict import folding
from videozoo.predict.folding import FoldedOnce
from videozoo.predict.predictor import Predictor, Result


@pytest.fixture
def folds(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The precision of every fold."""
    made: list[torch.dtype] = []
    fold = folding.for_inference

    def spy(model: nn.Module, *, dtype: torch.dtype) -> nn.Module:
        made.append(dtype)
        return fold(model, dtype=dtype)

    monkeypatch.setattr(folding, "for_inference", spy)
    return made


def predicted(predictor: Predictor, world: World) -> list[Result]:
    return predictor.predict(world.files[0])


def test_weights_are_folded_at_the_first_call_alone(
    clip_data: World, folds: list[torch.dtype]
) -> None:
    predictor = videozoo.load(clip_data.weights, use_gpu=False)
    assert not folds
    first = predicted(predictor, clip_data)
    assert predicted(predictor, clip_data) == predicted(predictor, clip_data) == first
    assert folds == [torch.float32]


def in_place(model: nn.Module) -> None:
    with torch.no_grad():
        model.fc.bias.add_(torch.tensor([1.0, 0.0, -1.0]))


def loaded(model: nn.Module) -> None:
    model.load_state_dict({key: value * 1.5 for key, value in model.state_dict().items()})


def other_memory(model: nn.Module) -> None:
    model.fc.weight.data = model.fc.weight.data * 2


def other_parameter(model: nn.Module) -> None:
    model.fc.weight = nn.Parameter(model.fc.weight.detach() * 2)


def statistics(model: nn.Module) -> None:
    model.backbone.bn1.running_mean.add_(1.0)


def fused_step(model: nn.Module) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.rand_like(parameter) - 0.5
    torch.optim.Adam(model.parameters(), lr=0.1, fused=True).step()


@pytest.mark.parametrize(
    "change", [in_place, loaded, other_memory, other_parameter, statistics, fused_step]
)
def test_changed_weights_are_folded_again(
    clip_data: World, folds: list[torch.dtype], change: object
) -> None:
    predictor = videozoo.load(clip_data.weights, use_gpu=False)
    before = predicted(predictor, clip_data)
    change(predictor.classifier.model)  # type: ignore[operator]
    after = predicted(predictor, clip_data)
    assert after != before
    assert predicted(predictor, clip_data) == after
    assert len(folds) == 2
    fresh = Predictor(
        classifier=predictor.classifier,
        settings=predictor.settings,
        labels=predictor.labels,
        device=predictor.device,
    )
    assert predicted(fresh, clip_data) == after


def test_memory_that_was_free_for_a_while_is_not_taken_for_the_old(clip_data: World) -> None:
    classifier = videozoo.load(clip_data.weights, use_gpu=False).classifier
    once = FoldedOnce()
    ready = once(classifier, "32")
    for _ in range(3):  # an allocator likes to give the same address again
        classifier.model.fc.weight.data = classifier.model.fc.weight.data.clone()
    assert once(classifier, "32") is not ready


def test_another_precision_is_folded_anew(clip_data: World, folds: list[torch.dtype]) -> None:
    classifier = videozoo.load(clip_data.weights, use_gpu=False).classifier
    once = FoldedOnce()
    assert once(classifier, "32") is once(classifier, "32")
    assert once(classifier, "bf16") is once(classifier, "bf16")
    assert folds == [torch.float32, torch.bfloat16]


def test_weights_whose_changes_are_not_counted_are_folded_every_time(
    clip_data: World, folds: list[torch.dtype]
) -> None:
    with torch.inference_mode():
        predictor = videozoo.load(clip_data.weights, use_gpu=False)
    for _ in range(2):
        predicted(predictor, clip_data)
    assert len(folds) == 2
