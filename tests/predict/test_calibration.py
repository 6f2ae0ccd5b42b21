"""Temperatures, thresholds, and where they ride."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_f1_score

import videozoo
from tiny import World
from videozoo.calibration import (
    Calibration,
    fit_temperature,
    fit_thresholds,
    write_calibration,
)
from videozoo.checkpoints.native import load_native, save_native
from videozoo.classifier import load_weights, save_weights
from videozoo.errors import VideozooError
from videozoo.metrics.losses import clip_loss, feature_loss
from videozoo.training.averaging import Averaging


def drawn(videos: int, classes: int, temperature: float) -> tuple[Tensor, Tensor]:
    """Returns logits that are `temperature` times too large for the labels drawn by them."""
    noise = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn(videos, classes, generator=noise)
    labels = logits.softmax(1).multinomial(1, generator=noise)[:, 0]
    return logits * temperature, labels


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_the_temperature_that_spoilt_the_logits_is_found(temperature: float) -> None:
    logits, labels = drawn(20_000, 5, temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.04)


def test_no_other_temperature_is_better() -> None:
    logits, labels = drawn(3_000, 4, 2.0)
    logits = logits.double()
    best = fit_temperature(logits, labels)
    many = torch.nn.functional.one_hot(labels, 4).bool()
    of_many = fit_temperature(logits, many)
    for factor in (0.97, 1.03):
        assert clip_loss(logits / best, labels).mean() < (
            clip_loss(logits / (best * factor), labels).mean()
        )
        assert feature_loss(logits / of_many, many).mean() < (
            feature_loss(logits / (of_many * factor), many).mean()
        )


def test_a_temperature_has_bounds_and_is_the_same_each_time() -> None:
    logits, labels = drawn(500, 3, 1.0)
    assert fit_temperature(logits * 1000, labels) == pytest.approx(20.0)
    assert fit_temperature(logits / 1000, labels) == pytest.approx(0.05)
    assert fit_temperature(logits, labels) == fit_temperature(logits.clone(), labels)


@pytest.mark.parametrize("many", [False, True])
def test_few_videos_that_are_all_told_rightly_make_nothing_certain(many: bool) -> None:
    labels = torch.arange(20) % 2
    answers = torch.nn.functional.one_hot(labels, 2)
    logits = (answers * 10.0 - 5.0) * (1 + torch.arange(20)[:, None] / 20)
    temperature = fit_temperature(logits, answers.bool() if many else labels)
    scores = logits / temperature
    best = (scores.sigmoid() if many else scores.softmax(1)).max(1).values
    assert 0.9 < best.mean() < 0.99


def test_there_must_be_sound_logits() -> None:
    with pytest.raises(VideozooError, match="there is no video to fit a temperature on"):
        fit_temperature(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(VideozooError, match="a logit is not a finite number"):
        fit_temperature(torch.tensor([[torch.nan, 0.0]]), torch.tensor([0]))


def test_thresholds_have_the_best_f1_of_all() -> None:
    noise = torch.Generator().manual_seed(1)
    labels = torch.rand(60, 6, generator=noise) < torch.tensor([0.5, 0.3, 0.1, 0.9, 0.02, 0.2])
    scores = (labels * 0.3 + torch.rand(60, 6, generator=noise) * 0.7).mul(20).round() / 20  # ties
    labels[:, 5] = False
    found = fit_thresholds(scores, labels)
    assert found[5] == 0.5
    for k in range(5):
        if not labels[:, k].any():
            continue
        own, right = scores[:, k], labels[:, k].long()
        tried = [float(binary_f1_score((own >= bar).long(), right)) for bar in own.unique()]
        reached = float(binary_f1_score((own >= found[k]).long(), right))
        assert reached == pytest.approx(max(tried))


def test_thresholds_lie_half_way() -> None:
    scores = torch.tensor([[0.9], [0.7], [0.3], [0.1]])
    labels = torch.tensor([[True], [True], [False], [False]])
    assert fit_thresholds(scores, labels).tolist() == pytest.approx([0.5])
    assert fit_thresholds(scores, torch.ones(4, 1, dtype=torch.bool)).tolist() == (
        pytest.approx([0.05])
    )
    near = torch.tensor([0.5]).nextafter(torch.tensor([1.0]))
    scores = torch.stack((near, torch.tensor([0.5])))
    labels = torch.tensor([[True], [False]])
    assert fit_thresholds(scores, labels) == near
    with pytest.raises(VideozooError, match=r"must both be \[n, K\]"):
        fit_thresholds(scores, labels[:, 0])


@pytest.fixture
def calibrated(feature_data: World, tmp_path: Path) -> Path:
    """Returns a checkpoint with a temperature of 2 and thresholds."""
    path = tmp_path / "calibrated.safetensors"
    save_native(path, load_native(feature_data.weights))
    write_calibration(path, Calibration(2.0, torch.linspace(0.1, 0.8, 8)))
    return path


def test_scores_are_those_of_divided_logits(feature_data: World, calibrated: Path) -> None:
    plain, scaled = (load_weights(path).classifier for path in (feature_data.weights, calibrated))
    logits = torch.randn(3, 8)
    assert torch.equal(plain.scores(logits), logits.sigmoid())
    assert torch.equal(scaled.scores(logits), (logits / 2).sigmoid())
    assert torch.equal(scaled.for_inference("32").scores(logits), scaled.scores(logits))
    averaged = Averaging(scaled, decay=0.9).classifier
    assert torch.equal(averaged.scores(logits), scaled.scores(logits))


def test_a_calibration_rides_in_the_checkpoint(
    feature_data: World, calibrated: Path, tmp_path: Path
) -> None:
    before, after = load_native(feature_data.weights), load_native(calibrated)
    assert not before.extra
    assert set(after.extra) == {"calibration.temperature", "calibration.thresholds"}
    assert before.state_dict.keys() == after.state_dict.keys()
    loaded = load_weights(calibrated)
    again = tmp_path / "again.safetensors"
    save_weights(again, loaded.classifier, loaded.experiment, loaded.labels)
    assert again.read_bytes() == calibrated.read_bytes()
    write_calibration(again, Calibration())
    assert again.read_bytes() == feature_data.weights.read_bytes()


def test_results_and_protocols_are_calibrated(
    feature_data: World, calibrated: Path, tmp_path: Path
) -> None:
    (plain, *_), (scaled, *_) = (
        videozoo.infer(None, path, filelist=feature_data.listing, save_dir=tmp_path)
        for path in (feature_data.weights, calibrated)
    )
    for one, other in zip(plain.predictions, scaled.predictions, strict=True):
        logit = torch.tensor(one.score, dtype=torch.float64).logit()
        assert (one.label, other.score) == (
            other.label,
            pytest.approx(float((logit / 2).sigmoid()), rel=1e-4),
        )
    assert '"temperature": 2.0' in (tmp_path / "AttentionCluster_infer_summary.json").read_text()


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"calibration.temperature": torch.tensor(0.0)}, "temperature is no positive number"),
        ({"calibration.temperature": torch.ones(2)}, "temperature is no positive number"),
        ({"calibration.thresholds": torch.ones(3)}, "has 3 thresholds for 8 classes"),
    ],
)
def test_a_damaged_calibration_is_named(
    extra: dict[str, Tensor], said: str, calibrated: Path
) -> None:
    save_native(calibrated, replace(load_native(calibrated), extra=extra))
    with pytest.raises(VideozooError, match=f"{calibrated}: its calibration.*{said[:20]}"):
        load_weights(calibrated)
