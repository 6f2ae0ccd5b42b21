"""Whole trainings, of a few steps."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_training import (
    assert_close,
    assert_equal,
    experiment_of,
    run_quietly,
    scores_to_be,
    write_clips,
    write_shards,
)

from videozoo.classifier import load_weights
from videozoo.data.batch import Batch
from videozoo.data.sampler import EpochOrder, ReadGroups
from videozoo.data.youtube8m.dataset import SHARDS_AT_ONCE
from videozoo.errors import VideozooError
from videozoo.evaluate import evaluate
from videozoo.inputs import open_samples
from videozoo.training.state import load_state
from videozoo.training.step import MicroBatches, Stepper, StepResult


def curve(folder: Path, model: str, split: str, metric: str) -> list[float]:
    with (folder / f"{model}_curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [float(r["value"]) for r in rows if (r["split"], r["metric"]) == (split, metric)]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_epoch_has_a_new_order(
    workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, list[str]]] = []
    step = Stepper.__call__

    def noting(self: Stepper, batches: MicroBatches, steps_done: int) -> StepResult:
        for batch in batches:
            assert isinstance(batch, Batch)
            assert batch.micro_batch is not None
            seen.append((batch.micro_batch.epoch, batch.videos))
        return step(self, batches, steps_done)

    monkeypatch.setattr(Stepper, "__call__", noting)
    experiment = experiment_of(
        "AttentionCluster", write_shards(tmp_path, 9), epoch=3, num_workers=workers, seed=7
    )
    run_quietly(experiment, tmp_path / "save")
    shards = ReadGroups(np.array([5, 9]), SHARDS_AT_ONCE)
    for epoch in range(3):
        videos = [v for e, names in seen if e == epoch for v in names]
        order = EpochOrder(9, seed=7, epoch=epoch, groups=shards).take(0, 9)
        assert videos == [f"v{i}" for i in order]


def test_workers_change_no_weight(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 5)
    found = []
    for workers in (0, 2):
        experiment = experiment_of("TSN", clips, batch_size=3, epoch=1, num_workers=workers)
        trained, _ = run_quietly(experiment, tmp_path / str(workers))
        found.append(load_file(trained.last))
    assert_equal(*found)


def test_micro_batches_change_no_weight(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 9)
    found = []
    for size in (None, 1, 3):
        experiment = experiment_of("AttentionLSTM", listing, micro_batch=size)
        found.append(load_file(run_quietly(experiment, tmp_path / str(size))[0].last))
    for other in found[1:]:
        assert_close(other, found[0], atol=1e-6)


def test_training_learns(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 8)
    experiment = experiment_of("AttentionCluster", listing, epoch=40, learning_rate=0.02)
    run_quietly(experiment, tmp_path / "save", log_interval=1, save_interval=40)
    losses = curve(tmp_path / "save", "AttentionCluster", "train", "loss")
    assert len(losses) == 80
    assert sum(losses[-2:]) < 0.2 * sum(losses[:2])  # the last epoch against the first


def test_the_validation_is_what_test_finds(tmp_path: Path) -> None:
    listing, valid = write_shards(tmp_path / "a", 8), write_shards(tmp_path / "b", 5, first=50)
    experiment = experiment_of("NEXTVLAD", listing, valid_list=valid)
    trained, _ = run_quietly(experiment, tmp_path / "save")
    assert trained.evaluation is not None
    loaded = load_weights(trained.last)
    settings = loaded.experiment["VALID"]
    found = evaluate(
        loaded.classifier,
        open_samples(settings, str(valid)).dataset,
        settings=settings,
        device=torch.device("cpu"),
    )
    assert found.metrics == trained.evaluation.metrics
    assert found.metrics["gap"] == curve(tmp_path / "save", "NEXTVLAD", "valid", "gap")[-1]


def test_intervals_and_the_best_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    validated = scores_to_be(monkeypatch, [0.3, 0.6, 0.5])
    listing = write_shards(tmp_path / "features", 4)
    experiment = experiment_of("AttentionLSTM", listing, valid_list=listing, epoch=5)
    trained, _ = run_quietly(experiment, tmp_path / "save", valid_interval=2, save_interval=3)
    assert validated == [1, 3, 4]  # the last epoch in any case
    names = sorted(p.name.split("_")[1] for p in (tmp_path / "save").glob("*.safetensors"))
    assert names == [f"{name}.safetensors" for name in ("best", "epoch3", "epoch5", "last")]
    assert trained.best is not None
    best = load_state(trained.best, "AttentionLSTM").position
    assert (best.epoch, best.best) == (4, 0.6)
    last = load_state(trained.last, "AttentionLSTM").position
    assert (last.epoch, last.step, last.steps_done, last.best) == (5, 0, 5, 0.6)
    assert list((tmp_path / "save").glob(".*")) == []  # no temporary file is left


def test_the_curves_show_the_rate_of_each_step(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 8)
    experiment = experiment_of("NEXTVLAD", listing, lr_boundary_examples=8, learning_rate=1e-3)
    _, said = run_quietly(experiment, tmp_path / "save", log_interval=1)
    rates = curve(tmp_path / "save", "NEXTVLAD", "train", "learning_rate")
    assert rates == pytest.approx([1e-3, 1e-3, 8e-4, 8e-4])
    assert "step 2/2" in said
    assert "rate 0.0008" in said


def test_the_log_interval_thins_out_lines_and_keeps_the_last_step(tmp_path: Path) -> None:
    experiment = experiment_of("AttentionLSTM", write_shards(tmp_path / "f", 20), epoch=1)
    _, said = run_quietly(experiment, tmp_path / "save", log_interval=3)
    assert [line.split("  ")[1] for line in said.splitlines() if " step " in line] == [
        "step 3/5",
        "step 5/5",
    ]


def test_a_schedule_of_another_list_is_told(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 5)
    _, said = run_quietly(
        experiment_of("AttentionLSTM", listing, num_samples=5_000_000), tmp_path / "save"
    )
    assert "warning: num_samples is 5000000, but the training list has 5 samples" in said


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_samples_are_skipped_counted_and_named(workers: int, tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", 5, unreadable=[1])
    experiment = experiment_of(
        "TSN", clips, batch_size=3, num_workers=workers, resize="aspect", epoch=2
    )
    trained, said = run_quietly(experiment, tmp_path / "save", log_interval=1)
    assert [Path(video).name for video, _ in trained.unreadable.values()] == ["clip1.mp4"]
    assert "1 training samples could not be read and were skipped" in said
    assert "clip1.mp4" in said
    assert "unreadable 1" in said
    assert "trained on 8 videos" in said
    position = load_state(trained.last, "TSN").position
    assert position.videos == 8
    assert list(position.unreadable) == list(trained.unreadable)


def test_unreadable_samples_have_no_share_in_the_weights(tmp_path: Path) -> None:
    """One batch with a torn video trains as the same batch without it."""
    found = []
    for name, unreadable in (("torn", [4]), ("whole", [])):
        listing = write_shards(tmp_path / name, 5 if unreadable else 4, unreadable=unreadable)
        experiment = experiment_of("AttentionCluster", listing, batch_size=5, epoch=1)
        found.append(load_file(run_quietly(experiment, tmp_path / f"save {name}")[0].last))
    for weights in found:
        # The softmax over frames takes no notice of these biases: their gradients are rounding
        # errors, which Adam blows up.
        for name in [name for name in weights if name.endswith("attention.bias")]:
            del weights[name]
    assert_close(*found, atol=1e-6)


@pytest.mark.parametrize("model", ["TSN", "AttentionLSTM"])
def test_a_list_of_which_nothing_can_be_read_ends_training(model: str, tmp_path: Path) -> None:
    write = write_clips if model == "TSN" else write_shards
    listing = write(tmp_path / "data", 3, unreadable=[0, 1, 2])
    with pytest.raises(VideozooError, match="not one of the 3 training samples could be read"):
        run_quietly(experiment_of(model, listing), tmp_path / "save")
    assert list((tmp_path / "save").glob("*.safetensors")) == []


def test_a_training_that_diverges_leaves_its_checkpoints(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 8)
    keys: dict[str, Any] = {"learning_rate": 1e-3, "save_every_steps": 1}
    steps = 0
    over_processes = Stepper._over_processes

    def spoil(self: Stepper, batches: Sequence[Batch], fatal: str | None) -> tuple[float, int]:
        nonlocal steps
        steps += 1
        loss, videos = over_processes(self, batches, fatal)
        return (float("nan") if steps == 3 else loss), videos

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stepper, "_over_processes", spoil)
        with pytest.raises(VideozooError, match="diverged; resume from an earlier checkpoint"):
            run_quietly(experiment_of("AttentionLSTM", listing, **keys), tmp_path / "save")
    state = load_state(tmp_path / "save" / "AttentionLSTM_last.safetensors", "AttentionLSTM")
    assert state.position.steps_done == 2
    assert all(torch.isfinite(value).all() for value in state.model.values())


def test_an_interrupt_reaches_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Stepper.__call__

    def interrupt(self: Stepper, batches: MicroBatches, steps_done: int) -> StepResult:
        os.kill(os.getpid(), signal.SIGINT)
        return step(self, batches, steps_done)

    monkeypatch.setattr(Stepper, "__call__", interrupt)
    experiment = experiment_of("AttentionLSTM", write_shards(tmp_path / "features", 4))
    # A shell starts what runs in its background with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_quietly(experiment, tmp_path / "save")
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_fault_of_the_config_in_the_data_ends_training(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 8)
    experiment = experiment_of("AttentionLSTM", listing, num_classes=3)
    with pytest.raises(VideozooError, match=r"label 3 is out of range 0\.\.2"):
        run_quietly(experiment, tmp_path / "save")


def test_all_faults_at_the_doors_are_named_before_work_starts(tmp_path: Path) -> None:
    experiment = experiment_of("TSN", tmp_path / "missing", valid_list=tmp_path / "missing too")
    with pytest.raises(VideozooError) as error:
        run_quietly(experiment, tmp_path / "save", pretrain=str(tmp_path / "no.pth"))
    assert "3 things are wrong" in str(error.value)
    assert not (tmp_path / "save").exists()
