"""Feature models of videos that have one class each: multi_label = False."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import CLASSES, experiment_of, features_of, run_quietly, write_shards

import videozoo
from videozoo.classifier import load_weights
from videozoo.config import Experiment
from videozoo.data.batch import NO_LABEL
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.errors import VideozooError
from videozoo.families import family_of

MODELS = ("AttentionCluster", "AttentionLSTM", "NEXTVLAD")


def one_class(model: str, listing: Path, **train: Any) -> Experiment:
    """Returns a small training of one class a video; `train` overrides keys of [TRAIN]."""
    base = experiment_of(model, listing, valid_list=listing, **train)
    modes = {m: s.model_copy(update={"multi_label": False}) for m, s in base.modes.items()}
    return replace(base, modes=modes)


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    """Returns the list of eight videos of four classes."""
    return write_shards(tmp_path / "features", 8)


@pytest.mark.parametrize("model", MODELS)
def test_a_feature_model_of_one_class_a_video_learns_tests_and_names(
    model: str, listing: Path, tmp_path: Path
) -> None:
    experiment = one_class(model, listing, learning_rate=0.02, epoch=40)
    trained, said = run_quietly(experiment, tmp_path / "save")
    assert trained.best is not None
    assert "top1" in said
    found = videozoo.test(trained.best, filelist=listing, save_dir=tmp_path)
    assert {"top1", "top5", "macro_f1", "loss"} <= set(found.metrics)
    assert found.metrics["top1"] == 1.0
    assert found.confusion is not None
    assert found.confusion.diag().tolist() == [2] * CLASSES
    assert json.loads((tmp_path / f"{model}_test_result.json").read_text())["top1"] == 1.0
    results = videozoo.infer(None, trained.best, filelist=listing)
    assert [r.predictions[0].index for r in results] == [int(r.video[1:]) % 4 for r in results]
    for result in results:
        assert sum(p.score for p in result.predictions) == pytest.approx(1.0)


def test_its_batches_have_one_label_a_video(tmp_path: Path) -> None:
    records = [
        encode_example(video=f"v{i}", labels=labels, features=features_of(i))
        for i, labels in enumerate(([2], [1, 1], None))
    ]
    write_tfrecord(tmp_path / "a.tfrecord", records)
    settings = one_class("AttentionLSTM", tmp_path)["TEST"]
    dataset = family_of(settings).open(str(tmp_path / "a.tfrecord")).dataset
    batch = dataset.collate([dataset[i] for i in range(3)])
    assert batch.labels.tolist() == [2, 1, NO_LABEL]
    assert batch.labels.dtype == torch.int64
    assert batch.labelled.tolist() == [True, True, False]
    assert dataset.collate([dataset.placeholder()]).labels.tolist() == [NO_LABEL]


def test_a_record_of_several_classes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    write_tfrecord(
        path,
        [
            encode_example(video=f"v{i}", labels=labels, features=features_of(i))
            for i, labels in enumerate(([2], [3, 1]))
        ],
    )
    experiment = one_class("AttentionLSTM", path)
    said = f"{path}: record 1: names the classes 1, 3, but multi_label is False"
    with pytest.raises(VideozooError, match=said):
        run_quietly(experiment, tmp_path / "save")


@pytest.mark.parametrize(
    "keys",
    [
        {"mixup_alpha": 0.4, "label_smoothing": 0.1},
        {"class_weights": "balanced", "frame_drop": 0.2},
        {"sampler": "balanced", "ema_decay": 0.9},
    ],
)
def test_the_keys_of_recipes_go_with_one_class_a_video(
    keys: dict[str, Any], listing: Path, tmp_path: Path
) -> None:
    trained, _ = run_quietly(one_class("AttentionCluster", listing, **keys), tmp_path / "save")
    assert not load_weights(trained.last).classifier.multi_label


def test_a_teacher_has_as_many_classes_a_video_as_its_student(
    listing: Path, tmp_path: Path
) -> None:
    teacher, _ = run_quietly(one_class("AttentionLSTM", listing), tmp_path / "teacher")
    names = [str(teacher.last)]
    student, _ = run_quietly(
        one_class("NEXTVLAD", listing, distill_from=names), tmp_path / "student"
    )
    assert student.last.is_file()
    other = experiment_of("NEXTVLAD", listing, distill_from=names)
    with pytest.raises(VideozooError, match="its multi_label is False, the student's is True"):
        run_quietly(other, tmp_path / "other")


def test_all_modes_have_one_class_a_video_or_none(listing: Path, tmp_path: Path) -> None:
    experiment = experiment_of("AttentionLSTM", listing, multi_label=False)
    said = r"multi_label is False in \[TRAIN\] and True in \[VALID\], \[TEST\], \[INFER\]"
    with pytest.raises(VideozooError, match=said):
        run_quietly(experiment, tmp_path / "save")
