"""Trainings with the keys of recipes: what they change, and what they say."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_training import (
    Steps,
    assert_equal,
    experiment_of,
    feature_batch,
    model_keys,
    run_quietly,
    scores_to_be,
    write_clips,
    write_shards,
)

import videozoo
from videos import write_video
from videozoo.cli.main import main
from videozoo.config import resolve
from videozoo.data.augment import DevicePolicy
from videozoo.data.batch import ClipBatch
from videozoo.data.collate import collate_clips
from videozoo.data.sample import ClipSample
from videozoo.errors import VideozooError
from videozoo.families import Family, family_of
from videozoo.metrics.losses import clip_loss, feature_loss
from videozoo.specs import find_spec
from videozoo.training.regularise import Regulariser, make_regulariser
from videozoo.training.saving import Checkpoints
from videozoo.training.state import Position, load_state

EVERYTHING: dict[str, Any] = {
    "schedule": "cosine",
    "warmup_steps": 2,
    "label_smoothing": 0.1,
    "mixup_alpha": 0.4,
    "ema_decay": 0.9,
}


def family(model: str, **keys: Any) -> Family:
    return family_of(find_spec(model).keys.model_validate(model_keys(model, **keys)))


def test_a_regulariser_as_it_is_made_has_the_models_own_loss() -> None:
    batch = feature_batch([0, 1, 2])
    logits = torch.randn(3, 4)
    regulariser = Regulariser(family("AttentionCluster"))
    assert regulariser.prepare(batch) is batch
    assert torch.equal(regulariser.losses(batch, logits), feature_loss(logits, batch.labels))
    clips = collate_clips([ClipSample("a", torch.zeros(1, 3, 2, 2).byte().numpy(), (3,))])
    one = Regulariser(family("TSN", num_classes=4))
    assert torch.equal(one.losses(clips, logits[:1]), clip_loss(logits[:1], clips.labels))


def test_label_smoothing_and_mixup_in_a_step() -> None:
    batch = feature_batch([0, 1, 3])
    shares = torch.tensor([0.2, 0.5, 0.9])
    batch = replace(batch, draws=torch.cat([shares[:, None], torch.ones(3, 4)], dim=1))
    task, book = Steps("AttentionCluster"), Steps("AttentionCluster")
    task.stepper.regulariser.label_smoothing = 0.2
    task.stepper.regulariser.policy = DevicePolicy(mixup_alpha=1.0)
    task(batch)
    seen = batch.mixed(4)
    loss = feature_loss(book.classifier(seen), seen.labels, label_smoothing=0.2).mean()
    loss.backward()
    assert task.result.loss == pytest.approx(float(loss.detach()))
    wanted = book.gradients()
    for name, gradient in task.gradients().items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6, msg=name)


def test_a_policy_is_made_where_a_key_asks_for_one() -> None:
    def policy(model: str, **keys: Any) -> DevicePolicy | None:
        values = {"MODEL": {"num_classes": 2}, "TRAIN": keys}
        settings = resolve(find_spec(model).keys, values, source="c")["TRAIN"]
        return make_regulariser(family_of(settings), listed=None, teachers=()).policy

    assert policy("TSN") is None
    assert policy("NEXTVLAD", frame_drop=0.5, label_smoothing=0.1) is None
    assert policy("NEXTVLAD", mixup_alpha=0.3) == DevicePolicy(mixup_alpha=0.3)
    assert policy("TSN", rand_augment=[2, 9]) == DevicePolicy(rand_augment=(2, 9))
    jitter = [0.4, 0.4, 0.2, 0.0]
    assert policy("TSN", color_jitter=jitter) == DevicePolicy(color_jitter=(0.4, 0.4, 0.2, 0.0))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips"), 5)


AUGMENTED: dict[str, Any] = {
    "random_resized_crop": [0.3, 1.0],
    "color_jitter": [0.4, 0.4, 0.4, 0.1],
    "rand_augment": [2, 9],
    "sampler": "balanced",
    **EVERYTHING,
}


@pytest.mark.slow
def test_workers_change_nothing_of_a_training(clips: Path, tmp_path: Path) -> None:
    ends = []
    for workers in (0, 2):
        experiment = experiment_of("TSN", clips, batch_size=3, num_workers=workers, **AUGMENTED)
        trained, _ = run_quietly(experiment, tmp_path / str(workers))
        ends.append(load_file(trained.last))
    assert_equal(*ends)


@pytest.mark.slow
def test_each_key_changes_what_is_learnt(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[torch.Tensor] = []

    def save(self: Checkpoints, names: list[str], position: Position) -> None:
        saved.append(self.classifier.model.get_parameter("fc.weight").detach().clone())

    monkeypatch.setattr(Checkpoints, "save", save)
    keys = {key: {key: value} for key, value in AUGMENTED.items()}
    keys |= {"nothing": {}, "scale_jitter": {"scale_jitter": [1, 0.75, 0.5]}}
    keys |= {"layer_decay": {"layer_decay": 0.5}}
    ends: dict[str, torch.Tensor] = {}
    for name, given in keys.items():
        experiment = experiment_of("TSN", clips, batch_size=2, epoch=1, **given)
        run_quietly(experiment, tmp_path)
        ends[name] = saved[-1]
    plain = ends.pop("nothing")
    assert [name for name, weights in ends.items() if torch.equal(weights, plain)] == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"early_stopping": 2}, "early_stopping goes by validation, but .VALID. names no filelist"),
        ({"mixup_alpha": 0.2, "micro_batch": 1}, "mixup_alpha mixes the videos that go through"),
        ({"warmup_steps": 4}, "warmup_steps is 4, but the whole training has 4 steps"),
        ({"multi_label": True}, r"multi_label is True in \[TRAIN\] and False in \[VALID\]"),
        ({"freeze_stages": 2}, "keeps the first stages as they start, but they start from random"),
    ],
)
def test_keys_that_do_not_go_with_the_rest(
    keys: dict[str, Any], said: str, clips: Path, tmp_path: Path
) -> None:
    experiment = experiment_of("TSN", clips, batch_size=3, **keys)
    with pytest.raises(VideozooError, match=said):
        run_quietly(experiment, tmp_path)


def test_early_stopping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = write_shards(tmp_path / "a", 4)
    experiment = experiment_of(
        "AttentionCluster", listing, valid_list=listing, epoch=9, early_stopping=2
    )
    asked = scores_to_be(monkeypatch, [0.1, 0.3, 0.2, 0.4, 0.4, 0.1, 0.9, 0.9, 0.9])
    trained, said = run_quietly(experiment, tmp_path / "save", save_interval=100)
    assert asked == [0, 1, 2, 3, 4, 5]
    assert "training ends early: no new best gap in 2 validations" in said
    position = load_state(trained.last, "AttentionCluster").position
    assert (position.epoch, position.best, position.worse) == (6, 0.4, 2)
    assert trained.best is not None
    assert load_state(trained.best, "AttentionCluster").position.epoch == 4
    assert (tmp_path / "save" / "AttentionCluster_epoch6.safetensors").exists()
    _, said = run_quietly(experiment, tmp_path / "save", resume="auto")
    assert "this training has ended early" in said
    longer = experiment_of(
        "AttentionCluster", listing, valid_list=listing, epoch=9, early_stopping=3
    )
    _, said = run_quietly(longer, tmp_path / "save", resume="auto")
    assert "warning" not in said
    assert asked[6:] == [6, 7, 8]


def test_the_last_epoch_is_no_early_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = write_shards(tmp_path / "a", 4)
    experiment = experiment_of(
        "AttentionCluster", listing, valid_list=listing, epoch=2, early_stopping=1
    )
    scores_to_be(monkeypatch, [0.3, 0.2])
    _, said = run_quietly(experiment, tmp_path / "save")
    assert "ends early" not in said


def test_a_longer_cosine_is_another_training(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "a", 4)
    keys = {"schedule": "cosine"}
    run_quietly(experiment_of("AttentionCluster", listing, epoch=1, **keys), tmp_path / "save")
    longer = experiment_of("AttentionCluster", listing, epoch=2, **keys)
    _, said = run_quietly(longer, tmp_path / "save", resume="auto")
    assert "warning: resuming a training that has changed: epoch was 1 and is 2" in said


def test_a_checkpoint_older_than_the_keys(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "a", 4)
    trained, _ = run_quietly(experiment_of("AttentionCluster", listing, epoch=1), tmp_path / "s")
    path = trained.last.with_suffix(".state")
    saved = torch.load(path, weights_only=True)
    known = saved["position"]["fingerprint"]["settings"]
    saved["position"]["fingerprint"]["settings"] = {
        key: value for key, value in known.items() if key not in EVERYTHING
    }
    del saved["average"], saved["position"]["worse"]
    torch.save(saved, path)
    longer = experiment_of("AttentionCluster", listing, epoch=2)
    _, said = run_quietly(longer, tmp_path / "s", resume="auto")
    assert "warning" not in said
    smoothed = experiment_of("AttentionCluster", listing, epoch=3, label_smoothing=0.1)
    _, said = run_quietly(smoothed, tmp_path / "s", resume="auto")
    assert "label_smoothing was 0.0 and is 0.1" in said


def test_other_parameter_groups_are_told(clips: Path, tmp_path: Path) -> None:
    run_quietly(experiment_of("TSN", clips, epoch=1), tmp_path / "save")
    other = experiment_of("TSN", clips, epoch=2, layer_decay=0.5)
    with pytest.raises(VideozooError, match="optimizer and layer_decay that it was trained"):
        run_quietly(other, tmp_path / "save", resume="auto")


def test_frozen_stages_keep_the_weights_given(clips: Path, tmp_path: Path) -> None:
    first, _ = run_quietly(experiment_of("TSN", clips, epoch=1), tmp_path / "first")
    experiment = experiment_of("TSN", clips, epoch=1, freeze_stages=3, seed=4)
    second, _ = run_quietly(experiment, tmp_path / "second", pretrain=str(first.last))
    before, after = load_file(first.last), load_file(second.last)
    for name, value in before.items():
        frozen = name.startswith(("backbone.conv1", "backbone.bn1", "backbone.layer1"))
        frozen = frozen or name.startswith("backbone.layer2")
        assert torch.equal(value, after[name]) == frozen or "num_batches" in name, name


def test_clips_of_many_classes(tmp_path: Path) -> None:
    lines = []
    for number, labels in enumerate(("0,2", "1", "0", "2,1", "0,1", "2")):
        path = write_video(tmp_path / f"{number}.mp4", 6 + number)
        lines.append(f"{path} {labels}\n")
    listing = tmp_path / "clips.list"
    listing.write_text("".join(lines))
    names = tmp_path / "names.txt"
    names.write_text("run\njump\nsit\nstand\n")
    model = {
        "num_classes": 4, "multi_label": True, "num_layers": 18, "seg_num": 2, "short_size": 32,
        "target_size": 32, "use_gpu": False, "num_workers": 0, "filelist": str(listing),
        "label_file": str(names), "mixup_alpha": 0.3, "class_weights": "balanced",
    }  # fmt: skip
    train = {"batch_size": 3, "epoch": 2, "learning_rate": 0.01}
    experiment = resolve(find_spec("TSN").keys, {"MODEL": model, "TRAIN": train}, source="test")
    trained, said = run_quietly(experiment, tmp_path / "save")
    assert "map" in said
    assert trained.best is not None
    assert trained.evaluation is not None
    assert trained.evaluation.metrics.keys() == {"map", "hit_at_1", "ece", "loss"}
    with pytest.raises(SystemExit) as end:
        main(["test", "--weights", str(trained.best), "--save-dir", str(tmp_path / "test")])
    assert not end.value.code
    result = json.loads((tmp_path / "test" / "TSN_test_result.json").read_text())
    rows = result["average_precision"]
    assert [row["class"] for row in rows] == ["run", "jump", "sit", "stand"]
    assert rows[3]["value"] is None
    known = [row["value"] for row in rows[:3]]
    assert result["map"] == pytest.approx(sum(known) / 3)
    assert "confusion" not in result
    with (tmp_path / "save" / "TSN_curves.csv").open() as file:
        assert {"map", "hit_at_1"} <= {row["metric"] for row in csv.DictReader(file)}
    (found,) = videozoo.load(trained.best, use_gpu=False).predict(tmp_path / "0.mp4", top_k=4)
    total = sum(prediction.score for prediction in found.predictions)
    assert total != pytest.approx(1, abs=1e-3)  # sigmoids, not a softmax


def test_short_floats_are_for_the_model_alone() -> None:
    policy = DevicePolicy(0.5, color_jitter=(0.4, 0.4, 0.4, 0.1), rand_augment=(3, 9))
    regulariser = Regulariser(family("TSN"), policy=policy)
    clips = torch.randint(0, 256, (6, 2, 3, 16, 16), dtype=torch.uint8)
    batch = collate_clips([ClipSample("a", clip.numpy(), (1,)) for clip in clips])
    rows = [policy.draw(np.random.default_rng(number)) for number in range(6)]
    batch = replace(batch, draws=torch.from_numpy(np.stack(rows)))
    plain = regulariser.prepare(batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = regulariser.prepare(batch)
    assert isinstance(plain, ClipBatch)
    assert isinstance(short, ClipBatch)
    assert torch.equal(short.clips, plain.clips)
    assert torch.equal(short.labels, plain.labels)


def test_augmenting_leaves_the_batch_in_bytes_where_nothing_asks_for_more() -> None:
    regulariser = Regulariser(family("TSN"))
    samples = [ClipSample("a", torch.zeros(2, 3, 32, 32).byte().numpy(), (0,))]
    batch = collate_clips(samples)
    prepared = regulariser.prepare(batch)
    assert isinstance(prepared, ClipBatch)
    assert prepared.clips.dtype == torch.uint8
