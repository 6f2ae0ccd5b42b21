from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from small_training import (
    Steps,
    assert_close,
    assert_equal,
    experiment_of,
    feature_batch,
    run_quietly,
    write_shards,
)
from torch import Tensor

from videozoo.training.averaging import Averaging
from videozoo.training.state import load_state


def state_of(model: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_the_average_is_the_one_written_by_hand() -> None:
    task = Steps("NEXTVLAD")  # it has batch norms
    averaging = task.stepper.averaging = Averaging(task.classifier, decay=0.6)
    by_hand: dict[str, Tensor] = {}
    for number in range(12):
        task(feature_batch([number, number + 1, number + 2]))
        now = state_of(task.classifier.model)
        keep = min(0.6, (1 + number) / (10 + number)) if number else 0.0
        for name, value in now.items():
            if value.is_floating_point():
                old = by_hand.get(name, torch.zeros_like(value))
                by_hand[name] = keep * old + (1 - keep) * value
            else:
                by_hand[name] = value
    average = state_of(averaging.classifier.model)
    assert_close(average, by_hand, atol=1e-6)
    assert any(not torch.equal(average[name], now[name]) for name in now)


def test_the_average_changes_nothing_of_training() -> None:
    one, other = Steps("NEXTVLAD"), Steps("NEXTVLAD")
    other.stepper.averaging = Averaging(other.classifier, decay=0.9)
    for task in (one, other):
        for number in range(3):
            task(feature_batch([number, number + 1]))
    assert_equal(state_of(one.classifier.model), state_of(other.classifier.model))


def test_it_goes_on_from_its_state() -> None:
    whole, first, second = (Steps("NEXTVLAD") for _ in range(3))
    averages = [Averaging(task.classifier, decay=0.9) for task in (whole, first, second)]
    whole.stepper.averaging, first.stepper.averaging = averages[:2]
    batches = [feature_batch([i, i + 1]) for i in range(4)]
    for batch in batches:
        whole(batch)
    for batch in batches[:2]:
        first(batch)
    averages[2].load(averages[1].state())
    for batch in batches[2:]:
        first(batch)
        averages[2].update(first.classifier.model)
    assert_equal(averages[0].state(), averages[2].state())


def test_the_average_is_saved_and_validated_and_the_weights_go_on(tmp_path: Path) -> None:
    lists = {
        "train_list": write_shards(tmp_path / "a", 8),
        "valid_list": write_shards(tmp_path / "b", 4, first=40),
    }
    plain, said_plain = run_quietly(experiment_of("NEXTVLAD", epoch=3, **lists), tmp_path / "plain")
    averaged, said = run_quietly(
        experiment_of("NEXTVLAD", epoch=3, ema_decay=0.9, **lists), tmp_path / "ema"
    )
    state, wanted = load_state(averaged.last, "NEXTVLAD"), load_state(plain.last, "NEXTVLAD")
    assert_equal(state.model, wanted.model)
    assert state.average is not None
    assert wanted.average is None
    inside = {
        name.removeprefix("module."): value
        for name, value in state.average.items()
        if name.startswith("module.")
    }
    assert_equal(load_file(averaged.last), inside)
    assert int(state.average["n_averaged"]) == 6
    assert not torch.equal(inside["classifier.weight"], state.model["classifier.weight"])
    losses = [line for line in (said_plain + said).splitlines() if "validation" in line]
    assert losses[0] != losses[3]
    assert averaged.best is not None
    assert load_file(averaged.best).keys() == load_file(averaged.last).keys()
