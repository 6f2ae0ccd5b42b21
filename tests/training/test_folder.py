from __future__ import annotations

from pathlib import Path

import pytest

from videos import write_video
from videozoo.config import load_experiment
from videozoo.config.ini import format_config
from videozoo.data.clips.clip_list import ClipEntry
from videozoo.specs import SPECS, find_spec
from videozoo.training.folder import choose_settings
from videozoo.training.split import Split


def split_of(folder: Path, *, videos: int, frames: int, names: list[str]) -> Split:
    """Returns a split whose training side names one small clip many times."""
    path = write_video(folder / "clip.mp4", frames)
    return Split([ClipEntry(path, (0,), str(path))] * videos, [], names)


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
    split = Split([ClipEntry(bad, (0,), str(bad))], [], ["a", "b"])
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
