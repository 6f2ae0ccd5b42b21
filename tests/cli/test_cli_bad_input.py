"""Whatever is wrong ends in one clear sentence and exit code 2, with nothing written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from tiny import World, example, write_list, write_shard
from videozoo.data.youtube8m.tfrecord import write_tfrecord

SECRET = "was_run"


class Trap:
    """Runs code when it is unpickled carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (SECRET,)


def refused(command: Command, *words: object) -> str:
    """Runs a command that must be refused; returns its sentence."""
    before = sorted(Path().iterdir())
    done = command(*words)
    assert done.code == 2
    assert done.err.startswith("error: ")
    left = [p.name for p in sorted(Path().iterdir()) if p not in before and p.name != "cache"]
    assert left == []
    return done.err.removeprefix("error: ").rstrip("\n")


def test_unknown_model(command: Command) -> None:
    said = refused(command, "infer", "a.mp4", "--model-name", "nextvlat")
    assert said.startswith("unknown model 'nextvlat'; did you mean 'NEXTVLAD'?")


@pytest.mark.parametrize("door", ["test", "infer"])
def test_missing_weights(command: Command, feature_data: World, door: str) -> None:
    said = refused(command, door, "--config", feature_data.config)
    assert said.startswith("no weights of AttentionCluster are given, and the published ones (")
    assert "cluster_nums = [3, 2] (theirs: [32, 32])" in said
    assert said.endswith("give --weights a checkpoint of yours")
    said = refused(command, door, "--config", feature_data.config, "--weights", "none.safetensors")
    assert said == "none.safetensors: there is no such checkpoint"


@pytest.mark.parametrize("door", ["test", "infer", "train"])
def test_missing_list(command: Command, feature_data: World, door: str) -> None:
    given = [] if door == "train" else ["--weights", feature_data.weights]
    setting = f"{door.upper()}.filelist=none.list"
    said = refused(command, door, "--config", feature_data.config, *given, "--set", setting)
    assert said == "none.list: there is no such list, folder or shard"
    setting = f"{door.upper()}.filelist=None"
    said = refused(command, door, "--config", feature_data.config, *given, "--set", setting)
    assert f"[{door.upper()}] filelist is missing; give it in the config" in said


def test_missing_clip_list(command: Command, clip_data: World) -> None:
    said = refused(command, "test", "--weights", clip_data.weights, "--filelist", "none.list")
    assert "none.list" in said


def test_missing_shards_are_all_named(command: Command, feature_data: World) -> None:
    listing = write_list(Path("some.list"), ["x.tfrecord", feature_data.files[0], "y.tfrecord"])
    said = refused(command, "test", "--weights", feature_data.weights, "--filelist", listing)
    assert "2 of 3 listed shards do not exist" in said
    assert said.endswith(":\n  x.tfrecord\n  y.tfrecord")


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([8, 1], "label 8 is out of range 0..7; it looks 1-based"),
        ([0, 9], "label 9 is out of rang"),
    ],
)
def test_label_out_of_range(
    command: Command, feature_data: World, labels: list[int], said: str
) -> None:
    write_tfrecord(Path("bad.tfrecord"), [example(0), example(1, labels)])
    words = ("test", "--weights", feature_data.weights, "--filelist", "bad.tfrecord")
    assert refused(command, *words).startswith(f"bad.tfrecord: record 1: {said}")


def test_label_of_a_clip_out_of_range(command: Command, clip_data: World) -> None:
    listing = write_list(
        Path("bad.list"), [f"{f} {i + 1}" for i, f in enumerate(clip_data.files[:3])]
    )
    said = refused(command, "test", "--weights", clip_data.weights, "--filelist", listing)
    assert "label 3 of " in said
    assert "out of range 0..2; it looks 1-based" in said


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"rgb": 6}, "rgb has 6 values a frame, the config's feature_dims says 8"),
        ({"audio": 5}, "audio has 5 values a frame, the config's feature_dims says 4"),
    ],
)
def test_wrong_feature_width(
    command: Command, feature_data: World, sizes: dict[str, int], said: str
) -> None:
    write_tfrecord(Path("bad.tfrecord"), [example(0, **sizes)])
    weights = ("--weights", feature_data.weights)
    told = refused(command, "test", *weights, "--filelist", "bad.tfrecord")
    assert told == f"bad.tfrecord: record 0: {said}"
    assert refused(command, "infer", "bad.tfrecord", *weights) == told


def test_truncated_and_damaged_shards_name_the_record(
    command: Command, feature_data: World
) -> None:
    shard = write_shard(Path("cut.tfrecord"), [0])
    whole = shard.read_bytes()
    words = ("test", "--weights", feature_data.weights, "--filelist", shard)
    shard.write_bytes(whole[:-3])
    said = refused(command, *words)
    assert "none of the 1 samples could be evaluated: 1 unreadable" in said
    assert "cut.tfrecord: record 0 is cut off" in said
    shard.write_bytes(whole[:30] + b"?" + whole[31:])
    assert "cut.tfrecord: record 0: checksum does not match" in refused(command, *words)
    shard.write_bytes(b"")
    assert "cut.tfrecord: the file is empty" in refused(command, *words)


def test_pickles_that_run_code(command: Command, feature_data: World, clip_data: World) -> None:
    Path("trap.pkl").write_bytes(pickle.dumps([{"video": Trap()}], 2))
    said = refused(command, "test", "--weights", feature_data.weights, "--filelist", "trap.pkl")
    assert said.startswith("trap.pkl wants to run ")
    assert "do not trust it" in said
    assert not Path(SECRET).exists()
    Path("clip.pkl").write_bytes(pickle.dumps(("v", 0, [Trap()]), 2))
    said = refused(command, "infer", "clip.pkl", "--weights", clip_data.weights)
    assert said.startswith("clip.pkl wants to run ")
    assert not Path(SECRET).exists()


def test_weights_that_run_code(command: Command, clip_data: World) -> None:
    Path("trap.pth").write_bytes(pickle.dumps({"fc.weight": Trap()}, 2))
    said = refused(
        command, "train", "--model", "TSN", "--config", clip_data.config, "--pretrain=trap.pth"
    )
    assert said.startswith("trap.pth: is a pickle, but no file of torch.save")
    assert "no file of torch.save" in refused(
        command, "infer", clip_data.files[0], "--weights", "trap.pth", "--model-name", "TSN"
    )
    assert not Path(SECRET).exists()


def test_weights_of_another_class_count(command: Command, clip_data: World) -> None:
    words = ["infer", clip_data.files[0], "--weights", clip_data.weights]
    said = refused(command, *words, "--set", "MODEL.num_classes=4")
    assert said.startswith(
        f"{clip_data.weights}: the weights are for 3 classes, the config says num_classes = 4"
    )


def test_weights_of_another_model(command: Command, clip_data: World, feature_data: World) -> None:
    words = ["infer", clip_data.files[0], "--weights", clip_data.weights]
    said = refused(command, *words, "--model-name", "STNET")
    assert said == f"{clip_data.weights}: holds weights of TSN, not of STNET"
    said = refused(command, *words, "--config", feature_data.config)
    assert "weights of TSN, not of AttentionCluster" in said


def test_damaged_weights(command: Command, feature_data: World) -> None:
    data = feature_data.weights.read_bytes()
    Path("cut.safetensors").write_bytes(data[:-100])
    said = refused(command, "infer", feature_data.files[1], "--weights", "cut.safetensors")
    assert said.startswith("cut.safetensors: is no sound .safetensors file")
    Path("text.safetensors").write_text("these are no weights")
    said = refused(command, "infer", feature_data.files[1], "--weights", "text.safetensors")
    assert said.startswith("text.safetensors: is no checkpoint")
    Path("empty.safetensors").write_bytes(b"")
    said = refused(command, "infer", feature_data.files[1], "--weights", "empty.safetensors")
    assert said.startswith("empty.safetensors: is no checkpoint")


def test_missing_eigen_file(command: Command, feature_data: World) -> None:
    nextvlad = ["--model", "nextvlad", "--set", f"TRAIN.filelist={feature_data.listing}"]
    small = [f"--set=MODEL.{k}" for k in ("hidden_size=8", "cluster_size=2", "num_classes=8")]
    valid = ["--set", "VALID.filelist=None"]
    said = refused(command, "train", *nextvlad, *small, *valid)
    assert said.startswith("eigen_file ./dataset/youtube8m/yt8m_pca/eigenvals.npy: no such file")
    assert "MODEL.eigen_file=None" in said


@pytest.mark.parametrize("door", ["test", "infer", "train"])
def test_missing_label_file(command: Command, clip_data: World, door: str) -> None:
    given = [] if door == "train" else ["--weights", clip_data.weights]
    words = [door, "--model=TSN", "--config", clip_data.config, *given]
    said = refused(command, *words, "--set", "MODEL.label_file=names.txt")
    assert said == "label_file names.txt: no such file"  # once, though several lists ask for it


def test_missing_resume_and_pretrain(command: Command, feature_data: World) -> None:
    words = ["train", "--config", feature_data.config]
    assert refused(command, *words, "--resume=x") == "--resume x: no such checkpoint"
    assert refused(command, *words, "--pretrain=x") == "--pretrain x: no such file or folder"
    said = refused(command, *words, "--resume", feature_data.weights)
    assert "so there is no training to go on with" in said


def test_several_faults_are_all_named(command: Command, feature_data: World) -> None:
    said = refused(
        command,
        *("test", "--config", feature_data.config, "--weights", "none.safetensors"),
        *("--filelist", "none.list"),
    )
    assert said.splitlines() == [
        "2 things are wrong:",
        "  1. none.safetensors: there is no such checkpoint",
        "  2. none.list: there is no such list, folder or shard",
    ]
    said = refused(
        command,
        *("train", "--config", feature_data.config, "--set", "TRAIN.filelist=a.list"),
        *("--set", "VALID.filelist=b.list", "--resume", "c.safetensors"),
    )
    assert said.startswith("3 things are wrong:")
    assert all(f"{name}: " in said for name in ("a.list", "b.list", "--resume c.safetensors"))
    said = refused(command, "infer", "a.mp4", "b.mp4", "--model=TSN", "--weights", "c.pth")
    assert said.splitlines() == [
        "3 things are wrong:",
        "  1. c.pth: there is no such checkpoint",
        "  2. a.mp4: no such file, folder or pattern",
        "  3. b.mp4: no such file, folder or pattern",
    ]
    said = refused(command, "infer", "a.tfrecord", "b.tfrecord", "--weights", feature_data.weights)
    assert said.startswith("2 things are wrong:")
    assert all(f"{name}.tfrecord: " in said for name in "ab")


def test_a_folder_that_cannot_be_written_is_named_first(command: Command, clip_data: World) -> None:
    Path("file").write_text("")
    for words in (["infer", clip_data.files[0]], ["test"]):
        done = command(*words, "--weights", clip_data.weights, "--save-dir", "file/results")
        assert done.code == 2
        assert done.err.startswith("error: file/results")
        assert "videos" not in done.out  # not after hours of work


def test_traceback_only_where_it_is_wanted(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videozoo.cli.main import main
    from videozoo.errors import VideozooError

    monkeypatch.setenv("VIDEOZOO_TRACEBACK", "")
    with pytest.raises(VideozooError, match="unknown model"):
        main(["--traceback", "infer", "a.mp4", "--model-name=x"])
