"""Validation, test, infer and the Python API: one preprocessing, equal scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import videozoo
from tiny import World, feature_world
from videozoo.classifier import Classifier, load_weights
from videozoo.config import Experiment, load_experiment
from videozoo.data.loader import make_loader
from videozoo.data.sampler import StepSampler
from videozoo.evaluate import Evaluation, evaluate
from videozoo.inputs import open_samples
from videozoo.metrics import ClipMetrics, YouTube8MMetrics
from videozoo.specs import find_spec

CPU = torch.device("cpu")
Scores = list[list[float]]


@pytest.fixture(params=["feature_data", "clip_data"])
def world(request: pytest.FixtureRequest) -> World:
    """A feature model, and a clip model."""
    made: World = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Scores:
    """The scores that metrics were given."""
    rows: Scores = []
    for metric in (YouTube8MMetrics, ClipMetrics):
        update = metric.update

        def spy(self, scores, labels, *, update=update):  # type: ignore[no-untyped-def]
            rows.extend(scores.tolist())
            update(self, scores, labels)

        monkeypatch.setattr(metric, "update", spy)
    return rows


def changed(world: World, *overrides: str) -> Experiment:
    return load_experiment(
        find_spec(world.experiment.model).keys, str(world.config), overrides=overrides
    )


def validated(world: World, experiment: Experiment) -> Evaluation:
    """Does what a training's validation does, on the classifier of the weights."""
    settings = experiment["VALID"]
    assert settings.filelist is not None
    samples = open_samples(settings, settings.filelist, class_names=world.names)
    classifier = load_weights(world.weights, experiment).classifier
    classifier.train()  # as it is when validation begins
    found = evaluate(classifier, samples.dataset, settings=settings, device=CPU)
    assert classifier.training
    return found


def inferred(world: World, experiment: Experiment, folder: Path) -> Scores:
    videozoo.infer(
        weights=str(world.weights),
        experiment=experiment,
        top_k=100,
        save_dir=folder,
        log_interval=1,
    )
    rows = json.loads((folder / f"{experiment.model}_infer_result.json").read_text())
    return [by_class([(p["index"], p["score"]) for p in row["predictions"]]) for row in rows]


def by_class(pairs: list[tuple[int, float]]) -> list[float]:
    return [score for _, score in sorted(pairs)]


def test_every_way_gives_the_same_scores(world: World, seen: Scores, tmp_path: Path) -> None:
    valid = validated(world, world.experiment)
    first = list(seen)
    assert len(first) == len({tuple(row) for row in first}) == 5  # the model tells them apart
    seen.clear()
    test = videozoo.test(
        str(world.weights), experiment=world.experiment, save_dir=tmp_path, log_interval=1
    )
    assert seen == first
    assert test.metrics == valid.metrics
    assert inferred(world, world.experiment, tmp_path) == first
    api = videozoo.load(world.weights, use_gpu=False)
    results = api.predict([str(file) for file in world.files], top_k=100)
    assert [by_class([(p.index, p.score) for p in r.predictions]) for r in results] == first


@pytest.mark.parametrize("model", ["AttentionLSTM", "NEXTVLAD"])
def test_padding_and_unwhitening_are_the_same_everywhere(
    model: str, seen: Scores, tmp_path: Path
) -> None:
    world = feature_world(tmp_path, model)
    unwhitens = load_weights(world.weights).classifier.inputs.eigenvalues is not None
    assert unwhitens == (model == "NEXTVLAD")
    validated(world, world.experiment)
    assert inferred(world, world.experiment, tmp_path) == seen
    alone = inferred(world, changed(world, "MODEL.batch_size=1"), tmp_path)
    assert torch.allclose(torch.tensor(alone), torch.tensor(seen), rtol=0, atol=1e-5)
    # what un-whitens rgb comes with the weights: the file is not asked for again
    (tmp_path / "eigenvals.npy").unlink(missing_ok=True)
    api = videozoo.load(world.weights, use_gpu=False).predict(world.files, top_k=8)
    assert [by_class([(p.index, p.score) for p in r.predictions]) for r in api] == seen


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_batch_size_changes_nothing(
    world: World, seen: Scores, tmp_path: Path, size: int
) -> None:
    reference = inferred(world, world.experiment, tmp_path)
    experiment = changed(world, f"MODEL.batch_size={size}")
    scores = torch.tensor(inferred(world, experiment, tmp_path))
    assert torch.allclose(scores, torch.tensor(reference), rtol=0, atol=1e-5)
    found = validated(world, experiment)
    assert found.listed == found.evaluated == len(seen) == 5
    assert torch.allclose(torch.tensor(seen), torch.tensor(reference), rtol=0, atol=1e-5)


def test_a_small_micro_batch_keeps_every_video(world: World, seen: Scores) -> None:
    found = validated(world, changed(world, "MODEL.batch_size=4", "MODEL.micro_batch=3"))
    assert found.listed == found.evaluated == len(seen) == 5


def test_reader_processes_change_nothing(world: World, seen: Scores) -> None:
    validated(world, world.experiment)
    alone = list(seen)
    seen.clear()
    validated(world, changed(world, "MODEL.num_workers=2"))
    assert seen == alone


def test_out_of_memory_halves_the_part_that_goes_through(
    world: World, seen: Scores, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated(world, changed(world, "MODEL.batch_size=1"))
    alone = list(seen)
    seen.clear()
    forward = Classifier.forward
    sizes: list[int] = []

    def small(self, batch):  # type: ignore[no-untyped-def]
        sizes.append(len(batch))
        if len(batch) > 1:
            raise torch.OutOfMemoryError("made up")
        return forward(self, batch)

    monkeypatch.setattr(Classifier, "forward", small)
    found = validated(world, changed(world, "MODEL.batch_size=4"))
    assert found.evaluated == 5
    assert sizes[:3] == [4, 2, 1]
    assert torch.allclose(torch.tensor(seen), torch.tensor(alone), rtol=0, atol=1e-6)


def test_nothing_is_drawn_outside_training(world: World) -> None:
    settings = world.experiment["TEST"]
    samples = open_samples(settings, str(world.listing), class_names=world.names)
    batches = []
    for epoch in (0, 1):
        sampler = StepSampler(5, batch_size=2, micro_batch_size=2, shuffle=False)
        sampler.set_epoch(epoch)
        loader = make_loader(samples.dataset, sampler, training=False, num_workers=0, seed=epoch)
        batches.append(list(loader))
    for one, other in zip(*batches, strict=True):
        assert one.videos == other.videos
        mine, theirs = (getattr(b, "clips", None) for b in (one, other))
        pairs = (
            [(mine, theirs)] if mine is not None else zip(one.features, other.features, strict=True)
        )
        assert all(torch.equal(a, b) for a, b in pairs)
