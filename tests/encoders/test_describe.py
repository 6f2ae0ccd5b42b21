from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from demo_clips import write_clip
from demo_scenes import draw_scene
from tiny import World
from videozoo.classifier import load_weights
from videozoo.config.clip_keys import ClipSettings
from videozoo.data.framing import Crop, resized_size
from videozoo.data.transforms import normalise_clips
from videozoo.encoders.describe import FeatureRecipe, FrameDescriber, frame_indices, read_moments
from videozoo.errors import SampleError, VideozooError
from videozoo.models.tsn import TSN
from videozoo.video.reader import read_clip


@pytest.mark.parametrize(
    ("count", "frame_rate", "recipe", "indices"),
    [
        (30, 10, FeatureRecipe(rate=5), list(range(1, 30, 2))),
        (10, 5, FeatureRecipe(rate=5), list(range(10))),
        (50, 25, FeatureRecipe(rate=5), [2, 7, 12, 17, 22, 27, 32, 37, 42, 47]),
        (4, 2, FeatureRecipe(rate=4), [0, 0, 1, 1, 2, 2, 3, 3]),
        (1, 30, FeatureRecipe(), [0]),
        (100, 25, FeatureRecipe(most=3), [12, 37, 62]),
    ],
)
def test_frame_indices(
    count: int, frame_rate: float, recipe: FeatureRecipe, indices: list[int]
) -> None:
    assert frame_indices(count, frame_rate=frame_rate, recipe=recipe).tolist() == indices


@pytest.mark.parametrize("rate", [0.0, -1.0, 31.0])
def test_a_rate_that_is_none(rate: float) -> None:
    with pytest.raises(VideozooError, match="rows a second must be above 0 and at most 30"):
        FeatureRecipe(rate=rate)


def test_frames_and_sound_of_the_same_moments(clip_data: World, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_clip(path, draw_scene("grow", seed=(1,)))  # 30 frames in 3 s, ever louder
    settings = clip_data.experiment["INFER"]
    assert isinstance(settings, ClipSettings)
    moments = read_moments(path, FeatureRecipe(rate=5), settings)
    wanted = read_clip(
        path,
        lambda n: np.arange(1, n, 2),
        resize=lambda width, height: resized_size(width, height, short_size=36, rule="4:3"),
        crop=Crop(32),
    )
    np.testing.assert_array_equal(moments.frames, wanted)
    assert moments.audio is not None
    assert (moments.audio.shape, moments.audio.dtype) == ((15, 64), np.float32)
    assert moments.audio.max() - moments.audio.min() > 3
    silent = read_moments(path, FeatureRecipe(rate=5, sound=False), settings)
    assert silent.audio is None


def test_a_file_that_is_no_video(clip_data: World, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("no video")
    settings = clip_data.experiment["INFER"]
    assert isinstance(settings, ClipSettings)
    with pytest.raises(SampleError, match=r"a\.mp4"):
        read_moments(path, FeatureRecipe(), settings)


def test_frames_are_described_as_the_model_sees_them(clip_data: World) -> None:
    weights = load_weights(clip_data.weights)
    describe = FrameDescriber(weights, torch.device("cpu"))
    frames = np.random.default_rng(0).integers(0, 256, (35, 3, 32, 32), dtype=np.uint8)
    features = describe(frames)
    assert (features.shape, features.dtype) == ((35, 512), np.float32)
    model = weights.classifier.model
    assert isinstance(model, TSN)
    settings = describe.settings
    with torch.inference_mode():
        values = normalise_clips(
            torch.from_numpy(frames)[None], settings.image_mean, settings.image_std
        )
        torch.testing.assert_close(
            torch.from_numpy(features), model.embed(values[0]), rtol=1e-4, atol=1e-5
        )


def test_features_are_a_tsn_s(feature_data: World) -> None:
    weights = load_weights(feature_data.weights)
    with pytest.raises(
        VideozooError, match="weights of AttentionCluster; features are computed by a TSN"
    ):
        FrameDescriber(weights, torch.device("cpu"))
