"""What people met in trainings: other classes, other orders, disks, folders that are taken."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "training"))

from small_training import experiment_of, run_quietly, write_clips, write_shards

from videozoo.checkpoints.native import load_native
from videozoo.errors import VideozooError
from videozoo.training.log import Curves
from videozoo.training.save_folder import one_training, remove_old_epochs
from videozoo.training.state import Position, load_state, state_path

MODEL = "AttentionCluster"


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Lets writing fail behind so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path, order: str) -> Path:
    path = folder / f"{order}.txt"
    path.write_text("\n".join(order) + "\n")
    return path


@pytest.mark.parametrize(("other", "said"), [("ba", "class 0 was 'a' and is 'b'"), ("ax", "'x'")])
def test_resume_classes(other: str, said: str, tmp_path: Path) -> None:
    listing = write_clips(tmp_path / "clips", 2)
    first = experiment_of("TSN", listing, epoch=1, label_file=str(names(tmp_path, "ab")))
    trained, _ = run_quietly(first, tmp_path / "save", pretrain="none")
    before = trained.last.read_bytes()
    changed = experiment_of("TSN", listing, epoch=2, label_file=str(names(tmp_path, other)))
    for resume in ("auto", str(trained.last)):
        with pytest.raises(VideozooError, match=f"class names have changed .*{said}"):
            run_quietly(changed, tmp_path / "save", resume=resume)
    assert trained.last.read_bytes() == before


def test_test_classes(tmp_path: Path) -> None:
    import videozoo

    listing = write_clips(tmp_path / "clips", 2)
    first = experiment_of("TSN", listing, epoch=1, label_file=str(names(tmp_path, "ab")))
    trained, _ = run_quietly(first, tmp_path / "save", pretrain="none")
    with pytest.raises(VideozooError, match=r"class 0 was 'a' and is 'b'.*same order"):
        videozoo.test(
            trained.last,
            filelist=str(listing),
            overrides=[f"TEST.label_file={str(names(tmp_path, 'ba'))!r}"],
        )


@pytest.mark.parametrize("size", [20, 900, 5_000, 9_000, 18_000])
def test_a_full_disk(size: int, tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 6)
    save = tmp_path / "save"
    run_quietly(experiment_of(MODEL, listing, epoch=1), save)
    whole = {file: file.read_bytes() for file in save.glob(f"{MODEL}_*")}
    largest = max(len(content) for content in whole.values())
    assert size < largest, "the limit is within what is written"
    with files_no_larger_than(size), pytest.raises((VideozooError, OSError)) as error:
        run_quietly(experiment_of(MODEL, listing, epoch=2), save, resume="auto")
    assert str(save) in str(error.value)
    assert "File too large" in str(error.value)
    assert [file.name for file in save.iterdir() if file.name.endswith(".tmp")] == []
    for name in ("last", "epoch1"):
        load_native(save / f"{MODEL}_{name}.safetensors")
        load_state(save / f"{MODEL}_{name}.safetensors", MODEL)
    run_quietly(experiment_of(MODEL, listing, epoch=2), save, resume="auto")
    other, _ = run_quietly(experiment_of(MODEL, listing, epoch=2), tmp_path / "other")
    assert (save / other.last.name).read_bytes() == other.last.read_bytes()


def test_a_row_of_curves_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "x.csv", tmp_path / "board", after_step=0)
    curves.add({"loss": 1.0}, step=1, epoch=0, split="train")
    before = curves.path.read_bytes()
    with files_no_larger_than(len(before) + 5), pytest.raises(VideozooError, match=r"x\.csv: can"):
        curves.add({"loss": 2.0}, step=2, epoch=0, split="train")
    assert curves.path.read_bytes() == before


def test_a_disk_that_fills(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=60k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode:
        pytest.skip("this user may not mount")
    try:
        listing = write_shards(tmp_path / "features", 6)
        with pytest.raises((VideozooError, OSError), match=r"too little room|No space left") as end:
            run_quietly(experiment_of(MODEL, listing, epoch=3, keep_epochs="all"), disk)
        assert str(disk) in str(end.value)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_too_little_room_is_said_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = write_shards(tmp_path / "features", 6)
    small = os.statvfs(tmp_path)
    monkeypatch.setattr(
        "videozoo.training.save_folder.shutil.disk_usage",
        lambda _: type("Usage", (), {"free": small.f_bsize})(),
    )
    with pytest.raises(VideozooError, match=r"too little room: .* are free.*keep_epochs=1"):
        run_quietly(experiment_of(MODEL, listing), tmp_path / "save")
    assert list((tmp_path / "save").glob(f"{MODEL}_*")) == []


def test_one_training_a_folder(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 6)
    save = tmp_path / "save"
    save.mkdir()
    left = save / f".{MODEL}_last.state.0123abcd.tmp"
    left.write_bytes(b"half")
    other = save / ".mine.0123abcd.tmp"
    other.write_bytes(b"not ours")
    with (
        one_training(save, MODEL),
        pytest.raises(VideozooError, match=f"{save}: another training of {MODEL}.*--save-dir"),
    ):
        run_quietly(experiment_of(MODEL, listing, epoch=1), save)
    left.write_bytes(b"half")
    run_quietly(experiment_of(MODEL, listing, epoch=1), save)
    assert not left.exists()
    assert other.exists()
    assert not (save / f".{MODEL}.lock").exists()


def test_the_newest_epochs_stay(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 4)
    for keep, numbers in ((2, [4, 5]), ("all", [1, 2, 3, 4, 5])):
        save = tmp_path / str(keep)
        run_quietly(experiment_of(MODEL, listing, epoch=5, keep_epochs=keep), save)
        for end in ("safetensors", "state"):
            assert sorted(save.glob(f"*epoch*.{end}")) == [
                save / f"{MODEL}_epoch{n}.{end}" for n in numbers
            ]
    for n in (9, 10, 11):
        (tmp_path / f"{MODEL}_epoch{n}.state").touch()
    remove_old_epochs(tmp_path, MODEL, 10, 1)  # 11 is of another training: it is not there yet
    assert sorted(p.name for p in tmp_path.glob("*epoch*")) == [
        f"{MODEL}_epoch{n}.state" for n in (10, 11)
    ]


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    listing = write_shards(tmp_path / "features", 5)
    last = run_quietly(experiment_of(MODEL, listing, epoch=2), tmp_path / "save")[0].last
    return last


def resumed(last: Path, tmp_path: Path) -> str:
    listing = tmp_path / "features" / "videos.list"
    return run_quietly(experiment_of(MODEL, listing, epoch=3), last.parent, resume="auto")[1]


@pytest.mark.parametrize("harm", ["flipped", "cut", "empty", "missing"])
def test_where_the_last_state_is_damaged_the_newest_sound_one_is_taken(
    harm: str, trained: Path, tmp_path: Path
) -> None:
    file = state_path(trained)
    content = bytearray(file.read_bytes())
    file.unlink()  # the other names of the same file stay as they are
    if harm == "flipped":
        content[len(content) // 2] ^= 1
    if harm != "missing":
        size = {"flipped": len(content), "cut": len(content) // 2, "empty": 0}[harm]
        file.write_bytes(content[:size])
    said = resumed(trained, tmp_path)
    assert f"{MODEL}_epoch2.state is the newest sound one" in said
    assert f"{file}: " in said
    assert "at epoch 3, step 0" in said
    assert "nothing to resume" not in said


def test_where_no_state_is_sound_nothing_is_written_over(trained: Path, tmp_path: Path) -> None:
    for file in trained.parent.glob("*.state"):
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content[:-100])
    before = trained.read_bytes()
    with pytest.raises(VideozooError, match="holds no sound state"):
        resumed(trained, tmp_path)
    assert trained.read_bytes() == before


def test_every_flipped_byte_of_a_state_is_found_or_does_no_harm(trained: Path) -> None:
    file = state_path(trained)
    content = file.read_bytes()
    good = load_state(trained, MODEL).position
    file.unlink()
    for place in range(7, len(content), len(content) // 60):
        changed = bytearray(content)
        changed[place] ^= 0x20
        file.write_bytes(changed)
        if place < len(content) - 18:  # behind that stands the checksum
            with pytest.raises(VideozooError, match="cannot be read as a training state"):
                load_state(trained, MODEL)
    file.write_bytes(content)
    assert load_state(trained, MODEL).position == good


def test_every_flipped_byte_of_weights_is_found(trained: Path) -> None:
    content = trained.read_bytes()
    for place in [*range(0, 300, 9), *range(300, len(content), len(content) // 60)]:
        changed = bytearray(content)
        changed[place] ^= 0x04
        trained.unlink()
        trained.write_bytes(changed)
        with pytest.raises(VideozooError):
            load_native(trained)


def test_of_equal_scores_the_lower_loss_is_best() -> None:
    position = Position()
    assert position.take_score(1.0, 0.5)
    assert not position.take_score(1.0, 0.6)
    assert not position.take_score(1.0, 0.5)
    assert position.take_score(1.0, 0.4)
    assert (position.best, position.best_loss, position.worse) == (1.0, 0.4, 0)
    assert position.take_score(1.1, 0.9)
    assert not position.take_score(1.0, 0.1)


def test_a_rate_that_is_saved_again_is_the_last_steps(tmp_path: Path) -> None:
    keys = {"schedule": "cosine", "warmup_steps": 2, "epoch": 2}
    listing = write_shards(tmp_path / "features", 8)
    experiment = experiment_of(MODEL, listing, valid_list=listing, **keys)
    last = run_quietly(experiment, tmp_path / "save")[0].last
    whole = load_state(last, MODEL).optimizer["param_groups"]
    state = load_state(last, MODEL)
    from videozoo.training.state import write_state

    state.position.epoch, state.position.step = 1, 2  # as if it had not been validated
    state_path(last).unlink()
    write_state(state_path(last), state)
    run_quietly(experiment, tmp_path / "save", resume="auto")
    assert load_state(last, MODEL).optimizer["param_groups"] == whole


def test_too_much_that_cannot_be_read_ends_training(tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 40, unreadable=range(0, 40, 2))
    with pytest.raises(VideozooError, match=r"of the \d+ training samples seen .*max-bad 1") as end:
        run_quietly(experiment_of(MODEL, listing), tmp_path / "save")
    assert "has no frames" in str(end.value)
    position = load_state(tmp_path / "save" / f"{MODEL}_last.safetensors", MODEL).position
    assert position.steps_done < 10
    _, said = run_quietly(
        experiment_of(MODEL, listing, max_bad=1.0), tmp_path / "save", resume="auto"
    )
    assert f"at epoch 1, step {position.steps_done}" in said
    assert "20 training samples could not be read" in said


@pytest.mark.parametrize(("bad", "share", "stops"), [(1, 0.05, False), (2, 0.05, True)])
def test_one_of_a_few_is_not_too_much(bad: int, share: float, stops: bool, tmp_path: Path) -> None:
    listing = write_shards(tmp_path / "features", 6, unreadable=range(bad))
    experiment = experiment_of(MODEL, listing, max_bad=share, epoch=1)
    if stops:
        with pytest.raises(VideozooError, match=r"2 of the \d training samples"):
            run_quietly(experiment, tmp_path / "save")
    else:
        run_quietly(experiment, tmp_path / "save")


def test_a_class_of_which_nothing_can_be_read_is_told_first(tmp_path: Path) -> None:
    listing = write_clips(tmp_path / "clips", 6, unreadable=[1, 3, 5])
    experiment = experiment_of(
        "TSN", listing, valid_list=listing, max_bad=1.0, label_file=str(names(tmp_path, "ab"))
    )
    _, said = run_quietly(experiment, tmp_path / "save", pretrain="none", log_interval=1)
    lines = said.splitlines()
    warning = "warning: none of the 3 training videos of b can be read"
    assert warning in lines
    first = next(i for i, line in enumerate(lines) if line.startswith("epoch 1/"))
    assert lines.index(warning) < first
    assert "warning: none of the 3 validation videos of b can be read" in lines
    assert "warning: 6 videos to validate: a score of so few says little of other videos" in lines
