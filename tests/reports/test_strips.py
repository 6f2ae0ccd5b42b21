"""Frames that a model saw."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from timeline_worlds import MODELS, predictor_of
from tiny import feature_world
from videos import write_video
from videozoo.data.sampling import segment_frames
from videozoo.encoders.moments import read_moments
from videozoo.errors import VideozooError
from videozoo.families import family_of
from videozoo.predict import load_predictor
from videozoo.reports.strips import Seen, frames_seen


def pixels(seen: Seen) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(seen.jpeg)), dtype=float)  # [H, W, 3]


def distance(seen: Seen, frame: np.ndarray) -> float:
    return float(np.abs(pixels(seen) - frame.transpose(1, 2, 0)).mean())


@pytest.mark.parametrize("model", ["TSN", "STNET"])
def test_a_model_on_clips_shows_the_frames_that_its_reader_gives(
    model: str, tmp_path: Path
) -> None:
    video = write_video(tmp_path / "one.mp4", 40)
    predictor = predictor_of(model, tmp_path)
    settings = predictor.settings
    dataset = family_of(settings).open([str(video)], labelled=False).dataset
    clip = dataset.read(0).clip  # [T, 3 * seglen, 32, 32]
    shown = [0] if model == "TSN" else [1, 3]  # of each segment
    seen = frames_seen(predictor, video)
    frames = segment_frames(40, seg_num=3, seglen=clip.shape[1] // 3, rng=None)[:, shown]
    assert [one.second for one in seen] == pytest.approx(frames.ravel() / 25)
    planes = [segment[3 * k : 3 * k + 3] for segment in clip for k in shown]
    for one, plane in zip(seen, planes, strict=True):
        assert distance(one, plane) < 12


@pytest.mark.parametrize("model", [m for m in MODELS if m not in ("TSN", "STNET")])
def test_a_feature_model_shows_the_frames_that_its_encoder_took(model: str, tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.mp4", 50)  # 10 rows
    predictor = predictor_of(model, tmp_path)
    seen = frames_seen(predictor, video, at_most=20)
    framing = predictor.classifier.recipe.framing  # type: ignore[union-attr]
    read = read_moments(
        video, resize=framing.resize, crop=framing.cut, rate=5.0, sound=False, motion=False
    )
    rows = [1, 3, 5, 7, 9] if model == "AttentionCluster" else range(10)
    assert [one.second for one in seen] == pytest.approx([0.08 + 0.2 * row for row in rows])
    for one, row in zip(seen, rows, strict=True):
        assert distance(one, read.frames[row, 0]) < 20


def test_of_many_frames_evenly_spaced_ones_are_shown(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.mp4", 50)
    seen = frames_seen(predictor_of("LINEAR", tmp_path), video, at_most=5)
    assert [one.second for one in seen] == pytest.approx([0.28, 0.68, 1.08, 1.48, 1.88])


def test_a_video_shorter_than_the_segments_shows_no_frame_twice(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.mp4", 2)
    seen = frames_seen(predictor_of("TSN", tmp_path), video)
    assert [one.second for one in seen] == pytest.approx([0, 0.04])


def test_squeezed_frames_get_the_proportions_of_the_video_back(tmp_path: Path) -> None:
    video = write_video(tmp_path / "one.mp4", 5, size=(128, 48))  # the encoder takes 16 x 12
    (one,) = frames_seen(predictor_of("LINEAR", tmp_path), video)
    assert pixels(one).shape == (6, 16, 3)
    (small,) = frames_seen(predictor_of("LINEAR", tmp_path), video, width=8)
    assert pixels(small).shape == (3, 8, 3)


def test_records_of_features_have_no_frames(tmp_path: Path) -> None:
    world = feature_world(tmp_path)
    predictor = load_predictor(world.weights, device=torch.device("cpu"))
    assert frames_seen(predictor, world.files[0]) == []


def test_what_is_not_one_video_is_refused(tmp_path: Path) -> None:
    predictor = predictor_of("TSN", tmp_path)
    with pytest.raises(VideozooError, match=r"is not one video"):
        frames_seen(predictor, tmp_path)
    with pytest.raises(VideozooError, match=r"none\.mp4"):
        frames_seen(predictor, tmp_path / "none.mp4")
