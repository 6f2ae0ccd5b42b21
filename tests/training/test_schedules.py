from __future__ import annotations

from typing import Any

import pytest
from small_training import model_keys

from videozoo.config import resolve
from videozoo.config.ini import Values
from videozoo.specs import SPECS, find_spec
from videozoo.specs.schedules import (
    at_epochs,
    cosine,
    piecewise,
    staircase,
    thirds_of_epochs,
    warm_up,
)
from videozoo.training.schedules import learning_rate, not_applied, schedule_videos


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 1), (9, 1), (10, 0.1), (19, 0.1), (20, 0.01), (1000, 0.01)]
)
def test_piecewise_decays_when_the_boundary_is_reached(step: int, factor: float) -> None:
    assert piecewise(step, boundaries=[10, 20], decay=0.1) == pytest.approx(factor)


def test_piecewise_without_boundaries_is_constant() -> None:
    assert piecewise(10**6, boundaries=[], decay=0.1) == 1


@pytest.mark.parametrize(
    ("epochs", "videos", "batch", "boundaries"),
    [
        (60, 224684, 128, [20 * 1756, 40 * 1756]),
        (45, 224684, 256, [15 * 878, 30 * 878]),
        (3, 100, 10, [11, 22]),  # 100 / 10 + 1: the original counts one more where it divides
        (3, 99, 10, [10, 20]),
        (1, 100, 10, [11 / 3, 22 / 3]),
    ],
)
def test_thirds_of_epochs(epochs: int, videos: int, batch: int, boundaries: list[float]) -> None:
    found = thirds_of_epochs(epochs=epochs, total_videos=videos, batch_size=batch)
    assert found == pytest.approx(boundaries)


def test_at_epochs() -> None:
    assert at_epochs(epochs=[5], num_samples=5_000_000, batch_size=1024) == [5 * 5_000_000 / 1024]
    assert at_epochs(epochs=[2, 4], num_samples=10, batch_size=4) == [5, 10]
    assert at_epochs(epochs=[], num_samples=10, batch_size=4) == []


@pytest.mark.parametrize(
    ("step", "factor"), [(0, 1), (3, 1), (4, 0.8), (8, 0.64), (11, 0.64), (12, 0.64), (99, 0.64)]
)
def test_staircase_stops_at_its_last_step(step: int, factor: float) -> None:
    assert staircase(step, every=4, decay=0.8, last_step=10) == pytest.approx(factor)


def test_staircase_of_a_list_shorter_than_a_batch() -> None:
    assert staircase(2, every=0, decay=0.5, last_step=100) == 0.25


@pytest.mark.parametrize(
    ("model", "keys", "steps", "rates"),
    [
        ("TSN", {"epoch": 3, "batch_size": 10, "learning_rate": 1.0},
         [0, 10, 11, 22], [1, 1, 0.1, 0.01]),
        ("STNET", {"epoch": 3, "batch_size": 10, "learning_rate": 1.0, "learning_rate_decay": 0.5},
         [10, 11, 22], [1, 0.5, 0.25]),
        ("AttentionLSTM", {"decay_epochs": [1], "batch_size": 8, "learning_rate": 1.0},
         [12, 13], [1, 0.1]),
        ("AttentionCluster", {"batch_size": 8, "learning_rate": 0.5}, [0, 10**6], [0.5, 0.5]),
        ("NEXTVLAD", {"batch_size": 40, "learning_rate": 1.0}, [1, 2, 4], [1, 0.8, 0.64]),
        ("NEXTVLAD", {"batch_size": 40, "learning_rate": 1.0, "max_iter": 3}, [3, 4], [0.8, 0.8]),
    ],
)  # fmt: skip
def test_the_rates_of_the_models(
    model: str, keys: dict[str, object], steps: list[int], rates: list[float]
) -> None:
    spec = SPECS[model]
    settings = spec.keys.model_validate(model_keys(model, **keys))
    rate = learning_rate(spec, settings, videos=100, steps=100)
    assert [rate(step) for step in steps] == pytest.approx(rates)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("TSN", "total_videos"),
        ("AttentionLSTM", "num_samples"),
        ("NEXTVLAD", "lr_boundary_examples"),
    ],
)
def test_what_the_schedule_counts_by(model: str, key: str) -> None:
    def chosen(value: object) -> tuple[int, str | None]:
        settings = SPECS[model].keys.model_validate(model_keys(model, **{key: value}))
        return schedule_videos(settings, 1000)

    assert chosen("auto") == chosen(None) == (1000, None)
    assert chosen(1100) == (1100, None)  # 10 % are not worth a word
    assert chosen(900) == (900, None)
    for value in (899, 1101, 224684):
        videos, warning = chosen(value)
        assert videos == value
        assert warning is not None
        assert key in warning
        assert str(value) in warning
        assert f"--set TRAIN.{key}=auto" in warning


def test_attention_cluster_counts_the_list() -> None:
    settings = SPECS["AttentionCluster"].keys.model_validate(model_keys("AttentionCluster"))
    assert schedule_videos(settings, 7) == (7, None)


@pytest.mark.parametrize(
    ("step", "factor"),
    [(0, 1), (10, 1), (20, 0.853553), (30, 0.5), (40, 0.146447), (50, 0), (99, 0)],
)
def test_the_cosine_falls_from_its_first_step_to_its_last(step: int, factor: float) -> None:
    assert cosine(step, first=10, last=50) == pytest.approx(factor, abs=1e-6)


@pytest.mark.parametrize(("step", "factor"), [(0, 0.25), (1, 0.5), (2, 0.75), (3, 1), (9, 1)])
def test_the_rate_rises_in_a_line(step: int, factor: float) -> None:
    assert warm_up(step, steps=4) == factor
    assert warm_up(step, steps=0) == 1


def rates(model: str, *, steps: int, **keys: object) -> list[float]:
    spec = SPECS[model]
    settings = spec.keys.model_validate(model_keys(model, learning_rate=0.5, **keys))
    rate = learning_rate(spec, settings, videos=100, steps=steps)
    return [rate(step) for step in range(steps)]


def test_training_follows_the_cosine_with_warm_up() -> None:
    found = rates("AttentionCluster", steps=6, schedule="cosine", warmup_steps=2)
    assert found == pytest.approx([0.25, 0.5, 0.5, 0.426777, 0.25, 0.073223], abs=1e-6)


def test_warm_up_goes_with_the_models_own_schedule() -> None:
    keys = {"decay_epochs": [1], "batch_size": 50, "decay_gamma": 0.1}
    plain = rates("AttentionLSTM", steps=4, **keys)
    assert plain == pytest.approx([0.5, 0.5, 0.05, 0.05])
    found = rates("AttentionLSTM", steps=4, warmup_steps=4, **keys)
    assert found == pytest.approx([0.125, 0.25, 0.0375, 0.05])


def said(model: str, values: Values, **typed: Any) -> list[str]:
    overrides = {tuple(key.split("_", 1)): value for key, value in typed.items()}
    values = {"MODEL": {"num_classes": 2}} | values
    return not_applied(resolve(find_spec(model).keys, values, source="c", overrides=overrides))  # type: ignore[arg-type]


def test_keys_of_training_in_another_section() -> None:
    assert said("TSN", {"VALID": {"ema_decay": 0.9}, "TEST": {"seg_num": 7}}) == [
        "ema_decay of [VALID] is not applied: give it in [TRAIN]"
    ]
    assert said("NEXTVLAD", {}, TEST_frame_drop=0.5) == [
        "frame_drop of [TEST] is not applied: give it in [TRAIN]"
    ]
    recipe = {"mixup_alpha": 0.2, "rand_augment": [2, 9]}
    assert said("TSN", {"MODEL": {"num_classes": 2, **recipe}}, TRAIN_mixup_alpha=0.0) == []
    assert said("TSN", dict.fromkeys(("TRAIN", "VALID", "TEST", "INFER"), recipe)) == []


def test_keys_that_need_another_one() -> None:
    assert said("NEXTVLAD", {"TRAIN": {"distill_weight": 0.7}}) == [
        "distill_weight is not applied: distill_from names no models"
    ]
    taught = {"distill_weight": 0.7, "distill_from": ["a.safetensors"]}
    assert said("NEXTVLAD", {"TRAIN": taught}) == []
    (sentence,) = said("NEXTVLAD", {"TRAIN": {"gradient_clip_norm": 1.0}})
    assert sentence.startswith("gradient_clip_norm is not applied, as in the original")
    clipped = {"gradient_clip_norm": 1.0, "clip_gradients": True}
    assert said("NEXTVLAD", {"TRAIN": clipped}) == []


def test_a_count_of_videos_is_only_told_of_where_the_rate_follows_it() -> None:
    def warning(**keys: Any) -> str | None:
        values = {"MODEL": {"num_classes": 2}, "TRAIN": {"total_videos": 1000, **keys}}
        return schedule_videos(resolve(find_spec("TSN").keys, values, source="c")["TRAIN"], 10)[1]

    assert "total_videos is 1000, but the training list has 10 samples" in str(warning())
    assert warning(schedule="cosine") is None
