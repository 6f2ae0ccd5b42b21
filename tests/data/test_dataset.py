"""The data sets are PyTorch's: a plain DataLoader takes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from videos import write_video
from videozoo.data import ClipDataset, VideoDataset, YouTube8MDataset
from videozoo.data.batch import Batch, ClipBatch, FeatureBatch
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.errors import SampleError


@pytest.fixture
def features(tmp_path: Path) -> YouTube8MDataset:
    path = tmp_path / "a.tfrecord"
    records = [
        encode_example(
            video=f"v{n}", labels=[n % 3], features={"rgb": np.full((n + 1, 8), n, np.uint8)}
        )
        for n in range(10)
    ]
    write_tfrecord(path, records)
    return YouTube8MDataset([path], feature_names=["rgb"], feature_dims=[8], num_classes=3)


def clips_of(*paths: Path) -> ClipDataset:
    entries = [ClipEntry(path, (n % 2,), path.name) for n, path in enumerate(paths)]
    return ClipDataset(entries, num_classes=2, seg_num=2, seglen=1, short_size=32, target_size=32)


@pytest.fixture
def clips(tmp_path: Path) -> ClipDataset:
    return clips_of(*(write_video(tmp_path / f"{n}.mp4", 4, size=(48, 36)) for n in range(3)))


def batches(dataset: VideoDataset, workers: int) -> list[Batch]:
    loader: DataLoader[Batch] = DataLoader(
        dataset, batch_size=4, collate_fn=dataset.collate, num_workers=workers
    )
    return list(loader)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_loader_gives_batches_of_features(features: YouTube8MDataset, workers: int) -> None:
    found = batches(features, workers)
    assert [len(batch) for batch in found] == [4, 4, 2]
    assert [video for batch in found for video in batch.videos] == [f"v{n}" for n in range(10)]
    last = found[-1]
    assert isinstance(last, FeatureBatch)
    assert last.features[0].shape == (2, 10, 8)
    assert last.lengths.tolist() == [9, 10]
    assert last.labels.nonzero().tolist() == [[0, 2], [1, 0]]
    assert last.weights.tolist() == [1, 1]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_loader_gives_batches_of_clips(clips: ClipDataset, workers: int) -> None:
    (batch,) = batches(clips, workers)
    assert isinstance(batch, ClipBatch)
    assert batch.clips.shape == (3, 2, 3, 32, 32)
    assert batch.labels.tolist() == [0, 1, 0]
    assert batch.labelled.tolist() == [True] * 3


@pytest.mark.parametrize("workers", [0, 2])
def test_a_plain_loader_raises_what_a_sample_raises(tmp_path: Path, workers: int) -> None:
    with pytest.raises(SampleError, match=r"none\.mp4: no such file"):
        batches(clips_of(tmp_path / "none.mp4"), workers)


def test_an_item_is_what_is_read_without_drawing(
    features: YouTube8MDataset, clips: ClipDataset
) -> None:
    assert isinstance(features, Dataset)
    assert features[3].video == features[-7].video == "v3"
    np.testing.assert_array_equal(clips[1].clip, clips.read(1, None).clip)
    for dataset in (features, clips):
        with pytest.raises(IndexError):
            dataset[len(dataset)]
    assert [sample.video for sample in clips] == ["0.mp4", "1.mp4", "2.mp4"]


def test_classes_come_from_what_is_read(features: YouTube8MDataset) -> None:
    assert [features.classes(n) for n in range(4)] == [(0,), (1,), (2,), (0,)]


def test_no_label_is_what_pytorchs_losses_leave_out(clips: ClipDataset) -> None:
    batch = clips.collate([clips[0], clips.placeholder()])
    logits = torch.tensor([[2.0, 1.0], [0.0, 5.0]])
    loss = torch.nn.functional.cross_entropy(logits, batch.labels)
    assert loss == torch.nn.functional.cross_entropy(logits[:1], batch.labels[:1])


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, videozoo.data; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
