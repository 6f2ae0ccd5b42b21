"""Trainings of a few videos, and the pieces of one step."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor

import videozoo
from videos import write_video
from videozoo.classifier import Classifier, build_classifier
from videozoo.cli.train import _print_skipped
from videozoo.config import Experiment, resolve
from videozoo.config.ini import format_config
from videozoo.data.batch import Batch, FeatureBatch
from videozoo.data.collate import collate_features
from videozoo.data.sample import FeatureSample
from videozoo.data.sampler import MicroBatch
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.evaluate import Evaluation
from videozoo.families import family_of
from videozoo.specs import SPECS, find_spec
from videozoo.training.log import TrainingLog
from videozoo.training.loop import Trained, Training
from videozoo.training.optimizers import freeze, make_optimizer
from videozoo.training.regularise import Regulariser
from videozoo.training.schedules import learning_rate
from videozoo.training.state import Position
from videozoo.training.step import Stepper

CLASSES = 4
DIMS = {"rgb": 6, "audio": 3}
SMALL: dict[str, dict[str, Any]] = {
    "AttentionLSTM": {
        "embedding_size": 4,
        "lstm_size": 3,
        "hidden_sizes": [6, 5],
        "drop_rate": 0.0,
    },
    "AttentionCluster": {
        "seg_num": 4,
        "cluster_nums": [2, 2],
        "hidden_sizes": [6, 5],
        "drop_rate": 0.0,
    },
    "LINEAR": {},
    "NEXTVLAD": {
        "cluster_size": 2,
        "hidden_size": 8,
        "groups": 2,
        "gating_reduction": 2,
        "drop_rate": 0.0,
    },
    "TSN": {"num_layers": 18, "seg_num": 2, "short_size": 32, "target_size": 32},
    "STNET": {"num_layers": 18, "seg_num": 2, "seglen": 2, "short_size": 32, "target_size": 32},
}
FEATURES = {"num_classes": CLASSES, "feature_dims": list(DIMS.values())}
CLIPS = {"num_classes": 2, "format": "mp4"}


def model_keys(model: str, **more: Any) -> dict[str, Any]:
    """Returns the section MODEL of a small model; without dropout unless `more` has it."""
    common = CLIPS if model in ("TSN", "STNET") else FEATURES
    return {**common, **SMALL[model], **more}


def features_of(number: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(number)
    frames = 2 + number % 4
    return {name: rng.integers(0, 256, (frames, d), dtype=np.uint8) for name, d in DIMS.items()}


def write_shards(
    folder: Path, videos: int, *, first: int = 0, unreadable: Sequence[int] = ()
) -> Path:
    """Writes two TFRecord files and returns their list; an unreadable video has no frames."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(first, first + videos)
    paths = [folder / f"{part}.tfrecord" for part in "ab"]
    for path, part in zip(paths, np.array_split(numbers, 2), strict=True):
        records = []
        for i in part.tolist():
            features = features_of(i)
            if i in unreadable:
                features = {name: values[:0] for name, values in features.items()}
            records.append(encode_example(video=f"v{i}", labels=[i % CLASSES], features=features))
        write_tfrecord(path, records)
    listing = folder / "videos.list"
    listing.write_text("".join(f"{path}\n" for path in paths))
    return listing


def write_clips(folder: Path, count: int, *, unreadable: Sequence[int] = ()) -> Path:
    """Writes clips of two classes and returns their list; an unreadable clip is no video."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for i in range(count):
        path = folder / f"clip{i}.mp4"
        if i in unreadable:
            path.write_bytes(b"not a video")
        else:
            write_video(path, 6 + i)
        lines.append(f"{path} {i % 2}\n")
    listing = folder / "clips.list"
    listing.write_text("".join(lines))
    return listing


def experiment_of(
    model: str, train_list: Path, *, valid_list: Path | None = None, **train: Any
) -> Experiment:
    """Returns a small experiment; `train` overrides keys of any section."""
    values: dict[str, dict[str, Any]] = {
        "MODEL": model_keys(model, use_gpu=False, num_workers=0),
        "TRAIN": {"batch_size": 4, "epoch": 2, "filelist": str(train_list), **train},
        "VALID": {"batch_size": 4},
    }
    if valid_list is not None:
        values["VALID"]["filelist"] = str(valid_list)
    return resolve(find_spec(model).keys, values, source="test")


def run_quietly(experiment: Experiment, save_dir: Path, **more: Any) -> tuple[Trained, str]:
    """Trains; returns what training returns, and what it and the command say."""
    text = io.StringIO()
    console = Console(file=text, width=200)
    trained = videozoo.train(experiment=experiment, save_dir=save_dir, console=console, **more)
    _print_skipped(trained, console)
    return trained, text.getvalue()


def scores_to_be(monkeypatch: pytest.MonkeyPatch, scores: Sequence[float]) -> list[int]:
    """Lets validations give these scores; returns the epochs that are validated, as they come."""
    asked: list[int] = []
    coming, show = iter(scores), TrainingLog.validation

    def validate(training: Training, classifier: Classifier) -> Evaluation:
        return Evaluation({"gap": next(coming)}, listed=1, evaluated=1)

    def validation(self: TrainingLog, position: Position, evaluation: Evaluation) -> None:
        asked.append(position.epoch)
        show(self, position, evaluation)

    monkeypatch.setattr("videozoo.training.loop.validate", validate)
    monkeypatch.setattr(TrainingLog, "validation", validation)
    return asked


def run_forked(trainings: list[dict[str, Any]]) -> tuple[list[list[int]], str]:
    """Runs trainings by forked_training.py; returns its exit codes, and what went to stderr."""
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("forked_training.py")),
            json.dumps(trainings),
        ],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def write_config(experiment: Experiment, path: Path) -> Path:
    """Writes an experiment as a config file."""
    path.write_text(format_config(experiment.as_dict(), header=[]))
    return path


def feature_batch(
    numbers: Sequence[int],
    *,
    step_size: int | None = None,
    last: bool = True,
    weight: float = 1.0,
    group: int = 0,
) -> FeatureBatch:
    """Returns the videos of these numbers as a micro-batch of a step."""
    samples = [
        FeatureSample(f"v{i}", tuple(features_of(i).values()), np.array([i % CLASSES]))
        for i in numbers
    ]
    size = len(numbers) if step_size is None else step_size
    part = MicroBatch(
        epoch=0, step=0, indices=tuple(numbers), step_size=size, last=last, group=group
    )
    batch = collate_features(samples, num_classes=CLASSES)
    weights = torch.full((len(numbers),), weight)
    return replace(batch, micro_batch=part, weights=weights)


class Steps:
    """A small model with all that makes steps of it, and where it stands.

    Attributes:
        stepper: makes the steps.
        steps_done: steps so far.
        result: of the last step.
    """

    def __init__(self, model: str, *, videos: int = 100, **keys: Any) -> None:
        spec = SPECS[model]
        settings = spec.keys.model_validate(model_keys(model, **keys))
        torch.manual_seed(5)
        classifier = build_classifier(settings)
        frozen = freeze(classifier.model, getattr(settings, "freeze_stages", 0))
        self.classifier = classifier
        self.said: list[str] = []
        self.optimizer = make_optimizer(classifier.model, spec, settings)
        self.arguments: dict[str, Any] = {
            "classifier": classifier,
            "optimizer": self.optimizer,
            "rate": learning_rate(spec, settings, videos=videos, steps=100),
            "regulariser": Regulariser(family_of(settings)),
            "seed": settings.seed,
            "loss_is_sum": spec.loss_is_sum,
            "clip_norm": spec.clip_norm(settings),
            "frozen": frozen,
            "say": self.said.append,
        }
        self.stepper = Stepper(**self.arguments)
        self.steps_done = 0

    def __call__(self, *batches: Batch) -> None:
        """Makes a step of these micro-batches."""
        self.result = self.stepper(batches, self.steps_done)
        self.steps_done += 1

    def gradients(self) -> dict[str, Tensor]:
        """Returns a copy of the gradients that the last step was made with."""
        return {
            name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
            for name, p in self.classifier.named_parameters()
        }

    def weights(self) -> dict[str, Tensor]:
        """Returns a copy of weights and running statistics."""
        return {name: value.clone() for name, value in self.classifier.state_dict().items()}


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], *, atol: float = 1e-7) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-5, atol=atol, msg=name)


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
