"""What is said of keys that have no effect, and of those that a resumed training changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_training import experiment_of, run_quietly, write_clips, write_shards

from videozoo.config import resolve
from videozoo.config.ini import Values
from videozoo.specs import find_spec
from videozoo.tasks.fit import Fit
from videozoo.tasks.plan import not_applied, schedule_videos


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


def test_keys_say_their_scope() -> None:
    features, clips = find_spec("NEXTVLAD").keys, find_spec("TSN").keys
    recipe = {
        "schedule", "warmup_steps", "label_smoothing", "mixup_alpha", "class_weights", "sampler",
        "ema_decay", "early_stopping",
    }  # fmt: skip
    crops = {"random_resized_crop", "scale_jitter", "color_jitter", "rand_augment"}
    assert clips.keys_of("training") == recipe | crops | {"freeze_stages", "layer_decay"}
    distilling = {"frame_drop", "distill_from", "distill_weight"}
    assert features.keys_of("training") == recipe | distilling
    assert clips.keys_of("order") == {"batch_size", "seed", "sampler"}
    free = features.keys_of("free")
    assert free >= {"label_file", "filelist", "num_workers", "eigen_file", "early_stopping"}
    assert not free & {"epoch", "learning_rate", "precision", "feature_dims", "frame_drop"}


def groups_of(run: Fit) -> list[dict[str, float]]:
    assert run.trainer is not None
    keys = ("weight_decay", "momentum", "rate_scale")
    groups = run.trainer.optimizers[0].param_groups
    return [{key: group[key] for key in keys if key in group} for group in groups]


def test_a_resumed_training_takes_the_configs_decays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Fit] = []
    go = Fit.go
    monkeypatch.setattr(Fit, "go", lambda self: (runs.append(self), go(self))[1])
    features, clips = write_shards(tmp_path / "a", 4), write_clips(tmp_path / "b", 2)
    cases: list[tuple[str, Path, dict[str, Any], dict[str, Any]]] = [
        ("AttentionLSTM", features, {"weight_decay": 0.1}, {"weight_decay": 0.5}),
        ("TSN", clips, {"layer_decay": 0.5}, {"layer_decay": 0.9, "momentum": 0.5}),
    ]
    for model, listing, first, then in cases:
        run_quietly(experiment_of(model, listing, epoch=1, **first), tmp_path / "save")
        longer = experiment_of(model, listing, epoch=2, **then)
        _, told = run_quietly(longer, tmp_path / "save", resume="auto")
        assert "warning: resuming a training that has changed: " in told
    decays = [group["weight_decay"] for group in groups_of(runs[1])]
    assert decays == [0.5, 0.0]
    groups = groups_of(runs[3])
    assert [group["rate_scale"] for group in groups] == pytest.approx([0.9**n for n in range(6)])
    assert {group["momentum"] for group in groups} == {0.5}


def test_only_what_has_changed_is_named(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "a", 4)

    def changes(**keys: Any) -> list[str]:
        experiment = experiment_of("AttentionCluster", listing, **keys)
        _, told = run_quietly(experiment, tmp_path / "save", resume="auto")
        start = "warning: resuming a training that has changed: "
        lines = [line for line in told.splitlines() if line.startswith(start)]
        return [change for line in lines for change in line.removeprefix(start).split(", ")]

    assert changes(epoch=2) == []
    assert changes(epoch=3, schedule="cosine") == ["schedule was None and is cosine"]
    assert changes(epoch=4, schedule="cosine") == ["epoch was 3 and is 4"]
    assert changes(epoch=5) == ["schedule was cosine and is None"]
    clips = write_clips(tmp_path / "b", 2)
    run_quietly(experiment_of("TSN", clips, epoch=1), tmp_path / "clips")
    ten = experiment_of("TSN", clips, epoch=1, test_crop="ten")
    assert "warning" not in run_quietly(ten, tmp_path / "clips", resume="auto")[1]
