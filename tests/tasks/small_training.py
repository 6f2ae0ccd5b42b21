"""Trainings of a few videos, and the pieces of one step."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from videos import write_video
from videozoo.cli.train import run_train
from videozoo.config import Experiment, resolve
from videozoo.config.ini import format_config
from videozoo.data.batches import Chunk, FeatureBatch, FeatureSample, collate_features
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.predict.inputs import build_classifier
from videozoo.specs import SPECS, find_spec
from videozoo.tasks.fit import TASKS
from videozoo.tasks.plan import Trained
from videozoo.tasks.task import VideoTask

CLASSES = 4
DIMS = {"rgb": 6, "audio": 3}
SMALL: dict[str, dict[str, Any]] = {
    "AttentionLSTM": {"embedding_size": 4, "lstm_size": 3, "hidden_sizes": [6, 5]},
    "AttentionCluster": {"seg_num": 4, "cluster_nums": [2, 2], "hidden_sizes": [6, 5]},
    "NEXTVLAD": {
        "cluster_size": 2,
        "hidden_size": 8,
        "groups": 2,
        "gating_reduction": 2,
    },
    "TSN": {"num_layers": 18, "seg_num": 2, "short_size": 32, "target_size": 32},
    "STNET": {"num_layers": 18, "seg_num": 2, "seglen": 2, "short_size": 32, "target_size": 32},
}
FEATURES = {"num_classes": CLASSES, "feature_dims": list(DIMS.values()), "drop_rate": 0.0}
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
    """Trains; returns what training returns, and what it said."""
    text = io.StringIO()
    console = Console(file=text, width=200)
    return run_train(experiment, save_dir=save_dir, console=console, **more), text.getvalue()


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
) -> FeatureBatch:
    """Returns the videos of these numbers as a chunk of a step."""
    samples = [
        FeatureSample(f"v{i}", tuple(features_of(i).values()), np.array([i % CLASSES]))
        for i in numbers
    ]
    size = len(numbers) if step_size is None else step_size
    chunk = Chunk(epoch=0, step=0, indices=tuple(numbers), step_size=size, last=last)
    return collate_features(samples, num_classes=CLASSES, chunk=chunk, weight=weight)


def make_task(model: str = "AttentionCluster", *, videos: int = 100, **keys: Any) -> VideoTask:
    """Returns the task of a small model with its optimizer, without Lightning's trainer."""
    settings = SPECS[model].keys.model_validate(model_keys(model, **keys))
    torch.manual_seed(5)
    task: VideoTask = TASKS[model](
        classifier=build_classifier(settings), settings=settings, videos=videos
    )
    optimizer = task.configure_optimizers()
    task.optimizers = lambda: optimizer  # type: ignore[method-assign]
    task.train()
    return task


def gradients_of(task: VideoTask) -> dict[str, Tensor]:
    """Returns a copy of the gradients that the last step was made with."""
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in task.named_parameters()
    }


def weights_of(task: VideoTask) -> dict[str, Tensor]:
    """Returns a copy of weights and running statistics."""
    return {name: value.clone() for name, value in task.state_dict().items()}


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], *, atol: float = 1e-7) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-5, atol=atol, msg=name)


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
