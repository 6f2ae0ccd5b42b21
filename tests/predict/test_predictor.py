"""The Python API, and what a list is opened as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import videozoo
from tiny import (
    CLIP_CLASSES,
    FEATURE_CLASSES,
    World,
    example,
    features,
    write_list,
    write_shard,
)
from videozoo.classifier import Classifier, build_classifier, load_weights
from videozoo.config import load_experiment
from videozoo.data.collate import collate_features
from videozoo.data.labels import read_label_file
from videozoo.data.sample import FeatureSample
from videozoo.data.youtube8m.example import encode_example
from videozoo.data.youtube8m.tfrecord import write_tfrecord
from videozoo.errors import VideozooError
from videozoo.evaluate import evaluate
from videozoo.families.eigenvalues import read_eigenvalues
from videozoo.inputs import open_samples
from videozoo.predict import Predictor
from videozoo.specs import find_spec


def test_predictions_are_named_and_ordered(clip_data: World) -> None:
    predictor = videozoo.load(clip_data.weights, use_gpu=False)
    folder, one = predictor.predict(clip_data.folder), predictor.predict(clip_data.files[1])
    assert [r.video for r in folder] == sorted(str(f) for f in clip_data.files)
    assert [r.video for r in one] == [str(clip_data.files[1])]
    best = one[0].predictions
    assert len(best) == 3  # of 20 wanted: no more than there are classes
    assert [p.score for p in best] == sorted((p.score for p in best), reverse=True)
    assert [p.label for p in best] == [CLIP_CLASSES[p.index] for p in best]
    assert sum(p.score for p in best) == pytest.approx(1, abs=1e-6)
    two = predictor.predict([clip_data.files[1]], top_k=2)[0].predictions
    assert two == best[:2]


def test_labels_ride_in_the_checkpoint(feature_data: World) -> None:
    predictor = videozoo.load(feature_data.weights, use_gpu=False)
    assert predictor.labels == FEATURE_CLASSES
    assert predictor.predict(feature_data.files[1])[0].video == "v3"
    loaded = load_weights(feature_data.weights)
    nameless = Predictor(
        classifier=loaded.classifier,
        settings=loaded.experiment["INFER"],
        labels=None,
        device=torch.device("cpu"),
    )
    found = nameless.predict(feature_data.files[1])[0].predictions
    assert [p.label for p in found] == [str(p.index) for p in found]


def test_what_cannot_be_read_keeps_its_place(clip_data: World, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    predictor = videozoo.load(clip_data.weights, use_gpu=False)
    paths = [broken, clip_data.files[0], clip_data.files[2]]
    found = predictor.predict(paths)
    assert [r.video for r in found] == [str(p) for p in paths]
    assert found[0].predictions == []
    assert str(broken) in str(found[0].unreadable)
    without = predictor.predict(paths[1:])
    for result, other in zip(found[1:], without, strict=True):
        scores = [p.score for p in result.predictions]
        assert scores == pytest.approx([p.score for p in other.predictions], abs=1e-5)
        assert result.video == other.video
    alone = predictor.predict(broken)
    assert (len(alone), alone[0].unreadable) == (1, found[0].unreadable)


def test_a_path_to_nothing_is_named(clip_data: World) -> None:
    predictor = videozoo.load(clip_data.weights, use_gpu=False)
    with pytest.raises(VideozooError, match=r"none\*\.mp4: no such file, folder or pattern"):
        predictor.predict("none*.mp4")


def test_loading_names_what_is_wrong(tmp_path: Path, clip_data: World) -> None:
    with pytest.raises(VideozooError, match="there is no such checkpoint"):
        videozoo.load(tmp_path / "none.safetensors")
    (tmp_path / "fluid").mkdir()
    with pytest.raises(VideozooError, match="does not say its model"):
        videozoo.load(tmp_path / "fluid")
    stnet = load_experiment(find_spec("STNET").keys, None)
    with pytest.raises(VideozooError, match="weights of TSN, not of STNET"):
        videozoo.load(clip_data.weights, experiment=stnet)


def test_nothing_to_evaluate_is_an_error_with_the_first_reason(
    feature_data: World, tmp_path: Path
) -> None:
    shard = write_shard(tmp_path / "cut.tfrecord", [0])
    shard.write_bytes(shard.read_bytes()[:-9])
    settings = feature_data.experiment["TEST"]
    dataset = open_samples(settings, str(shard)).dataset
    classifier = load_weights(feature_data.weights).classifier
    with pytest.raises(VideozooError, match=r"1 unreadable, 0 without a label; the first: .*cut"):
        evaluate(classifier, dataset, settings=settings, device=torch.device("cpu"))


def test_videos_without_labels_are_counted_apart(feature_data: World, tmp_path: Path) -> None:
    shard = tmp_path / "mixed.tfrecord"
    unlabelled = encode_example(video="u", labels=None, features=features(9, 3))
    write_tfrecord(shard, [example(0), unlabelled, example(1)])
    settings = feature_data.experiment["TEST"]
    classifier = load_weights(feature_data.weights).classifier
    found, without = (
        evaluate(
            classifier,
            open_samples(settings, str(path)).dataset,
            settings=settings,
            device=torch.device("cpu"),
        )
        for path in (shard, write_shard(tmp_path / "labelled.tfrecord", [0, 1]))
    )
    assert (found.listed, found.evaluated, found.unlabelled) == (3, 2, 1)
    assert found.metrics == pytest.approx(without.metrics, abs=1e-6)


def in_place(model: nn.Module) -> None:
    with torch.no_grad():
        model.fc.bias.add_(torch.tensor([1.0, 0.0, -1.0]))


def loaded(model: nn.Module) -> None:
    model.load_state_dict({key: value * 1.5 for key, value in model.state_dict().items()})


def statistics(model: nn.Module) -> None:
    model.backbone.bn1.running_mean.add_(1.0)


@pytest.mark.parametrize("change", [in_place, loaded, statistics])
def test_changed_weights_show_after_a_refresh(clip_data: World, change: object) -> None:
    predictor = videozoo.load(clip_data.weights, use_gpu=False)
    before = predictor.predict(clip_data.files[0])
    assert predictor.predict(clip_data.files[0]) == before
    change(predictor.classifier.model)  # type: ignore[operator]
    predictor.refresh()
    after = predictor.predict(clip_data.files[0])
    assert after != before
    fresh = Predictor(
        classifier=predictor.classifier,
        settings=predictor.settings,
        labels=predictor.labels,
        device=predictor.device,
    )
    assert fresh.predict(clip_data.files[0]) == after


def test_weights_are_folded_once(clip_data: World, monkeypatch: pytest.MonkeyPatch) -> None:
    folds: list[str] = []
    fold = Classifier.for_inference

    def spy(self: Classifier, precision: str) -> Classifier:
        folds.append(precision)
        return fold(self, precision)

    monkeypatch.setattr(Classifier, "for_inference", spy)
    predictor = videozoo.load(clip_data.weights, use_gpu=False)
    first = predictor.predict(clip_data.files[0])
    assert predictor.predict(clip_data.files[0]) == first
    assert folds == ["32"]
    predictor.refresh()
    assert predictor.predict(clip_data.files[0]) == first
    assert folds == ["32", "32"]


def test_label_files(tmp_path: Path) -> None:
    lines = write_list(tmp_path / "names.txt", ["jump rope", "", " run, fast "])
    assert read_label_file(str(lines)) == ["jump rope", "run, fast"]
    table = tmp_path / "vocabulary.csv"
    table.write_text('Index,TrainVideoCount,Name\n1,7,"a, b"\n0,9,Game\n2,3,\n')
    assert read_label_file(str(table)) == ["Game", "a, b", "class 2"]
    table.write_text("Index,Name\n1,a\n2,b\n")
    with pytest.raises(VideozooError, match="the indices are not 0 to 1"):
        read_label_file(str(table))
    table.write_text("Index,Name\nx,a\n")
    with pytest.raises(VideozooError, match="index 'x' is no number"):
        read_label_file(str(table))
    table.write_text("Index,Name\n0,a\n0,b\n1,c\n")
    with pytest.raises(VideozooError, match="index 0 stands in it twice"):
        read_label_file(str(table))
    table.write_text("Name,Index\na,0\nb\n")
    with pytest.raises(VideozooError, match="index '' is no number"):
        read_label_file(str(table))
    table.write_text("Index,Name\n0\n1,b\n")
    assert read_label_file(str(table)) == ["class 0", "b"]
    lines.write_text("\n")
    with pytest.raises(VideozooError, match="is empty"):
        read_label_file(str(lines))
    lines.write_bytes(b"caf\xe9\n")
    with pytest.raises(VideozooError, match=r"names\.txt: is not a text in UTF-8"):
        read_label_file(str(lines))


def test_label_file_of_the_config_stands_above_the_checkpoints(
    clip_data: World, tmp_path: Path
) -> None:
    names = write_list(tmp_path / "names.txt", ["a", "b", "c"])
    settings = load_experiment(
        find_spec("TSN").keys, str(clip_data.config), overrides=[f"MODEL.kinetics_labels={names}"]
    )["TEST"]
    opened = open_samples(settings, str(clip_data.listing), class_names=clip_data.names)
    assert opened.class_names == ["a", "b", "c"]
    few = write_list(tmp_path / "few.txt", ["a", "b"])
    settings = settings.model_copy(update={"label_file": str(few)})
    with pytest.raises(VideozooError, match=r"few\.txt names 2 classes, but num_classes is 3"):
        open_samples(settings, str(clip_data.listing))


def test_eigenvalues_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "eigenvals.npy"
    np.save(path, np.arange(6, dtype=np.float32)[:, None])
    assert read_eigenvalues(str(path), 4).tolist() == [0, 1, 2, 3]
    with pytest.raises(VideozooError, match="has 6 values, rgb needs 8"):
        read_eigenvalues(str(path), 8)
    np.save(path, np.array([1.0, np.nan]))
    with pytest.raises(VideozooError, match="must be finite"):
        read_eigenvalues(str(path), 2)
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(VideozooError, match=r"not a \.npy array"):
        read_eigenvalues(str(path), 1)
    np.save(path, np.array(["a"]))
    with pytest.raises(VideozooError, match=r"not a \.npy array"):
        read_eigenvalues(str(path), 1)


def test_rgb_alone_is_unwhitened() -> None:
    eigenvalues = torch.tensor([4.0, 1.0, 0.25, 0.01, 0.0, 9.0, 1.0, 1.0])
    settings = load_experiment(
        find_spec("NEXTVLAD").keys, None, overrides=["MODEL.feature_dims=[8, 4]"]
    )["TEST"]
    inputs = build_classifier(settings, eigenvalues).inputs
    made = features(0, 3)
    sample = FeatureSample("v", (made["rgb"], made["audio"]), None)
    (rgb, audio), lengths = inputs(collate_features([sample], num_classes=3862))
    plain = {k: v.astype(float) * 4 / 255 + 4 / 512 - 2 for k, v in made.items()}
    whole = (plain["rgb"] - 4 / 512) * (eigenvalues.sqrt().numpy() + 1e-4)
    assert np.abs(rgb[0].numpy() - whole).max() < 1e-5
    assert np.abs(audio[0].numpy() - plain["audio"]).max() < 1e-6
    assert lengths.tolist() == [3]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('["a", "b"]', ["a", "b"]),
        ('{"b": 1, "a": 0}', ["a", "b"]),
        ('{"1": "b", "0": "a"}', ["a", "b"]),
    ],
)
def test_class_names_in_json(tmp_path: Path, text: str, names: list[str]) -> None:
    (tmp_path / "labels.json").write_text(text)
    assert read_label_file(str(tmp_path / "labels.json")) == names


@pytest.mark.parametrize("text", ["{", "3", '["a", 1]', '{"a": 0, "b": 0}', '{"a": 0, "b": 2}'])
def test_class_names_in_json_that_tell_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(VideozooError, match=r"labels\.json: "):
        read_label_file(str(tmp_path / "labels.json"))
