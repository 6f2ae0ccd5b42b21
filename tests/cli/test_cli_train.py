"""videozoo train with the original's flags, and what its checkpoint is good for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Command

import videozoo
from tiny import World, write_list
from videozoo.classifier import experiment_of
from videozoo.config import load_experiment, resolve
from videozoo.specs import find_spec


def test_the_originals_way_from_training_to_names(command: Command, feature_data: World) -> None:
    names = write_list(Path("names.txt"), feature_data.names)
    done = command(
        *("train", "--model-name=ATTENTIONCLUSTER", f"--config={feature_data.config}"),
        *("--epoch=2", "--save-dir=runs", "--log-interval=1", "--use-gpu=False"),
        *("--learning_rate=0.01", "--no-use-pyreader", "--no-memory-optimize"),
        *("--set", f"MODEL.label_file={names}"),
    )
    assert done.code == 0, done.err
    assert done.err.count("do nothing here") == 1
    assert "epoch 2/2" in done.out
    best = Path("runs/AttentionCluster_best.safetensors")
    assert f"checkpoint: {best}" in done.out
    assert Path("runs/AttentionCluster_last.state").is_file()
    names.unlink()  # the names ride in the checkpoint
    done = command("infer", feature_data.files[1], "--weights", best, "--infer-topk=1")
    assert done.code == 0, done.err
    row = json.loads(Path("AttentionCluster_infer_result.json").read_text())[0]
    found = row["predictions"][0]
    assert found["label"] == feature_data.names[found["index"]]
    assert f"v3: {found['label']} " in done.out
    assert command("test", "--weights", best).code == 0


def test_validation_and_test_give_the_same_metrics(feature_data: World) -> None:
    trained = videozoo.train(
        experiment=load_experiment(find_spec("AttentionCluster").keys, str(feature_data.config)),
        save_dir="runs",
    )
    assert trained.evaluation is not None
    assert videozoo.load(trained.last, use_gpu=False).labels is None  # there were no names
    experiment = experiment_of(trained.last)
    assert (
        experiment.as_dict()
        == resolve(
            find_spec("AttentionCluster").keys, feature_data.experiment.as_dict(), source="x"
        ).as_dict()
    )
    found = videozoo.test(str(trained.last), experiment=experiment, save_dir=".", log_interval=1)
    assert found.metrics == trained.evaluation.metrics
    assert (found.listed, found.evaluated) == (5, 5)


@pytest.mark.parametrize("rate", ["0", "-1"])
def test_flags_are_checked_like_keys(command: Command, feature_data: World, rate: str) -> None:
    done = command("train", "--config", feature_data.config, "--learning-rate", rate)
    assert done.code == 2
    assert done.err.startswith("error: --learning-rate")
    assert "input should be greater than 0" in done.err
