"""A training that was killed goes on as if it never had been."""

from __future__ import annotations

import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from small_training import experiment_of, run_forked, run_quietly, write_clips, write_shards

from videozoo.config import Experiment, load_experiment
from videozoo.config.ini import format_config
from videozoo.errors import VideozooError
from videozoo.specs import find_spec
from videozoo.training.saving import Checkpoints
from videozoo.training.state import Position, load_state


@dataclass(frozen=True)
class Case:
    """A training, the place where it is killed, and the (epoch, step) that is saved by then."""

    model: str
    place: str
    at: int
    saved: tuple[int, int]
    steps: int  # save_every_steps
    keys: dict[str, Any] = field(default_factory=dict)
    taught: bool = False  # by a model that is trained for it


RECIPE = {
    "schedule": "cosine",
    "warmup_steps": 2,
    "label_smoothing": 0.1,
    "mixup_alpha": 0.4,
    "ema_decay": 0.9,
}
CLIP_RECIPE = {
    **RECIPE,
    "random_resized_crop": [0.3, 1.0],
    "color_jitter": [0.4, 0.4, 0.4, 0.1],
    "rand_augment": [2, 9],
    "sampler": "balanced",
    "layer_decay": 0.7,
}
LSTM = {"MODEL": {"drop_rate": 0.5}, "TRAIN": {"batch_size": 4, "epoch": 3}}
CLIPS = {"MODEL": {"num_workers": 2}, "TRAIN": {"batch_size": 3, "epoch": 2}}
TAUGHT = {**RECIPE, "frame_drop": 0.3, "class_weights": "balanced", "early_stopping": 5}
CASES = {
    # 11 videos make 3 steps an epoch, the last of them smaller.
    "lstm between saves": Case("AttentionLSTM", "step", 5, (1, 1), 2, LSTM),
    "lstm at a save": Case("AttentionLSTM", "step", 4, (1, 1), 4, LSTM),
    "lstm at the last step of an epoch": Case("AttentionLSTM", "step", 3, (0, 3), 3, LSTM),
    "lstm validated and not saved": Case("AttentionLSTM", "validated", 6, (1, 3), 3, LSTM),
    "lstm before an epoch's first save": Case("AttentionLSTM", "step", 7, (2, 0), 100, LSTM),
    # 5 clips make 2 steps an epoch.
    "tsn with workers": Case("TSN", "step", 3, (1, 1), 3, CLIPS),
    "stnet with workers": Case("STNET", "step", 3, (1, 1), 3, CLIPS),
    "tsn with a recipe": Case(
        "TSN", "step", 3, (1, 1), 3, {**CLIPS, "TRAIN": {**CLIPS["TRAIN"], **CLIP_RECIPE}}
    ),
    "lstm with a recipe and a teacher": Case(
        "AttentionLSTM", "step", 5, (1, 1), 2, {**LSTM, "TRAIN": {**LSTM["TRAIN"], **TAUGHT}}, True
    ),
}


@dataclass
class Killed:
    """A killed training's config and save folder."""

    config: Path
    experiment: Experiment
    save_dir: Path
    code: int


def prepare(case: Case, folder: Path, lists: dict[str, Path]) -> Killed:
    features = case.model == "AttentionLSTM"
    experiment = experiment_of(
        case.model,
        lists["features" if features else "clips"],
        valid_list=lists["valid"] if features else None,
    )
    folder.mkdir()
    values = experiment.as_dict()
    for mode, keys in values.items():
        keys.update(case.keys["MODEL"])
        if mode == "TRAIN":
            keys.update(case.keys["TRAIN"], save_every_steps=case.steps)
            if case.taught:
                keys["distill_from"] = [str(lists["teacher"])]
    config = folder / "config.txt"
    config.write_text(format_config(values, header=[]))
    return Killed(
        config, load_experiment(find_spec(case.model).keys, str(config)), folder / "killed", 0
    )


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Killed]:
    """Starts all trainings and kills them, in one process's forks."""
    folder = tmp_path_factory.mktemp("killed")
    lists = {
        "features": write_shards(folder / "features", 11),
        "valid": write_shards(folder / "valid", 5, first=50),
        "clips": write_clips(folder / "clips", 5),
    }
    teacher = experiment_of("NEXTVLAD", lists["features"], epoch=1)
    lists["teacher"] = run_quietly(teacher, folder / "teacher")[0].last
    trainings, found = [], {}
    for name, case in CASES.items():
        one = found[name] = prepare(case, folder / name.replace(" ", "_"), lists)
        arguments = ["train", "--model-name", case.model, "--config", str(one.config)]
        arguments += ["--save-dir", str(one.save_dir), "--log-interval", "1"]
        arguments += ["--save-interval", "100"]
        trainings.append({"arguments": arguments, "place": case.place, "at": case.at})
    ends, _ = run_forked(trainings)
    for one, (code,) in zip(found.values(), ends, strict=True):
        one.code = code
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_killed_training_goes_on_exactly(name: str, killed: dict[str, Killed]) -> None:
    case, one = CASES[name], killed[name]
    assert one.code == -signal.SIGKILL
    position = load_state(one.save_dir / f"{case.model}_last.safetensors", case.model).position
    assert (position.epoch, position.step) == case.saved
    resumed, said = run_quietly(
        one.experiment, one.save_dir, resume="auto", log_interval=1, save_interval=100
    )
    assert f"at epoch {case.saved[0] + 1}, step {case.saved[1]}" in said
    whole_dir = one.save_dir.with_name("whole")
    whole, _ = run_quietly(one.experiment, whole_dir, log_interval=1, save_interval=100)
    assert resumed.last.read_bytes() == whole.last.read_bytes()
    curves = f"{case.model}_curves.csv"
    assert (one.save_dir / curves).read_text() == (whole_dir / curves).read_text()
    if whole.best is not None and resumed.best is not None:
        assert resumed.best.read_bytes() == whole.best.read_bytes()
    ends = [load_state(t.last, case.model).position for t in (resumed, whole)]
    assert ends[0] == ends[1]
    shutil.rmtree(one.save_dir)
    shutil.rmtree(whole_dir)


class KilledError(Exception):
    """Stands for a kill, within this process."""


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("NEXTVLAD", {"drop_rate": 0.5, "ema_decay": 0.9, "mixup_alpha": 0.4, "epoch": 3}),
        ("TSN", {"batch_size": 2, "rand_augment": [1, 9], "sampler": "balanced"}),
    ],
)
def test_a_training_that_stopped_within_an_epoch_goes_on_exactly(
    model: str, keys: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Three steps an epoch; the last checkpoint is of the second epoch's first step.
    write, count = (write_clips, 5) if model == "TSN" else (write_shards, 11)
    listing = write(tmp_path / "data", count)
    experiment = experiment_of(model, listing, valid_list=listing, save_every_steps=2, **keys)
    ways = {"log_interval": 1, "save_interval": 100}
    whole, _ = run_quietly(experiment, tmp_path / "whole", **ways)
    is_due = Checkpoints.is_due

    def stop(self: Checkpoints, position: Position) -> bool:
        if position.steps_done == 5:
            raise KilledError
        return is_due(self, position)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "is_due", stop)
        with pytest.raises(KilledError):
            run_quietly(experiment, tmp_path / "stopped", **ways)
    resumed, said = run_quietly(experiment, tmp_path / "stopped", resume="auto", **ways)
    assert "at epoch 2, step 1" in said
    assert resumed.last.read_bytes() == whole.last.read_bytes()
    assert resumed.best is not None
    assert whole.best is not None
    assert resumed.best.read_bytes() == whole.best.read_bytes()
    curves = [
        folder / f"{model}_curves.csv" for folder in (tmp_path / "stopped", tmp_path / "whole")
    ]
    assert curves[0].read_text() == curves[1].read_text()
    ends = [load_state(trained.last, model).position for trained in (resumed, whole)]
    assert ends[0] == ends[1]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Returns the list of a training and a checkpoint of it, saved after step 2 of 3."""
    folder = tmp_path_factory.mktemp("stopped")
    listing = write_shards(folder / "features", 11)
    experiment = experiment_of("AttentionLSTM", listing, epoch=1, save_every_steps=2)
    save = Checkpoints.save

    def save_within_epochs(self: Checkpoints, names: list[str], position: Position) -> None:
        if position.step:
            save(self, names, position)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save_within_epochs)
        trained, _ = run_quietly(experiment, folder / "save")
    position = load_state(trained.last, "AttentionLSTM").position
    assert (position.epoch, position.step) == (0, 2)
    return listing, trained.last


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("batch_size", 3, "batch_size was 4 and is 3"),
        ("seed", 1, "seed was 0 and is 1"),
        ("sampler", "balanced", "sampler was None and is balanced"),
    ],
)
def test_within_an_epoch_the_training_must_be_the_same(
    key: str, value: int, said: str, stopped: tuple[Path, Path], tmp_path: Path
) -> None:
    listing, checkpoint = stopped
    other = experiment_of("AttentionLSTM", listing, **{key: value})
    with pytest.raises(VideozooError, match=f"within an epoch of another training.*{said}"):
        run_quietly(other, tmp_path, resume=str(checkpoint))


def test_within_an_epoch_the_list_must_be_the_same(
    stopped: tuple[Path, Path], tmp_path: Path
) -> None:
    _, checkpoint = stopped
    listing = write_shards(tmp_path / "features", 11, first=1)
    renamed = tmp_path / "features" / "c.tfrecord"
    (tmp_path / "features" / "a.tfrecord").rename(renamed)
    listing.write_text(f"{renamed}\n{tmp_path / 'features' / 'b.tfrecord'}\n")
    with pytest.raises(VideozooError, match=r"names was .* and is "):
        run_quietly(experiment_of("AttentionLSTM", listing), tmp_path, resume=str(checkpoint))


def test_between_epochs_a_change_is_told(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 8)
    first, _ = run_quietly(experiment_of("AttentionLSTM", listing, epoch=1), tmp_path / "save")
    other = experiment_of("AttentionLSTM", listing, epoch=2, batch_size=2)
    second, said = run_quietly(other, tmp_path / "other", resume=str(first.last), log_interval=1)
    assert "warning: resuming a training that has changed: batch_size was 4 and is 2" in said
    assert "epoch 2/2  step 1/4" in said
    assert "epoch 1/2" not in said
    assert load_state(second.last, "AttentionLSTM").position.steps_done == 2 + 4


def test_a_finished_training_says_so(tmp_path: Path) -> None:
    experiment = experiment_of("AttentionLSTM", write_shards(tmp_path / "features", 5))
    first, _ = run_quietly(experiment, tmp_path / "save")
    before = first.last.read_bytes()
    second, said = run_quietly(experiment, tmp_path / "save", resume="auto")
    assert "all 2 epochs are done; give --epoch-num to train longer" in said
    assert second.last == first.last
    assert second.last.read_bytes() == before


def test_auto_begins_where_there_is_nothing_to_resume(tmp_path: Path) -> None:
    experiment = experiment_of("AttentionLSTM", write_shards(tmp_path / "features", 5), epoch=1)
    trained, said = run_quietly(experiment, tmp_path / "save", resume="auto")
    assert "nothing to resume" in said
    assert trained.last.is_file()


def test_a_checkpoint_without_its_state(stopped: tuple[Path, Path], tmp_path: Path) -> None:
    listing, checkpoint = stopped
    alone = tmp_path / checkpoint.name
    shutil.copyfile(checkpoint, alone)
    with pytest.raises(VideozooError, match=r"no AttentionLSTM_last\.state beside it.*--pretrain"):
        run_quietly(experiment_of("AttentionLSTM", listing), tmp_path, resume=str(alone))


def test_a_torn_state(stopped: tuple[Path, Path], tmp_path: Path) -> None:
    listing, checkpoint = stopped
    torn = tmp_path / checkpoint.name
    shutil.copyfile(checkpoint, torn)
    state = checkpoint.with_suffix(".state").read_bytes()
    torn.with_suffix(".state").write_bytes(state[: len(state) // 2])
    with pytest.raises(VideozooError, match=r"\.state: cannot be read as a training state"):
        run_quietly(experiment_of("AttentionLSTM", listing), tmp_path, resume=str(torn))


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    experiment = experiment_of("AttentionLSTM", write_shards(tmp_path / "features", 5))
    with pytest.raises(VideozooError, match="no such checkpoint"):
        run_quietly(experiment, tmp_path, resume=str(tmp_path / "nothing.safetensors"))


def test_a_checkpoint_of_another_model(stopped: tuple[Path, Path], tmp_path: Path) -> None:
    listing, checkpoint = stopped
    with pytest.raises(VideozooError, match="--resume"):
        run_quietly(experiment_of("NEXTVLAD", listing), tmp_path, resume=str(checkpoint))
