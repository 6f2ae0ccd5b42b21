"""What version 0.1.0 wrote still loads, though keys of the weights have other names today."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from videozoo.checkpoints.backbones import start_from
from videozoo.checkpoints.native import load_native, read_safetensors, with_todays_keys
from videozoo.classifier import load_weights
from videozoo.models import AttentionLSTM

DATA = Path(__file__).parent / "data"
OLD = DATA / "AttentionLSTM_0.1.0.safetensors"


def fresh(num_classes: int = 3) -> AttentionLSTM:
    return AttentionLSTM(
        feature_dims=[3],
        num_classes=num_classes,
        embedding_size=3,
        lstm_size=3,
        hidden_sizes=(4, 3),
    )


def assert_scores_of_then(model: torch.nn.Module) -> None:
    features, lengths = torch.linspace(-1, 1, 24).view(2, 4, 3), torch.tensor([4, 2])
    wanted: dict[str, Any] = json.loads((DATA / "AttentionLSTM_0.1.0.json").read_text())
    with torch.inference_mode():
        scores = model.eval()([features], lengths).sigmoid()
    torch.testing.assert_close(scores, torch.tensor(wanted["epoch1"]), rtol=0, atol=1e-6)


def test_weights_of_then_give_the_scores_of_then() -> None:
    old = read_safetensors(OLD)
    assert "modalities.0.ahead.weight" in old
    found = load_native(OLD)
    assert found.state_dict.keys() == fresh().state_dict().keys()
    assert torch.equal(
        found.state_dict["modalities.0.backward_lstm.bias"], old["modalities.0.back.bias"]
    )
    model = fresh()
    model.load_state_dict(found.state_dict)
    assert_scores_of_then(model)
    assert_scores_of_then(load_weights(OLD).classifier.model)


def test_directions_are_not_mixed_up() -> None:
    model = fresh()
    other = {"forward_lstm": "backward_lstm", "backward_lstm": "forward_lstm"}
    state = {
        ".".join(other.get(part, part) for part in key.split(".")): value
        for key, value in load_native(OLD).state_dict.items()
    }
    model.load_state_dict(state)
    with pytest.raises(AssertionError):
        assert_scores_of_then(model)


def test_training_starts_from_weights_of_then() -> None:
    model = fresh()
    assert start_from(model, OLD, model_name="AttentionLSTM") == []
    assert_scores_of_then(model)
    said = start_from(fresh(num_classes=5), OLD, model_name="AttentionLSTM")
    assert said == ["head replaced: weights have 3 classes, this model 5"]


def test_the_weights_of_a_training_state_of_then_get_todays_keys() -> None:
    saved = torch.load(OLD.with_suffix(".state"), weights_only=True)
    model = fresh()
    model.load_state_dict(with_todays_keys("attentionlstm", saved["model"]))
    assert_scores_of_then(model)


def test_keys_of_other_models_stay() -> None:
    state = {"a.back.weight": torch.zeros(1), "a.ahead.": torch.ones(1)}
    assert with_todays_keys("TSN", state) == state
    today = fresh().state_dict()
    assert list(with_todays_keys("AttentionLSTM", today)) == list(today)
