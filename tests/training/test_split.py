from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from class_folders import different, make_files, make_named, sides

from videozoo.errors import VideozooError
from videozoo.training.copies import Rows, content_keys
from videozoo.training.split import Split, counts, split_folder, write_split


def said(split: Split) -> str:
    return "\n".join(split.notes)


def test_each_class_gives_a_fifth(tmp_path: Path) -> None:
    folder = make_files(
        tmp_path, {"a": different(20), "b": different(10, 100), "c": different(5, 200)}
    )
    split = split_folder(folder, seed=0)
    assert split.class_names == ["a", "b", "c"]
    assert Counter(e.labels for e in split.valid) == {(0,): 4, (1,): 2, (2,): 1}
    assert counts(split)[1] == ("b", {"train": 8, "val": 2})
    train, valid = sides(split)
    assert len(train) + len(valid) == 35
    assert not train & valid
    assert "by class" in said(split)
    assert "warning" not in said(split)


def test_the_share_is_as_asked_for(tmp_path: Path) -> None:
    folder = make_files(tmp_path, {"a": different(20), "b": different(10, 100)})
    split = split_folder(folder, seed=0, share=0.5)
    assert Counter(e.labels for e in split.valid) == {(0,): 10, (1,): 5}
    with pytest.raises(VideozooError, match="must lie between 0 and 1"):
        split_folder(folder, seed=0, share=20)


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
        assert "10 videos are copies of another one" in said(split)
        assert split.kept[folder / "b" / "b1.mp4"].copy_of == folder / "a" / "a1.mp4"


def test_a_class_of_one_video_is_trained_on(tmp_path: Path) -> None:
    folder = make_files(tmp_path, {"a": different(1), "b": different(6, 10)})
    split = split_folder(folder, seed=0)
    assert {e.labels for e in split.train} == {(0,), (1,)}
    assert {e.labels for e in split.valid} == {(1,)}
    assert "warning: nothing to validate in a" in said(split)


def test_a_class_of_copies_of_one_video_is_trained_on(tmp_path: Path) -> None:
    folder = make_files(tmp_path, {"a": different(1) * 5, "b": different(6, 10)})
    assert Counter(e.labels for e in split_folder(folder, seed=0).train)[(0,)] == 5


def test_single_videos_leave_nothing_to_validate_on(tmp_path: Path) -> None:
    folder = make_files(tmp_path, {"a": different(1), "b": different(1, 10)})
    with pytest.raises(VideozooError, match="every class has a single distinct video"):
        split_folder(folder, seed=0)


def test_clips_of_a_recording_stay_on_one_side(tmp_path: Path) -> None:
    names = [f"take {letter}_{i}.mp4" for letter in "pqrstuvwxy" for i in range(4)]
    folder = make_named(tmp_path, {"a": names, "b": [name.upper() for name in names]})
    split = split_folder(folder, seed=0)
    train, valid = [{name.split("_")[0] for name in side} for side in sides(split)]
    assert not train & valid
    assert len(valid) == 4
    assert "kept together by names: 20, of 80 videos (take p_0.mp4, take p_1.mp4 ..." in said(split)
    assert Counter(Counter(split.units(split.train)).values()) == {4: 16}
    alone = split_folder(folder, seed=0, group_by="none")
    train, valid = [{name.split("_")[0] for name in side} for side in sides(alone)]
    assert train & valid
    assert "together" not in said(alone)


def test_a_pattern_groups_across_classes(tmp_path: Path) -> None:
    people = [f"{day}/person{p}.mp4" for day in ("mon", "tue") for p in range(10)]
    folder = make_named(tmp_path, {"a": people, "b": people})
    split = split_folder(folder, seed=0, group_by=r"person(\d)")
    train, valid = sides(split)
    assert not train & valid
    assert [len(split.train), len(split.valid)] == [32, 8]
    with pytest.raises(VideozooError, match=r"matches none of the 40 names \(the first: mon/pers"):
        split_folder(folder, seed=0, group_by="camera")
    with pytest.raises(VideozooError, match="is no regular expression"):
        split_folder(folder, seed=0, group_by="person(")


def test_near_copies_stay_on_one_side(tmp_path: Path) -> None:
    folder = make_files(tmp_path, {"a": different(10), "b": different(10, 50)})
    rng = np.random.default_rng(0)
    videos = [rng.normal(size=(8, 64)).astype(np.float32) for _ in range(20)]
    rows: list[Rows | None] = [*videos[:10], *(v[1:] + 0.01 for v in videos[:5]), *videos[15:]]
    rows[9] = None  # cannot be read
    for seed in range(5):
        split = split_folder(folder, seed=seed, rows_of=lambda entries: rows)
        train, valid = sides(split)
        assert not any(
            {f"a{i}.mp4", f"b{i}.mp4"} & train and f"a{i}.mp4" in valid for i in range(5)
        )
        assert "5 videos look nearly like another one, and stay on its side: b/b0." in (said(split))


@pytest.mark.parametrize(
    ("train", "valid"),
    [("train", "val"), ("Training", "Validation"), ("train", "test"), ("train", "dev"),
     ("split_train", "split_val"), ("trainset", "evalset"), ("train-split", "test split")],
)  # fmt: skip
def test_a_split_that_is_there_is_taken(train: str, valid: str, tmp_path: Path) -> None:
    make_files(tmp_path / train, {"a": different(3), "b": different(2, 10)})
    make_files(tmp_path / valid, {"b": different(4, 20)})
    split = split_folder(tmp_path, seed=0)
    assert [len(split.train), len(split.valid), split.test] == [5, 4, None]
    assert {e.labels for e in split.valid} == {(1,)}  # numbered as the training classes are
    assert f"as the folders are: {train}/ and {valid}/" in said(split)
    assert all(e.path.parent.parent.name == train for e in split.train)


def test_a_test_folder_is_tested_on(tmp_path: Path) -> None:
    for side, start in (("train", 0), ("val", 100), ("test", 200)):
        make_files(tmp_path / side, {"a": different(3, start), "b": different(2, start + 10)})
    split = split_folder(tmp_path, seed=0)
    assert split.test is not None
    assert [len(entries) for entries in split.sides.values()] == [5, 5, 5]
    assert "test/ for the test" in said(split)


def test_copies_across_given_sides_are_named(tmp_path: Path) -> None:
    make_files(tmp_path / "train", {"a": different(3), "b": different(2, 10)})
    make_files(tmp_path / "val", {"a": different(2, 2), "b": different(2, 20)})
    split = split_folder(tmp_path, seed=0)
    assert "copies of one on another side: val/a/a0.mp4 (val) of train/a/a2.mp4" in said(split)
    grouped = split_folder(tmp_path, seed=0, group_by=r"\w(\d)")
    assert "warning: recordings on two sides: 0, 1;" in said(grouped)


def test_a_side_alone_is_split(tmp_path: Path) -> None:
    make_files(tmp_path / "train", {"a": different(5), "b": different(5, 10)})
    split = split_folder(tmp_path, seed=0)
    assert split.class_names == ["a", "b"]
    assert [len(split.train), len(split.valid)] == [8, 2]
    assert "train/ has no other side" in said(split)


@pytest.mark.parametrize(
    ("folders", "message"),
    [(["val", "test"], "holds test/ and val/, but no train/"),
     (["train", "val", "dev"], "dev/ and val/ are both the val side")],
)  # fmt: skip
def test_sides_that_cannot_be_told(folders: list[str], message: str, tmp_path: Path) -> None:
    for i, name in enumerate(folders):
        make_files(tmp_path / name, {"a": different(3, 100 * i), "b": different(2, 100 * i + 10)})
    with pytest.raises(VideozooError, match=message):
        split_folder(tmp_path, seed=0)


def test_a_class_that_is_not_trained_cannot_be_validated(tmp_path: Path) -> None:
    make_files(tmp_path / "train", {"cat": different(3), "dog": different(2, 10)})
    make_files(tmp_path / "val", {"cats": different(4, 20)})
    with pytest.raises(VideozooError, match=r"'cats' is none of the 2 classes.*did you mean 'cat'"):
        split_folder(tmp_path, seed=0)


@pytest.mark.parametrize("names", [["train", "tram"], ["train/one", "tram/one"]])
def test_a_class_may_be_called_train(names: list[str], tmp_path: Path) -> None:
    make_files(tmp_path, {name: different(5, 10 * i) for i, name in enumerate(names)})
    assert set(split_folder(tmp_path, seed=0).class_names) == {n.split("/")[0] for n in names}


def test_what_is_no_class_is_named(tmp_path: Path) -> None:
    make_files(tmp_path, {"a": different(5), "b": different(5, 10), "__MACOSX/a": different(5)})
    (tmp_path / "empty").mkdir()
    (tmp_path / ".cache").mkdir()
    for name in ("notes.txt", "x.json", "y.json", "._b0.mp4"):
        (tmp_path / "b" / name).write_text("no video")
    split = split_folder(tmp_path, seed=0)
    assert split.class_names == ["a", "b"]
    assert "passed over, as no video is taken from it: .cache/, __MACOSX/, empty/" in said(split)
    assert "3 files are no videos: .json 2, .txt 1" in said(split)


@pytest.mark.parametrize(
    "layout", [{"a": 5}, {"train/a": 5, "val/a": 2}, {"train/a": 5}, {"data/a": 2, "data/b": 2}]
)
def test_one_class_is_no_classifier(layout: dict[str, int], tmp_path: Path) -> None:
    make_files(tmp_path, {name: different(count) for name, count in layout.items()})
    with pytest.raises(
        VideozooError, match=r"two at the least; found only (a|data; is .*data the)"
    ):
        split_folder(tmp_path, seed=0)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(VideozooError, match="no such folder; give a folder with one sub-folder"):
        split_folder(tmp_path / "nothing", seed=0)


def test_what_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    names = [f"x{letter}_{i}.mp4" for letter in "pqrst" for i in range(2)]
    folder = make_named(tmp_path / "videos", {"1": names, "a, b": names})
    split = split_folder(folder, seed=3)
    write_split(split, tmp_path / "split")
    again = split_folder(tmp_path / "split", seed=0)
    assert again.class_names == ["1", "a, b"]
    for side, entries in split.sides.items():
        found = again.sides[side]
        assert [e.path for e in found] == [e.path.resolve() for e in entries]
        assert [e.labels for e in found] == [e.labels for e in entries]
    kept = {kept.group for kept in again.kept.values()}
    assert kept == {kept.group for kept in split.kept.values()} != {""}
    assert not any("warning" in note for note in again.notes)


def test_content_keys(tmp_path: Path) -> None:
    for name, text in (("a", "same"), ("b", "same"), ("c", "else"), ("d", "longer than they")):
        (tmp_path / name).write_text(text)
    paths = [tmp_path / name for name in ("a", "b", "c", "d", "missing", "missing too")]
    keys = content_keys(paths)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 5
