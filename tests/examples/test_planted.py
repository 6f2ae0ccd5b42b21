"""Planted records hold what their script says, and models can be compared on them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from videozoo.data.sample import FeatureSample
from videozoo.data.youtube8m.dataset import YouTube8MDataset
from videozoo.data.youtube8m.shards import list_shards

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from planted_records import DIMS, STRENGTH, kind_of, twin_of  # noqa: E402

CLASSES = 40


def run(script: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, arguments)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred videos to train and twenty to validate, of 40 classes."""
    folder = tmp_path_factory.mktemp("planted")
    sizes = ("--videos", 200, "--valid", 20, "--classes", CLASSES, "--frames", 40, 50)
    assert "train: 200 videos in 1 shards" in run("planted_records.py", folder, *sizes)
    return folder


@pytest.fixture(scope="module")
def samples(folder: Path) -> list[FeatureSample]:
    """The videos to train on."""
    source = YouTube8MDataset(
        list_shards(folder / "train.list"),
        feature_names=["rgb", "audio"],
        feature_dims=[1024, 128],
        num_classes=CLASSES,
    )
    return [source.read(number) for number in range(len(source))]


def strengths(sample: FeatureSample, label: int, name: str) -> np.ndarray:
    """Returns how strongly each frame of a video shows a class: 1 fully, 0 not; [frames]."""
    dim = DIMS[name]
    directions = np.random.default_rng([0, dim]).normal(size=(CLASSES + 1, dim))
    values = sample.features[0 if name == "rgb" else 1] * (4 / 255) - 2  # [frames, dim]
    shown: np.ndarray = values @ directions[label] / (dim * STRENGTH[name])
    return shown


def of_kind(samples: list[FeatureSample], kind: str) -> list[tuple[FeatureSample, int]]:
    """Returns videos with one class alone that is of this kind."""
    found = []
    for sample in samples:
        assert sample.labels is not None
        if len(sample.labels) == 1 and kind_of(int(sample.labels[0])) == kind:
            found.append((sample, int(sample.labels[0])))
    assert len(found) >= 3
    return found


def test_labels_are_never_both_of_a_pair(samples: list[FeatureSample]) -> None:
    for sample in samples:
        assert sample.labels is not None
        labels = sample.labels.tolist()
        assert 1 <= len(labels) <= 4
        assert not any(twin_of(x) != x and twin_of(x) in labels for x in labels)


def test_low_numbers_are_frequent_classes(samples: list[FeatureSample]) -> None:
    counts = np.bincount(np.concatenate([s.labels for s in samples]), minlength=CLASSES)
    assert counts[:5].mean() > 4 * counts[-20:].mean()


def test_seen_classes_show_in_the_mean_of_both(samples: list[FeatureSample]) -> None:
    for sample, label in of_kind(samples, "seen"):
        assert strengths(sample, label, "rgb").mean() > 0.8
        assert strengths(sample, label, "audio").mean() > 0.6


def test_hidden_classes_show_in_frames_and_not_in_the_mean(samples: list[FeatureSample]) -> None:
    for sample, label in of_kind(samples, "hidden"):
        shown = strengths(sample, label, "rgb")
        assert abs(shown.mean()) < 0.2
        assert np.abs(shown).mean() > 0.8


def test_sound_classes_are_heard_and_not_seen(samples: list[FeatureSample]) -> None:
    for sample, label in of_kind(samples, "sound"):
        assert abs(strengths(sample, label, "rgb").mean()) < 0.2
        assert strengths(sample, label, "audio").mean() > 0.6


def test_order_tells_twins_apart_and_the_mean_does_not(samples: list[FeatureSample]) -> None:
    for sample, label in of_kind(samples, "order"):
        own, twin = (strengths(sample, c, "rgb") for c in (label, twin_of(label)))
        half = len(own) // 2
        assert own[:half].mean() > 0.8 > 0.2 > own[half + 1 :].mean()
        assert twin[half + 1 :].mean() > 0.8 > 0.2 > twin[:half].mean()
        assert abs(own.mean() - twin.mean()) < 0.2


@pytest.mark.slow
def test_a_linear_model_is_compared(folder: Path) -> None:
    out = run("planted_compare.py", folder, "--epochs", 1)
    header, _, row = out.splitlines()
    assert header == "| model | GAP | Hit@1 | hidden | order | seen | sound |"
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[0] == "linear"
    assert all(0 <= float(cell) <= 1 for cell in cells[1:])
    assert float(cells[2]) > 0.2  # the most frequent class alone would be right in a third
