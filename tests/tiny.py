"""Tiny data, configs and weights, for tests that run whole commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from videos import write_video
from videozoo.classifier import build_classifier, save_weights
from videozoo.config import Experiment, load_experiment
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.families import family_of
from videozoo.specs import find_spec

FEATURE_CLASSES = ["cat", "dog", "cart, wheel", "été", "guitar", "rain", "train", "yard"]
CLIP_CLASSES = ["jump", "run", "swim"]

FEATURES = """
[MODEL]
name = "{model}"
feature_names = ['rgb', 'audio']
feature_dims = [8, 4]
num_classes = 8
num_workers = 0
use_gpu = False
[TRAIN]
epoch = 1
batch_size = 3
filelist = "{listing}"
[VALID]
batch_size = 2
filelist = "{listing}"
[TEST]
batch_size = 2
filelist = "{listing}"
[INFER]
batch_size = 2
filelist = "{listing}"
"""

FEATURE_SIZES = {
    "AttentionCluster": ["seg_num=5", "cluster_nums=[3, 2]", "hidden_sizes=[12, 10]"],
    "AttentionLSTM": ["embedding_size=6", "lstm_size=5", "hidden_sizes=[12, 10]"],
    "NEXTVLAD": ["cluster_size=4", "hidden_size=12", "groups=2", "gating_reduction=3"],
}

CLIPS = """
[MODEL]
name = "{model}"
format = "mp4"
num_layers = 18
num_classes = 3
seg_num = 3
short_size = 36
target_size = 32
num_workers = 0
use_gpu = False
batch_size = 2
[TRAIN]
filelist = "{listing}"
[VALID]
filelist = "{listing}"
[TEST]
filelist = "{listing}"
[INFER]
filelist = "{listing}"
"""


@dataclass(frozen=True)
class World:
    """All that a command needs.

    Attributes:
        folder: where it lies.
        config: a config file of the model, whose lists name all samples.
        weights: a native checkpoint that carries the class names.
        listing: the list file.
        files: shards or videos, in the order of the list.
        experiment: what the config says.
        names: of the classes.
    """

    folder: Path
    config: Path
    weights: Path
    listing: Path
    files: list[Path]
    experiment: Experiment
    names: list[str]


def features(number: int, frames: int, rgb: int = 8, audio: int = 4) -> dict[str, np.ndarray]:
    """Returns made-up features of a video."""
    rng = np.random.default_rng(number)
    return {
        "rgb": rng.integers(0, 256, (frames, rgb), dtype=np.uint8),
        "audio": rng.integers(0, 256, (frames, audio), dtype=np.uint8),
    }


def example(number: int, labels: Sequence[int] | None = None, **sizes: int) -> bytes:
    """Returns a record: video v{number} with number + 2 frames."""
    named = [number % 8, 7] if labels is None else labels
    made = features(number, number + 2, **sizes)
    return encode_example(video=f"v{number}", labels=named, features=made)


def write_shard(path: Path, numbers: Sequence[int]) -> Path:
    """Writes a TFRecord file of these videos."""
    write_tfrecord(path, [example(number) for number in numbers])
    return path


def write_list(path: Path, lines: Sequence[object]) -> Path:
    """Writes a list file."""
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def feature_world(folder: Path, model: str = "AttentionCluster") -> World:
    """Makes a feature model, and five videos of 2 to 6 frames in two shards."""
    files = [
        write_shard(folder / "a.tfrecord", (0, 1, 2)),
        write_shard(folder / "b.tfrecord", (3, 4)),
    ]
    listing = write_list(folder / "features.list", files)
    sizes = FEATURE_SIZES.get(model, [])
    if model == "NEXTVLAD":
        eigenvalues = folder / "eigenvals.npy"
        np.save(eigenvalues, np.linspace(4, 0.01, 16, dtype=np.float32)[:, None])  # [16, 1]
        sizes = [*sizes, f'eigen_file="{eigenvalues}"']
    text = FEATURES.replace("[TRAIN]", "\n".join([*sizes, "[TRAIN]"]))
    return _world(folder, model, text, listing, files, FEATURE_CLASSES)


def clip_world(folder: Path, model: str = "TSN") -> World:
    """Makes a clip model and five videos; one has a space in its name."""
    files = [folder / f"clip {i}.mp4" if i == 1 else folder / f"clip{i}.mp4" for i in range(5)]
    for i, file in enumerate(files):
        write_video(file, 4 + 3 * i)
    listing = write_list(folder / "clips.list", [f"{file} {i % 3}" for i, file in enumerate(files)])
    return _world(folder, model, CLIPS, listing, files, CLIP_CLASSES)


def _world(
    folder: Path, model: str, text: str, listing: Path, files: list[Path], names: list[str]
) -> World:
    config = folder / "config.txt"
    config.write_text(text.format(listing=listing, model=model))
    experiment = load_experiment(find_spec(model).keys, str(config))
    torch.manual_seed(3)
    settings = experiment["INFER"]
    classifier = build_classifier(settings, family_of(settings).eigenvalues())
    with torch.no_grad():
        for name, value in classifier.model.named_parameters():
            if name.startswith(("classifier.", "fc.")):
                value.mul_(4.0)  # scores that differ visibly from video to video
    weights = folder / f"{model}.safetensors"
    save_weights(weights, classifier, experiment, names)
    return World(folder, config, weights, listing, files, experiment, names)


@pytest.fixture(scope="session")
def feature_data(tmp_path_factory: pytest.TempPathFactory) -> World:
    """What `feature_world` makes; not to be changed."""
    return feature_world(tmp_path_factory.mktemp("features"))


@pytest.fixture(scope="session")
def clip_data(tmp_path_factory: pytest.TempPathFactory) -> World:
    """What `clip_world` makes; not to be changed."""
    return clip_world(tmp_path_factory.mktemp("clips"))
