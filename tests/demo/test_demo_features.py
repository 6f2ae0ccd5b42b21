from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from videozoo.data.youtube8m.example import parse_example
from videozoo.data.youtube8m.tfrecord import RecordReader, index_shard
from videozoo.demo.clips import write_clip
from videozoo.demo.features import (
    DescribedVideo,
    Quantiser,
    frame_features,
    frame_indices,
    write_shards,
)
from videozoo.demo.scenes import draw_scene


def _dequantise(q: np.ndarray) -> np.ndarray:
    return q.astype(np.float64) * 4 / 255 + 4 / 512 - 2


def test_quantised_values_come_back_within_half_a_step() -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(200, 7)) * [1, 5, 0.1, 1, 100, 1e-3, 2] + 3).astype(np.float32)
    quantiser = Quantiser.fit(features)
    wanted = 2 * (features - quantiser.centre) / quantiser.reach
    assert np.abs(wanted).max() <= 2 + 1e-3
    error = np.abs(_dequantise(quantiser(features)) - wanted)
    assert error[wanted < 1.99].max() <= 2 / 255 + 1e-3
    # the data set's code ends 4/512 above 2 and begins 4/512 above -2: the ends lose that much
    assert error.max() <= 4 / 512 + 2 / 255


def test_quantiser_uses_the_whole_range_of_each_dimension() -> None:
    features = np.linspace([0, -5], [1, 50], 100).astype(np.float32)
    q = Quantiser.fit(features)(features)
    assert q.dtype == np.uint8
    np.testing.assert_array_equal(q[0], [0, 0])
    assert (q[-1] >= 254).all()
    assert (np.diff(q.astype(int), axis=0) >= 0).all()


def test_values_outside_the_fitted_range_are_clipped_not_wrapped() -> None:
    quantiser = Quantiser.fit(np.array([[0.0], [1.0]], np.float32))
    np.testing.assert_array_equal(quantiser(np.array([[-9.0], [9.0]], np.float32)), [[0], [255]])


def test_a_constant_dimension_becomes_zero() -> None:
    q = Quantiser.fit(np.full((4, 1), 3.5, np.float32))(np.full((2, 1), 3.5, np.float32))
    np.testing.assert_allclose(_dequantise(q), 0, atol=2 / 255 + 1e-9)


def test_a_quantiser_needs_features() -> None:
    with pytest.raises(ValueError, match="no features"):
        Quantiser.fit(np.zeros((0, 3), np.float32))


@pytest.mark.parametrize(
    ("count", "frame_rate", "rate", "indices"),
    [
        (30, 10, 5, [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29]),
        (10, 5, 5, list(range(10))),
        (50, 25, 5, [2, 7, 12, 17, 22, 27, 32, 37, 42, 47]),
        (4, 2, 4, [0, 0, 1, 1, 2, 2, 3, 3]),
        (1, 30, 5, [0]),
    ],
)
def test_frame_indices(count: int, frame_rate: float, rate: float, indices: list[int]) -> None:
    assert frame_indices(count, frame_rate=frame_rate, rate=rate).tolist() == indices


def test_frames_and_sound_of_the_same_moments(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_clip(path, draw_scene("grow", seed=(1,)))
    asked = []

    def read(where: Path, indices: np.ndarray) -> np.ndarray:
        asked.append((where, indices.tolist()))
        return np.broadcast_to(indices[:, None, None, None], (len(indices), 3, 4, 4))

    def embed(frames: np.ndarray) -> np.ndarray:
        return frames.mean(axis=(2, 3))

    rgb, audio = frame_features(path, frame_count=30, frame_rate=10, read_frames=read, embed=embed)
    assert asked == [(path, list(range(1, 30, 2)))]
    np.testing.assert_array_equal(rgb, np.repeat(np.arange(1, 30, 2)[:, None], 3, axis=1))
    assert (rgb.dtype, audio.dtype) == (np.float32, np.float32)
    assert audio.shape == (15, 64)
    assert audio.max() - audio.min() > 3


def test_shards_hold_the_videos_in_youtube8m_form(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    videos = [
        DescribedVideo(
            video=f"v{i}",
            labels=(i % 3,),
            rgb=rng.integers(0, 256, (4 + i, 8), dtype=np.uint8),
            audio=rng.integers(0, 256, (4 + i, 5), dtype=np.uint8),
        )
        for i in range(7)
    ]
    paths = write_shards(tmp_path / "shards", "train", videos, shards=3)
    assert [p.name for p in paths] == [f"train{i:02d}.tfrecord" for i in range(3)]
    assert sorted((tmp_path / "shards").iterdir()) == paths
    read = {}
    for path in paths:
        index = index_shard(path)
        assert index.fault is None
        for offset, length in zip(index.offsets, index.lengths, strict=True):
            data = RecordReader().read(path, int(offset), int(length))
            example = parse_example(data, ["rgb", "audio"])
            assert example.video not in read
            read[example.video] = example
    assert sorted(read) == [v.video for v in videos]
    for video in videos:
        example = read[video.video]
        assert example.labels is not None
        assert tuple(example.labels) == video.labels
        np.testing.assert_array_equal(example.features["rgb"], video.rgb)
        np.testing.assert_array_equal(example.features["audio"], video.audio)


def test_no_more_shards_than_videos(tmp_path: Path) -> None:
    frames = np.zeros((2, 3), np.uint8)
    video = DescribedVideo(video="v", labels=(0,), rgb=frames, audio=frames)
    assert len(write_shards(tmp_path, "test", [video], shards=4)) == 1
