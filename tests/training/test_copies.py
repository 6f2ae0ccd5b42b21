from __future__ import annotations

import numpy as np

from videozoo.training.copies import Rows, near_copies


def make_videos(count: int, seed: int = 0) -> list[Rows]:
    """Rows of videos that differ from each other more than their own rows do."""
    rng = np.random.default_rng(seed)
    return [
        (rng.normal(size=(1, 64)) * 3 + rng.normal(size=(12, 64))).astype(np.float32)
        for _ in range(count)
    ]


def test_cut_and_changed_copies_are_found() -> None:
    videos = make_videos(60)
    noise = np.random.default_rng(1).normal(size=(12, 64)).astype(np.float32)
    rows: list[Rows | None] = [*videos, videos[7][:9], videos[20] + 0.3 * noise, videos[7] * 1.05]
    assert near_copies(rows) == [[7, 60, 62], [20, 61]]
    rows[60] = None
    rows[61] = videos[0][:0]
    assert near_copies(rows) == [[7, 62]]


def test_different_videos_are_no_copies() -> None:
    for count in (0, 1, 2, 10, 100):
        assert near_copies(list(make_videos(count))) == []


def test_videos_of_one_still_camera_are_not_all_copies() -> None:
    rng = np.random.default_rng(2)
    cameras = rng.normal(size=(2, 1, 64)) * 20
    rows = [(cameras[i % 2] + video).astype(np.float32) for i, video in enumerate(make_videos(60))]
    assert near_copies(list(rows)) == []


def test_many_copies_of_one_video_are_found() -> None:
    videos = make_videos(30)
    assert near_copies([*videos, *([videos[0]] * 20)]) == [[0, *range(30, 50)]]
