"""The keys of training recipes: what they take, and what is said where they make no sense."""

from __future__ import annotations

from typing import Any

import pytest

from videozoo.config import load_experiment, resolve
from videozoo.errors import VideozooError
from videozoo.specs import SPECS, find_spec

RECIPE_OFF: dict[str, Any] = {
    "schedule": None,
    "warmup_steps": 0,
    "label_smoothing": 0.0,
    "mixup_alpha": 0.0,
    "class_weights": None,
    "sampler": None,
    "ema_decay": None,
    "early_stopping": None,
    "frame_drop": 0.0,
    "distill_from": None,
    "random_resized_crop": None,
    "scale_jitter": None,
    "color_jitter": None,
    "rand_augment": None,
    "freeze_stages": 0,
    "layer_decay": None,
}


def resolved(model: str, **keys: Any) -> Any:
    return resolve(
        find_spec(model).keys, {"MODEL": {"num_classes": 3}, "TRAIN": keys}, source="c.txt"
    )["TRAIN"]


@pytest.mark.parametrize("model", SPECS)
def test_every_key_is_off_in_the_configs_that_come_with_videozoo(model: str) -> None:
    for settings in load_experiment(find_spec(model).keys, None).modes.values():
        values = settings.model_dump()
        assert {k: v for k, v in values.items() if k in RECIPE_OFF} == {
            k: v for k, v in RECIPE_OFF.items() if k in values
        }


def test_the_keys_are_of_the_models_that_know_them() -> None:
    clips = set(SPECS["TSN"].keys.model_fields)
    features = set(SPECS["NEXTVLAD"].keys.model_fields)
    assert set(RECIPE_OFF) <= clips | features
    assert {"frame_drop", "distill_from"} <= features - clips
    assert {"freeze_stages", "layer_decay", "rand_augment"} <= clips - features


@pytest.mark.parametrize("key", ["mixup_alpha", "learning_rate", "l2_weight_decay"])
def test_numbers_are_finite(key: str) -> None:
    with pytest.raises(VideozooError, match=f"{key}: input should be a finite number"):
        resolved("TSN", **{key: float("inf")})


def test_whole_numbers_are_taken_for_fractions() -> None:
    settings = resolved("TSN", scale_jitter=[1, 0.875], mixup_alpha=1, class_weights=[1, 2, 0.5])
    assert settings.scale_jitter == [1, 0.875]


@pytest.mark.parametrize(
    ("model", "keys", "said"),
    [
        ("TSN", {"label_smoothing": 1.0}, "less than 1"),
        ("TSN", {"mixup_alpha": -0.1}, "greater than or equal to 0"),
        ("TSN", {"ema_decay": 1.0}, "less than 1"),
        ("TSN", {"schedule": "step"}, "'cosine'"),
        ("TSN", {"class_weights": [1, 2]}, "class_weights has 2 entries, num_classes is 3"),
        ("TSN", {"class_weights": [1, 2, 0]}, "greater than 0"),
        ("TSN", {"class_weights": "balanced", "sampler": "balanced"}, "corrects twice"),
        ("TSN", {"random_resized_crop": [0.5]}, "at least 2 items"),
        ("TSN", {"random_resized_crop": [0.5, 0.2]}, r"\[least, most\], but 0.5 > 0.2"),
        ("TSN", {"scale_jitter": [1.5]}, "less than or equal to 1"),
        ("TSN", {"scale_jitter": []}, "at least 1 item"),
        (
            "STNET",
            {"scale_jitter": [1.0], "random_resized_crop": [0.5, 1.0]},
            "two ways to crop; leave one",
        ),
        ("TSN", {"color_jitter": [0.4, 0.4, 0.4]}, "at least 4 items"),
        ("TSN", {"color_jitter": [0.4, 0.4, 0.4, 0.6]}, "0.5 is half of the circle"),
        ("TSN", {"rand_augment": [0, 5]}, r"not \[0, 5\]"),
        ("TSN", {"rand_augment": [2, 11]}, r"not \[2, 11\]"),
        ("TSN", {"freeze_stages": 6}, "less than or equal to 5"),
        ("TSN", {"layer_decay": 0.0}, "greater than 0"),
        ("TSN", {"early_stopping": 0}, "greater than or equal to 1"),
        ("TSN", {"frame_drop": 0.1}, "TSN has no such key"),
        ("NEXTVLAD", {"frame_drop": 1.0}, "less than 1"),
        ("NEXTVLAD", {"distill_weight": 0.0}, "greater than 0"),
        ("NEXTVLAD", {"distill_from": []}, "at least 1 item"),
        ("NEXTVLAD", {"rand_augment": [2, 5]}, "NEXTVLAD has no such key"),
    ],
)
def test_what_makes_no_sense_is_said(model: str, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(VideozooError, match=said):
        resolved(model, **keys)
