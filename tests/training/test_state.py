"""What is said of keys that a resumed training changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_training import experiment_of, run_quietly, write_clips, write_shards
from torch.optim import Optimizer

from videozoo.specs import find_spec
from videozoo.training import run
from videozoo.training.state import Position


def test_keys_say_their_scope() -> None:
    features, clips = find_spec("NEXTVLAD").keys, find_spec("TSN").keys
    recipe = {
        "schedule", "warmup_steps", "label_smoothing", "mixup_alpha", "class_weights", "sampler",
        "ema_decay", "early_stopping", "optimizer", "optimizer_options",
    }  # fmt: skip
    crops = {"random_resized_crop", "scale_jitter", "color_jitter", "rand_augment"}
    assert clips.keys_of("training") == recipe | crops | {"freeze_stages", "layer_decay"}
    distilling = {"frame_drop", "distill_from", "distill_weight"}
    assert features.keys_of("training") == recipe | distilling
    assert clips.keys_of("order") == {"batch_size", "seed", "sampler"}
    free = features.keys_of("free")
    assert free >= {"label_file", "filelist", "num_workers", "eigen_file", "early_stopping"}
    assert not free & {"epoch", "learning_rate", "precision", "feature_dims", "frame_drop"}


def groups_of(optimizer: Optimizer) -> list[dict[str, float]]:
    keys = ("weight_decay", "momentum", "rate_scale")
    return [{key: group[key] for key in keys if key in group} for group in optimizer.param_groups]


def test_a_resumed_training_takes_the_configs_decays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    optimizers: list[Optimizer] = []
    make = run.make_optimizer

    def noting(*given: Any) -> Optimizer:
        optimizers.append(make(*given))
        return optimizers[-1]

    monkeypatch.setattr(run, "make_optimizer", noting)
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
    decays = [group["weight_decay"] for group in groups_of(optimizers[1])]
    assert decays == [0.5, 0.0]
    groups = groups_of(optimizers[3])
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


def test_a_score_that_is_no_number_is_no_best() -> None:
    position = Position()
    assert not position.take_score(float("nan"))
    assert position.take_score(0.5)
    assert not position.take_score(float("nan"))
    assert not position.take_score(0.4)
    assert (position.best, position.worse) == (0.5, 2)
