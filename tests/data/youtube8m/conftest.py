from __future__ import annotations

from pathlib import Path

import pytest
from youtube8m_records import features

from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VIDEOZOO_CACHE", str(folder))
    return folder


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Two TFRecord files with 3 and 2 videos; video i has i + 2 frames and the labels [i, 9]."""
    paths = [tmp_path / "train00.tfrecord", tmp_path / "train01.tfrecord"]
    for path, numbers in zip(paths, ((0, 1, 2), (3, 4)), strict=True):
        write_tfrecord(
            path,
            (
                encode_example(video=f"v{i}", labels=[i, 9], features=features(i, i + 2))
                for i in numbers
            ),
        )
    return paths
