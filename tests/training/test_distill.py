from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import (
    Steps,
    experiment_of,
    feature_batch,
    run_quietly,
    write_clips,
    write_shards,
)

from videozoo.classifier import load_weights
from videozoo.data.youtube8m.frames import cluster_frames
from videozoo.errors import VideozooError
from videozoo.families.features import sampled
from videozoo.metrics.losses import feature_loss
from videozoo.training.distill import Ensemble, Teacher, open_teachers

MODELS = ("AttentionCluster", "AttentionLSTM", "NEXTVLAD")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Returns a checkpoint of each feature model, and of TSN."""
    folder = tmp_path_factory.mktemp("teachers")
    features, clips = write_shards(folder / "features", 6), write_clips(folder / "clips", 2)
    found = {"list": features}
    for model in (*MODELS, "TSN"):
        listing = clips if model == "TSN" else features
        experiment = experiment_of(model, listing, epoch=1, learning_rate=0.01)
        found[model] = run_quietly(experiment, folder / "save")[0].last
    return found


def teachers_of(trained: dict[str, Path], *models: str) -> list[Teacher]:
    paths = [str(trained[model]) for model in models]
    experiment = experiment_of("NEXTVLAD", trained["list"], distill_from=paths)
    return open_teachers(experiment["TRAIN"], None)


def test_the_ensembles_scores_are_the_mean(trained: dict[str, Path]) -> None:
    ensemble = Ensemble(teachers_of(trained, "AttentionLSTM", "NEXTVLAD"), weight=0.5)
    # mixed features are floats: that the first teacher has seen them must change nothing
    batch = feature_batch([0, 3, 5])
    batch = replace(batch, features=tuple(feature.float() for feature in batch.features))
    scores = []
    for model in ("AttentionLSTM", "NEXTVLAD"):
        classifier = load_weights(trained[model]).classifier
        with torch.no_grad():
            scores.append(classifier(batch).sigmoid())
    torch.testing.assert_close(ensemble.scores(batch), (scores[0] + scores[1]) / 2)


def test_attention_cluster_teaches_with_its_own_frames(trained: dict[str, Path]) -> None:
    (teacher,) = teachers_of(trained, "AttentionCluster")
    assert teacher.frames == 4
    batch = feature_batch([1, 3, 0])  # 3, 5 and 2 frames
    few = sampled(batch, 4)
    assert few.lengths.tolist() == [4, 4, 4]
    for before, after in zip(batch.features, few.features, strict=True):
        for row, length in enumerate(batch.lengths.tolist()):
            chosen = cluster_frames(length, 4, 0.5)
            assert torch.equal(after[row], before[row][torch.from_numpy(chosen)])
    scores = Ensemble([teacher], weight=1.0).scores(batch)
    with torch.no_grad():
        torch.testing.assert_close(scores, teacher.classifier(few).sigmoid())


def test_the_student_learns_labels_and_scores_in_their_shares(trained: dict[str, Path]) -> None:
    student, book = Steps("NEXTVLAD"), Steps("NEXTVLAD")
    regulariser = student.stepper.regulariser
    regulariser.ensemble = Ensemble(
        teachers_of(trained, "AttentionLSTM", "AttentionCluster"), weight=0.7
    )
    regulariser.label_smoothing = 0.1
    batch = feature_batch([0, 1, 2, 3])
    student(batch)
    logits = book.classifier(batch)
    hard = feature_loss(logits, batch.labels, label_smoothing=0.1)
    soft = feature_loss(logits, regulariser.ensemble.scores(batch))
    losses = 0.3 * hard + 0.7 * soft
    losses.mean().backward()
    assert student.result.loss == pytest.approx(float(losses.detach().mean()))
    wanted = book.gradients()
    for name, gradient in student.gradients().items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-6, msg=name)


def test_teachers_do_not_learn(trained: dict[str, Path], tmp_path: Path) -> None:
    paths = [str(trained["AttentionLSTM"]), str(trained["NEXTVLAD"])]
    before = [Path(path).read_bytes() for path in paths]
    keys: dict[str, Any] = {"epoch": 2, "mixup_alpha": 0.5, "frame_drop": 0.3}
    plain = experiment_of("AttentionCluster", trained["list"], **keys)
    taught = experiment_of("AttentionCluster", trained["list"], distill_from=paths, **keys)
    one, _ = run_quietly(plain, tmp_path / "plain")
    other, _ = run_quietly(taught, tmp_path / "taught")
    assert one.last.read_bytes() != other.last.read_bytes()
    assert load_weights(other.last).classifier is not None
    assert [Path(path).read_bytes() for path in paths] == before


@pytest.mark.parametrize(
    ("model", "keys", "said"),
    [
        ("TSN", {}, "TSN takes clips; a teacher must take features"),
        ("NEXTVLAD", {"num_classes": 5}, "its num_classes is 4, the student's is 5"),
        ("NEXTVLAD", {"feature_dims": [6, 4]}, "its feature_dims is"),
        ("NEXTVLAD", {"feature_names": ["rgb", "sound"]}, "its feature_names is"),
    ],
)
def test_teachers_that_are_no_siblings(
    model: str, keys: dict[str, Any], said: str, trained: dict[str, Path]
) -> None:
    path = str(trained[model])
    experiment = experiment_of("NEXTVLAD", trained["list"], distill_from=[path], **keys)
    with pytest.raises(VideozooError, match=f"distill_from .*{said}"):
        open_teachers(experiment["TRAIN"], None)


def test_every_fault_of_the_teachers_is_named(trained: dict[str, Path], tmp_path: Path) -> None:
    paths = [str(tmp_path / "none.safetensors"), str(trained["TSN"])]
    experiment = experiment_of("NEXTVLAD", trained["list"], distill_from=paths)
    with pytest.raises(VideozooError, match="2 things are wrong") as error:
        run_quietly(experiment, tmp_path / "save")
    assert "there is no such checkpoint" in str(error.value)
    assert "takes clips" in str(error.value)


def test_teachers_of_other_class_names(trained: dict[str, Path], tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("a\nb\nc\nd\n")
    experiment = experiment_of("NEXTVLAD", trained["list"], label_file=str(names), epoch=1)
    teacher, _ = run_quietly(experiment, tmp_path / "save")
    student = experiment_of("NEXTVLAD", trained["list"], distill_from=[str(teacher.last)])
    assert len(open_teachers(student["TRAIN"], ["a", "b", "c", "d"])) == 1
    with pytest.raises(VideozooError, match="its class 1 is 'b', in the training data it is 'x'"):
        open_teachers(student["TRAIN"], ["a", "x", "c", "d"])
