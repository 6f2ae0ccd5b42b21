"""Predictors and videos for timelines: what every second shows is known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from sounds import RATE
from tiny import FEATURE_SIZES, clip_world
from toy_encoder import ToyEncoder, toy_recipe
from videos import pattern
from videozoo.classifier import Classifier, build_classifier
from videozoo.config import Experiment, resolve
from videozoo.encoders.motion import MOTION
from videozoo.encoders.quantiser import Quantiser
from videozoo.encoders.recipe import Recipe
from videozoo.encoders.sound import BANDS
from videozoo.predict import Predictor, load_predictor
from videozoo.specs import find_spec

CPU = torch.device("cpu")
MODELS = ("TSN", "STNET", "AttentionCluster", "AttentionLSTM", "NEXTVLAD", "LINEAR")
NAMES = ["jump", "run", "swim"]


def predictor_of(model: str, folder: Path, **sampling: float | bool) -> Predictor:
    """Returns a tiny model with random weights that takes videos."""
    if model in ("TSN", "STNET"):
        return load_predictor(clip_world(folder, model).weights, device=CPU)
    classifier, experiment = feature_classifier(model, **sampling)
    return Predictor(classifier=classifier, settings=experiment["INFER"], labels=NAMES, device=CPU)


def feature_classifier(model: str, **sampling: float | bool) -> tuple[Classifier, Experiment]:
    """Returns a feature model of the toy encoder's rows, all modalities of them."""
    recipe = _scaled(toy_recipe(**sampling))
    values = {
        "num_classes": 3,
        "feature_names": list(recipe.dims),
        "feature_dims": list(recipe.dims.values()),
        "num_workers": 0,
        "use_gpu": False,
        **_sizes(model, len(recipe.dims)),
    }
    experiment = resolve(find_spec(model).keys, {"MODEL": values}, source="test")
    torch.manual_seed(3)
    classifier = build_classifier(experiment["INFER"])
    with torch.no_grad():
        for weights in classifier.model.parameters():
            weights.mul_(3.0)  # scores that differ visibly from window to window
    classifier.recipe = recipe
    return classifier, experiment


def _sizes(model: str, modalities: int) -> dict[str, object]:
    if model == "AttentionCluster":
        return {"seg_num": 5, "cluster_nums": [3] * modalities, "hidden_sizes": [12, 10]}
    sizes: dict[str, object] = {}
    for line in FEATURE_SIZES.get(model, []):
        key, _, value = line.partition("=")
        sizes[key] = [int(v) for v in value.strip("[]").split(",")] if "[" in value else int(value)
    if model == "NEXTVLAD":
        sizes |= {"groups": 1, "eigen_file": None}
    return sizes


def _scaled(recipe: Recipe) -> Recipe:
    ends = {"audio": (-14.0, 2.0), "motion": (-1.0, 8.0)}
    scale = {}
    for name, width in recipe.dims.items():
        low, high = ends.get(name, (0.0, 1.0))
        middle, reach = (low + high) / 2, (high - low) / 2
        scale[name] = Quantiser(
            np.full(width, middle, np.float32), np.full(width, reach, np.float32)
        )
    assert {"rgb", "lower"} <= set(scale)
    assert (ToyEncoder().dims["rgb"], MOTION, BANDS) == (6, 144, 64)
    return recipe.scaled(scale)


def write_numbers(
    path: Path,
    numbers: Sequence[int],
    *,
    times: Sequence[int] | None = None,
    sound: np.ndarray | None = None,
    codec: str = "ffv1",
    options: dict[str, str] | None = None,
) -> Path:
    """Writes frames `numbers` of `videos.pattern`, lossless, and sound (float32 [samples]).

    Args:
        path: its ending names the container.
        numbers: of the frames.
        times: when each is shown, in 1/25 s; None: one after another.
        sound: mono, sounds.RATE samples a second.
        codec: FFmpeg's name of the encoder.
        options: of the encoder.
    """
    with av.open(str(path), "w") as file:
        video = file.add_stream(codec, rate=25, options=options or {})
        video.width, video.height = 64, 48
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = Fraction(1, 25)
        video.codec_context.thread_count = 1
        audio = (
            file.add_stream("pcm_s16le", rate=RATE, layout="mono") if sound is not None else None
        )
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(pattern(number % 256))
            frame.pts, frame.time_base = place if times is None else times[place], Fraction(1, 25)
            file.mux(video.encode(frame))
            step = RATE // 25
            if audio is not None and sound is not None and place * step < len(sound):
                part = np.rint(sound[place * step : (place + 1) * step] * 32767).astype(np.int16)
                heard = av.AudioFrame.from_ndarray(part[None], format="s16", layout="mono")
                heard.sample_rate, heard.pts = RATE, place * step
                heard.time_base = Fraction(1, RATE)
                file.mux(audio.encode(heard))
        file.mux(video.encode(None))
        if audio is not None:
            file.mux(audio.encode(None))
    return path
