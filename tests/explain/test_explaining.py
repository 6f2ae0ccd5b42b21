"""What explanations name is what moves the score."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from planted import (
    PLANTED,
    bright_video,
    patch_predictor,
    patched_frames,
    planted_predictor,
    write_frames,
)

from timeline_worlds import CPU, NAMES, predictor_of
from tiny import feature_world, write_shard
from toy_encoder import ToyEncoder
from videos import write_video
from videozoo.data.collate import collate_features
from videozoo.data.sample import FeatureSample
from videozoo.errors import SampleError, VideozooError
from videozoo.explain.measures import log_odds, logits_without
from videozoo.explain.stretches import divide
from videozoo.predict import Predictor, load_predictor
from videozoo.scoring import Scorer


@pytest.mark.parametrize("model", ["AttentionCluster", "AttentionLSTM", "NEXTVLAD", "LINEAR"])
def test_leaving_out_the_planted_seconds_costs_more_than_all_the_others(
    model: str, tmp_path: Path, toy: ToyEncoder
) -> None:
    video = bright_video(tmp_path / "bright.mkv", 2.4, 3.6)
    predictor = planted_predictor(model)
    found = predictor.explain(video, segments=5)
    assert toy.batches == 8  # 30 rows, each encoded once
    assert (found.label, found.index) == (NAMES[PLANTED], PLANTED)
    falls = [moment.occlusion or 0.0 for moment in found.moments]
    assert len(falls) == 5
    assert falls[2] > 3 * max(sum(falls[:2] + falls[3:]), 0.1)
    assert found.most is found.moments[2]
    assert (found.most.start, found.most.end) == pytest.approx((2.4, 3.6), abs=0.15)
    assert found.score > 0.9
    assert (found.most.score or 1.0) < 0.4
    assert f"{video}: run {found.score:.3f}; most from 2." in str(found)
    assert found.frames is not None
    levels = found.frames.mean(axis=(1, 2, 3))
    assert levels.argmax() == 2
    assert found.frames.shape == (5, 12, 16, 3)


def test_attention_cluster_says_that_it_looked_at_the_planted_row(tmp_path: Path) -> None:
    video = bright_video(tmp_path / "bright.mkv", 2.4, 3.6)
    found = planted_predictor("AttentionCluster").explain(video)
    attention = [moment.attention or 0.0 for moment in found.moments]
    assert sum(attention) == pytest.approx(1, abs=1e-5)
    assert attention[2] > 1.5 * max(attention[:2] + attention[3:])
    assert set(found.moments[2].modalities) == set(found.weights) == {"rgb", "lower"}
    assert len(found.weights["rgb"]) == len(found.seconds) == 5


@pytest.mark.parametrize("model", ["TSN", "STNET"])
def test_grad_cam_is_hottest_on_the_planted_patch(model: str, tmp_path: Path) -> None:
    video = write_frames(tmp_path / "patch.mkv", patched_frames(30, first=10, last=20))
    found = patch_predictor(model, tmp_path).explain(video, NAMES[PLANTED])
    assert found.heat_maps is not None
    assert found.frames is not None
    assert found.heat_maps.shape == (3, 5, 5)
    assert found.frames.shape == (3, 160, 160, 3)
    assert np.unravel_index(found.heat_maps.argmax(), (3, 5, 5)) == (1, 4, 4)
    assert found.heat_maps.max() == pytest.approx(1)
    assert found.most is found.moments[1]
    assert (found.most.start, found.most.end) == pytest.approx((0.4, 0.8), abs=0.05)
    falls = [moment.occlusion or 0.0 for moment in found.moments]
    assert falls[1] > 1.5 * (falls[0] + falls[2])
    hot = np.asarray(found.picture().crop((246, 40, 358, 152)))  # the second frame, [112, 112, 3]
    warmth = hot[:, :, 0].astype(int) - hot[:, :, 2]
    assert warmth[-20:, -20:].mean() > warmth[:20, :20].mean() + 50


@pytest.mark.parametrize("crop", ["three", "ten"])
def test_of_several_crops_the_best_one_is_shown(crop: str, tmp_path: Path) -> None:
    predictor = predictor_of("TSN", tmp_path)
    settings = predictor.settings.model_copy(update={"test_crop": crop})
    several = Predictor(
        classifier=predictor.classifier, settings=settings, labels=NAMES, device=CPU
    )
    video = write_video(tmp_path / "one.mp4", 30)
    found = several.explain(video)
    assert found.score == pytest.approx(several.predict(video)[0].predictions[0].score, abs=1e-6)
    assert found.frames is not None
    assert found.heat_maps is not None
    side = 36 if crop == "three" else 32
    assert found.frames.shape == (3, side, side, 3)
    assert len(found.heat_maps) == 3


@pytest.mark.parametrize("model", ["AttentionCluster", "AttentionLSTM", "NEXTVLAD", "LINEAR"])
def test_a_moment_left_out_is_a_video_without_it(model: str, tmp_path: Path) -> None:
    predictor = predictor_of(model, tmp_path)
    rng = np.random.default_rng(1)
    rows = [rng.integers(0, 256, (7, width), dtype=np.uint8) for width in (6, 3)]
    parts = [np.array([0, 1, 2]), np.array([3, 4]), np.array([5, 6])]

    def batch_of(places: np.ndarray) -> object:
        sample = FeatureSample("v", tuple(of_one[places] for of_one in rows), None)
        return collate_features([sample], num_classes=3, multi_label=True)

    scorer = Scorer(predictor.classifier.for_inference("32"), CPU, "32", print)
    found = logits_without(scorer, batch_of(np.arange(7)), parts)  # type: ignore[arg-type]
    for logits, part in zip(found, parts, strict=True):
        cut = batch_of(np.setdiff1d(np.arange(7), part))
        torch.testing.assert_close(logits, scorer.logits(cut)[0], rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]


def test_log_odds_are_those_of_the_score(tmp_path: Path) -> None:
    logits = torch.tensor([[1.0, 3.0, -2.0], [30.0, 0.0, 0.0]])
    for model in ("TSN", "LINEAR"):  # softmax, sigmoids
        classifier = predictor_of(model, tmp_path).classifier
        scores = classifier.scores(logits).double()[0]
        for index in range(3):
            odds = log_odds(classifier, logits, index)
            assert float(odds[0]) == pytest.approx(
                float((scores / (1 - scores)).log()[index]), 1e-5
            )
        assert float(log_odds(classifier, logits, 0)[1]) > 29  # the score itself is 1


@pytest.mark.parametrize(
    ("seconds", "most", "wanted"),
    [
        ([0.5, 1.5, 2.5, 3.5], 2, [(0, 2, [0, 1]), (2, 4, [2, 3])]),
        ([0.5, 1.5, 2.5], 10, [(0, 1, [0]), (1, 2, [1]), (2, 3, [2])]),
        ([0.5, 1.5, 1.5, 2.5], 3, [(0, 1, [0]), (1, 2, [1, 2]), (2, 3, [3])]),  # a row twice
        ([0.5, 1.5, 0.5], 3, [(0, 1, [0, 2]), (1, 2, [1])]),  # a short clip begins again
        ([2.0], 3, [(0, 9, [0])]),
        ([0.5, 1.5], 2, [(0, 1, [0]), (1, 2, [1])]),  # what comes later is not seen
    ],
)
def test_a_video_is_divided_between_what_is_seen(
    seconds: list[float], most: int, wanted: list[tuple[float, float, list[int]]]
) -> None:
    found = divide(np.array(seconds), 9.0, most).all
    assert [(one.start, one.end, one.places.tolist()) for one in found] == wanted


def test_rows_of_a_shard_are_seconds(tmp_path: Path) -> None:
    world = feature_world(tmp_path, "AttentionLSTM")
    shard = write_shard(tmp_path / "one.tfrecord", [4])  # 6 rows
    predictor = load_predictor(world.weights, device=CPU)
    found = predictor.explain(shard, segments=3)
    assert [(moment.start, moment.end) for moment in found.moments] == [(0, 2), (2, 4), (4, 6)]
    assert (found.video, found.frames, found.heat_maps) == ("v4", None, None)
    assert {name: len(weights) for name, weights in found.weights.items()} == {"rgb": 6, "audio": 6}
    for weights in found.weights.values():
        assert sum(weights) == pytest.approx(1, abs=1e-5)
    assert found.picture().size[1] < 400
    with pytest.raises(VideozooError, match="holds 3 videos; give one"):
        predictor.explain(world.files[0])


def test_the_frames_that_attention_cluster_takes_of_a_shard_have_their_seconds(
    tmp_path: Path,
) -> None:
    world = feature_world(tmp_path)  # 5 frames of each video
    shard = write_shard(tmp_path / "one.tfrecord", [8])  # 10 rows
    found = load_predictor(world.weights, device=CPU).explain(shard)
    assert found.seconds == [1.5, 3.5, 5.5, 7.5, 9.5]


def test_what_cannot_be_explained_is_said(tmp_path: Path) -> None:
    predictor = predictor_of("LINEAR", tmp_path)
    video = bright_video(tmp_path / "short.mkv", 0, 0, seconds=0.2)  # one row
    found = predictor.explain(video)
    assert (len(found.moments), found.moments[0].occlusion) == (1, None)
    assert "the model sees one moment of it" in str(found)
    assert isinstance(found.picture(), Image.Image)
    with pytest.raises(VideozooError, match="no such class; did you mean 'jump'"):
        predictor.explain(video, "jumb")
    (tmp_path / "no.mp4").write_bytes(b"no video")
    with pytest.raises(SampleError):
        predictor.explain(tmp_path / "no.mp4")


def test_where_every_moment_is_alike_none_is_named(tmp_path: Path) -> None:
    video = bright_video(tmp_path / "dark.mkv", 0, 0, seconds=3)
    found = predictor_of("NEXTVLAD", tmp_path).explain(video)
    assert "no moment alone matters" in str(found)


def test_pictures_without_times_are_refused(tmp_path: Path) -> None:
    image = io.BytesIO()
    Image.new("RGB", (48, 48), "red").save(image, "JPEG")
    record = tmp_path / "one.pkl"
    record.write_bytes(pickle.dumps(("one", 0, [image.getvalue()] * 4)))
    with pytest.raises(VideozooError, match=r"one\.pkl: does not tell when its pictures were seen"):
        predictor_of("TSN", tmp_path).explain(record)
