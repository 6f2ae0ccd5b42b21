"""Videos in which one stretch alone carries a class, and models that have learnt it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from timeline_worlds import CPU, NAMES, feature_classifier, predictor_of
from videozoo.classifier import Classifier
from videozoo.data.batch import FeatureBatch
from videozoo.data.collate import collate_clips, collate_features
from videozoo.data.sample import ClipSample, FeatureSample
from videozoo.predict import Predictor

DARK, BRIGHT = 60, 235  # grey levels of frames
PLANTED = 1  # the class


def write_frames(path: Path, frames: np.ndarray) -> Path:
    """Writes frames uint8 [n, H, W, 3], 25 a second, lossless."""
    with av.open(str(path), "w") as file:
        video = file.add_stream("ffv1", rate=25)
        video.height, video.width = frames.shape[1:3]
        video.pix_fmt = "yuv420p"
        for frame in frames:
            file.mux(video.encode(av.VideoFrame.from_ndarray(frame)))
        file.mux(video.encode(None))
    return path


def bright_video(path: Path, start: float, end: float, seconds: float = 6.0) -> Path:
    """Writes a dark video that is bright from second `start` to `end`."""
    levels = np.full(round(seconds * 25), DARK, dtype=np.uint8)
    levels[round(start * 25) : round(end * 25)] = BRIGHT
    grey = np.ascontiguousarray(
        np.broadcast_to(levels[:, None, None, None], (len(levels), 48, 64, 3))
    )
    return write_frames(path, grey)


def planted_predictor(model: str) -> Predictor:
    """Returns a tiny feature model that has learnt to name `PLANTED` by some bright rows."""
    classifier, experiment = feature_classifier(model)
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(classifier.model.parameters(), 0.02)
    classifier.train()
    loss = torch.tensor(1.0)
    for _ in range(60):
        batch, wanted = _drawn(classifier, rng)
        loss = binary_cross_entropy_with_logits(classifier(batch), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if loss.item() < 0.05:
            break
    assert loss.item() < 0.2
    return Predictor(classifier=classifier, settings=experiment["INFER"], labels=NAMES, device=CPU)


def _drawn(classifier: Classifier, rng: np.random.Generator) -> tuple[FeatureBatch, Tensor]:
    """Draws 16 videos of 30 dark rows; in half of them 6 are bright."""
    assert classifier.recipe is not None
    samples, wanted = [], torch.zeros(16, len(NAMES))
    for number in range(16):
        levels = rng.normal(DARK / 255, 0.02, (30, 1))  # [L, 1]
        if number % 2:
            start = rng.integers(0, 25)
            levels[start : start + 6] = BRIGHT / 255
            wanted[number, PLANTED] = 1.0
        rows = {"rgb": levels * [1, 1, 1, 0, 0, 0], "lower": levels * [1, 1, 1]}
        features = tuple(classifier.recipe.scale[k](v.astype(np.float32)) for k, v in rows.items())
        samples.append(FeatureSample("", features, None))
    return collate_features(samples, num_classes=len(NAMES), multi_label=True), wanted


def patched_frames(number: int, *, first: int, last: int) -> np.ndarray:
    """Returns grey frames [number, 160, 160, 3], from first to last with a patch, lower right."""
    frames = np.full((number, 160, 160, 3), 128, dtype=np.uint8)
    y, x = np.mgrid[:40, :40]
    checks = ((x // 4 + y // 4) % 2)[:, :, None]  # [40, 40, 1]
    frames[first:last, -40:, -40:] = np.where(checks, [255, 20, 20], [20, 20, 255])
    return frames


def patch_predictor(model: str, folder: Path) -> Predictor:
    """Returns a random clip model whose class `PLANTED` is what the patch changes.

    The classifier's weights are the difference that the patch makes to what it sees.
    """
    predictor = predictor_of(model, folder)
    settings = predictor.settings.model_copy(update={"short_size": 160, "target_size": 160})
    classifier = predictor.classifier
    net, per = classifier.model, settings.seglen
    seen: list[Tensor] = []
    hook = net.fc.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for last in (0, 3 * per):
        frames = patched_frames(3 * per, first=0, last=last).transpose(0, 3, 1, 2)
        clip = ClipSample("", frames.reshape(3, 3 * per, 160, 160), None)
        with torch.no_grad():
            classifier(collate_clips([clip]))
    hook.remove()
    change = seen[1] - seen[0]  # [1, C]
    with torch.no_grad():
        net.fc.weight.zero_()
        net.fc.weight[PLANTED] = change[0] / change.norm()
        net.fc.bias.zero_()
    return Predictor(classifier=classifier, settings=settings, labels=NAMES, device=CPU)
