from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videos import write_video
from videozoo.config import load_experiment
from videozoo.config.ini import format_config
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.errors import VideozooError
from videozoo.specs import SPECS, find_spec
from videozoo.training.folder import (
    Split,
    choose_settings,
    content_keys,
    split_folder,
    stratified_split,
)


def make_files(folder: Path, contents: dict[str, list[str]]) -> Path:
    """Writes one sub-folder a class; a file's content decides whether it is another's copy."""
    for name, texts in contents.items():
        (folder / name).mkdir(parents=True)
        for i, text in enumerate(texts):
            (folder / name / f"{Path(name).name}{i}.mp4").write_text(text)
    return folder


def different(count: int, start: int = 0) -> list[str]:
    return [f"content {i:04d}" for i in range(start, start + count)]


def sides(split: Split) -> tuple[set[str], set[str]]:
    return {e.path.name for e in split.train}, {e.path.name for e in split.valid}


def test_each_class_gives_a_fifth(tmp_path: Path) -> None:
    folder = make_files(
        tmp_path, {"a": different(20), "b": different(10, 100), "c": different(5, 200)}
    )
    split = split_folder(folder, seed=0)
    assert split.class_names == ["a", "b", "c"]
    assert Counter(e.labels for e in split.valid) == {(0,): 4, (1,): 2, (2,): 1}
    train, valid = sides(split)
    assert len(train) + len(valid) == 35
    assert not train & valid
    assert "by class" in split.note


def test_the_split_depends_on_the_seed_alone(tmp_path: Path) -> None:
    folder = make_files(tmp_path, {"a": different(20), "b": different(20, 100)})
    assert split_folder(folder, seed=1) == split_folder(folder, seed=1)
    assert split_folder(folder, seed=1) != split_folder(folder, seed=2)


def test_identical_files_stay_on_one_side(tmp_path: Path) -> None:
    for seed in range(8):
        folder = make_files(
            tmp_path / str(seed), {"a": different(4) * 3, "b": [*different(2), *different(6, 50)]}
        )
        split = split_folder(folder, seed=seed)
        of_side = [{e.path.read_text() for e in side} for side in (split.train, split.valid)]
        assert not of_side[0] & of_side[1]  # b's first two are copies of a's
        assert {e.labels for e in split.train} == {(0,), (1,)}
        assert (0,) in {e.labels for e in split.valid}


def test_a_class_of_one_video_is_trained_on(tmp_path: Path) -> None:
    folder = make_files(tmp_path, {"a": different(1), "b": different(6, 10)})
    split = split_folder(folder, seed=0)
    assert {e.labels for e in split.train} == {(0,), (1,)}
    assert {e.labels for e in split.valid} == {(1,)}


def test_a_class_of_copies_of_one_video_is_trained_on(tmp_path: Path) -> None:
    folder = make_files(tmp_path, {"a": different(1) * 5, "b": different(6, 10)})
    assert Counter(e.labels for e in split_folder(folder, seed=0).train)[(0,)] == 5


def test_single_videos_leave_nothing_to_validate_on(tmp_path: Path) -> None:
    folder = make_files(tmp_path, {"a": different(1), "b": different(1, 10)})
    with pytest.raises(VideozooError, match="every class has a single distinct video"):
        split_folder(folder, seed=0)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=30),
    st.integers(0, 5),
)
def test_split_of_any_list(kinds: list[tuple[int, int]], seed: int) -> None:
    """A clip is (class, content); contents may recur in other classes."""
    with tempfile.TemporaryDirectory() as name:
        entries, content = [], {}
        for i, (label, kind) in enumerate(kinds):
            path = Path(name) / f"{i}.mp4"
            path.write_text(f"{kind}")
            content[path] = kind
            entries.append(ClipEntry(path, (label,), str(path)))
        train, valid = stratified_split(entries, seed=seed)
    assert sorted(e.video for e in train + valid) == sorted(e.video for e in entries)
    assert not {content[e.path] for e in train} & {content[e.path] for e in valid}
    assert train == [e for e in entries if e in train]
    assert train
    counted = Counter(_first_class(kinds).values())  # contents by the class they count for
    assert bool(valid) == (max(counted.values()) >= 2)


def _first_class(kinds: list[tuple[int, int]]) -> dict[int, int]:
    """Returns the class that each content stands under first."""
    first: dict[int, int] = {}
    for label, kind in kinds:
        first.setdefault(kind, label)
    return first


def test_content_keys(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "else"), ("d", "longer than they")):
        (tmp_path / name).write_text(text)
    paths = [tmp_path / name for name in ("a", "b", "c", "d", "missing", "missing too")]
    keys = content_keys(paths)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 5


@pytest.mark.parametrize(
    ("train", "valid"), [("train", "val"), ("Training", "Validation"), ("train", "test")]
)
def test_a_split_that_is_there_is_taken(train: str, valid: str, tmp_path: Path) -> None:
    make_files(tmp_path / train, {"a": different(3), "b": different(2, 10)})
    make_files(tmp_path / valid, {"b": different(4, 20)})
    split = split_folder(tmp_path, seed=0)
    assert [len(split.train), len(split.valid)] == [5, 4]
    assert {e.labels for e in split.valid} == {
        (1,)
    }  # numbered as the training folder's classes are
    assert "as the folders are" in split.note
    assert all(e.path.parent.parent.name == train for e in split.train)


def test_a_class_that_is_not_trained_cannot_be_validated(tmp_path: Path) -> None:
    make_files(tmp_path / "train", {"cat": different(3), "dog": different(2, 10)})
    make_files(tmp_path / "val", {"cats": different(4, 20)})
    with pytest.raises(VideozooError, match=r"'cats' is none of the 2 classes.*did you mean 'cat'"):
        split_folder(tmp_path, seed=0)


def test_classes_may_be_called_train_and_test(tmp_path: Path) -> None:
    make_files(tmp_path, {"train": different(5), "tram": different(5, 10)})
    assert split_folder(tmp_path, seed=0).class_names == ["train", "tram"]


@pytest.mark.parametrize("layout", [{"a": 5}, {"train/a": 5, "val/a": 2}])
def test_one_class_is_no_classifier(layout: dict[str, int], tmp_path: Path) -> None:
    make_files(tmp_path, {name: different(count) for name, count in layout.items()})
    with pytest.raises(VideozooError, match="two at the least; found only a"):
        split_folder(tmp_path, seed=0)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match="no such folder; give a folder with one sub-folder"):
        split_folder(tmp_path / "nothing", seed=0)


def split_of(folder: Path, *, videos: int, frames: int, names: list[str]) -> Split:
    """Returns a split whose training side names one small clip many times."""
    path = write_video(folder / "clip.mp4", frames)
    return Split([ClipEntry(path, (0,), str(path))] * videos, [], names, "")


@pytest.mark.parametrize(
    ("model", "frames", "seglen", "seg_num"),
    [
        ("STNET", 35, 5, 7),
        ("STNET", 100, 5, 7),
        ("STNET", 34, 3, 7),
        ("STNET", 12, 3, 4),
        ("STNET", 11, 1, 7),
        ("STNET", 3, 1, 3),
        ("STNET", 1, 1, 1),
        ("TSN", 100, 1, 7),
        ("TSN", 2, 1, 2),
    ],
)
def test_frames_follow_the_clips(
    model: str, frames: int, seglen: int, seg_num: int, tmp_path: Path
) -> None:
    split = split_of(tmp_path, videos=4, frames=frames, names=["a", "b"])
    chosen = choose_settings(split, model=model, gpu=False)["MODEL"]
    assert (chosen["seglen"], chosen["seg_num"]) == (seglen, seg_num)
    assert chosen["target_size"] <= 48  # the clips are 48 pixels high
    assert chosen["short_size"] >= chosen["target_size"]
    SPECS[model].keys.model_validate(chosen)


@pytest.mark.parametrize(
    ("videos", "batch", "epochs", "layers"),
    [(5, 4, 80, 18), (100, 8, 80, 18), (400, 32, 30, 18), (4999, 32, 8, 18), (5000, 32, 8, 50)],
)
def test_the_schedule_follows_the_number_of_videos(
    videos: int, batch: int, epochs: int, layers: int, tmp_path: Path
) -> None:
    split = split_of(tmp_path, videos=videos, frames=5, names=["a", "b"])
    chosen = choose_settings(split, model="STNET", gpu=False)
    assert chosen["TRAIN"]["batch_size"] == batch
    assert chosen["TRAIN"]["epoch"] == epochs
    assert chosen["MODEL"]["num_layers"] == layers


@pytest.mark.parametrize(
    ("names", "flip"),
    [(["walk", "run"], True), (["turn left", "stop"], False), (["Swipe_Right", "x"], False),
     (["brightness", "leftover"], True)],
)  # fmt: skip
def test_classes_of_sides_are_not_mirrored(names: list[str], flip: bool, tmp_path: Path) -> None:
    split = split_of(tmp_path, videos=4, frames=5, names=names)
    assert choose_settings(split, model="TSN", gpu=False)["TRAIN"]["flip"] is flip


def test_clips_that_cannot_be_probed_do_not_stop_the_choice(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    split = Split([ClipEntry(bad, 0, str(bad))], [], ["a", "b"], "")
    SPECS["STNET"].keys.model_validate(choose_settings(split, model="STNET", gpu=False)["MODEL"])


def test_a_written_config_reads_as_it_was(tmp_path: Path) -> None:
    split = split_of(tmp_path, videos=4, frames=12, names=["it's", 'a "b"'])
    values = choose_settings(split, model="STNET", gpu=False)
    path = tmp_path / "config.txt"
    path.write_text(format_config(values, header=["one", "two"]))
    assert path.read_text().startswith("# one\n# two\n")
    read = load_experiment(find_spec("STNET").keys, str(path))
    for section, keys in values.items():
        for mode in read.modes if section == "MODEL" else [section]:
            found = read[mode].model_dump()
            assert {key: found[key] for key in keys} == keys
