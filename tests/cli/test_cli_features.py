"""videozoo prepare features."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Command

from tiny import FEATURE_SIZES, World, write_list
from videos import write_video
from videozoo.classifier import load_weights
from videozoo.data.youtube8m.dataset import YouTube8MDataset
from videozoo.encoders.describe import FeatureRecipe, FrameDescriber, read_moments
from videozoo.encoders.quantiser import Quantiser


def source_of(path: Path) -> YouTube8MDataset:
    shards = [Path(line) for line in path.read_text().splitlines()]
    names, dims = ["rgb", "audio"], [512, 64]
    return YouTube8MDataset(shards, feature_names=names, feature_dims=dims, num_classes=3)


def test_lists_become_features_that_models_train_on(command: Command, clip_data: World) -> None:
    one = write_list(Path("one.list"), [f"{clip_data.files[2]} 2"])
    arguments = ("prepare", "features", "out", clip_data.listing, one)
    done = command(*arguments, "--weights", clip_data.weights, "--rate", 5)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "out/clips.list: 5 listed, 5 described in 10 rows, 0 unreadable" in lines
    assert lines[-1].startswith(
        "train with MODEL.feature_num=2 MODEL.feature_names=['rgb','audio']"
        " MODEL.feature_dims=[512,64]"
    )
    describe = FrameDescriber(load_weights(clip_data.weights), torch.device("cpu"))
    settings = describe.settings
    rows = [
        describe(read_moments(path, FeatureRecipe(rate=5), settings).frames)
        for path in clip_data.files
    ]
    scale = Quantiser.fit(np.concatenate(rows))
    train, single = source_of(Path("out/clips.list")), source_of(Path("out/one.list"))
    for number, described in enumerate(rows):
        sample = train.read(number)
        assert sample.video == str(clip_data.files[number])
        assert sample.labels is not None
        assert sample.labels.tolist() == [number % 3]
        assert [len(f) for f in sample.features] == [len(described)] * 2
        off = np.abs(sample.features[0].astype(int) - scale(described).astype(int))
        assert off.max() <= 1
    np.testing.assert_array_equal(single.read(0).features[0], train.read(2).features[0])
    sizes = [f"--set=MODEL.{size}" for size in FEATURE_SIZES["AttentionCluster"]]
    trained = command(
        "train", "--model-name", "AttentionCluster", "--epoch-num", 1, "--batch-size", 4, *sizes,
        "--set=MODEL.feature_dims=[512,64]", "--set=MODEL.num_classes=3",
        "--set=TRAIN.filelist=out/clips.list", "--set=VALID.filelist=out/one.list",
        "--set=TRAIN.num_workers=0", "--set=VALID.num_workers=0", "--use-gpu", "false",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    assert "validation on 1 videos" in trained.out


def test_what_comes_later_is_on_the_same_scale(command: Command, clip_data: World) -> None:
    common = ("--weights", clip_data.weights, "--rate", 5, "--no-sound")
    assert command("prepare", "features", "out", clip_data.listing, *common).code == 0
    scale = Path("out/scale.safetensors").read_bytes()
    Path("new").mkdir()
    write_video(Path("new/a.mp4"), 9)
    done = command("prepare", "features", "out", "new", *common, "--no-labels")
    assert done.code == 0, done.err
    assert Path("out/scale.safetensors").read_bytes() == scale
    names, dims = ["rgb"], [512]
    later = YouTube8MDataset(
        [Path("out/new00000.tfrecord")], feature_names=names, feature_dims=dims, num_classes=3
    )
    sample = later.read(0)
    assert sample.labels is None
    assert len(sample.features[0]) == 2
    other = command("prepare", "features", "out", "new", *common[:2], "--no-labels")
    assert other.code == 2
    assert "out: holds features made with another rate and sound; take another folder" in other.err


def test_unreadable_videos_are_listed_with_reasons(command: Command, clip_data: World) -> None:
    Path("bad.mp4").write_text("no video")
    lines = [f"{clip_data.files[0]} 0", "bad.mp4 1", f"{clip_data.files[1]} 2"]
    listing = write_list(Path("mixed.list"), lines)
    done = command("prepare", "features", "out", listing, "--weights", clip_data.weights)
    assert done.code == 2
    assert "3 listed, 2 described in 2 rows, 1 unreadable" in done.out
    with open("out/mixed_unreadable.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == ["bad.mp4"]
    assert "bad.mp4" in rows[0]["reason"]
    assert [source_of(Path("out/mixed.list")).read(i).video for i in range(2)] == [
        str(clip_data.files[0]),
        str(clip_data.files[1]),
    ]


def test_no_video_can_be_read(command: Command, clip_data: World) -> None:
    Path("bad.mp4").write_text("no video")
    listing = write_list(Path("bad.list"), ["bad.mp4 1"])
    done = command("prepare", "features", "out", listing, "--weights", clip_data.weights)
    assert done.code == 2
    assert "no video of the first list can be read; the first fault:" in done.err
    assert not Path("out/bad.list").exists()


@pytest.mark.slow
def test_two_processes_describe_as_one(command: Command, clip_data: World) -> None:
    common = (clip_data.listing, "--weights", clip_data.weights, "--rate", 5, "--no-gpu")
    assert command("prepare", "features", "one", *common).code == 0
    arguments = ["prepare", "features", "two", *map(str, common), "--devices", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "videozoo", *arguments], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("two/clips.list: 5 listed, 5 described in 10 rows, 0 unreadable") == 1
    one, two = source_of(Path("one/clips.list")), source_of(Path("two/clips.list"))
    assert len(one) == len(two) == 5
    for number in range(5):
        wanted, found = one.read(number), two.read(number)
        assert found.video == wanted.video
        for there, here in zip(wanted.features, found.features, strict=True):
            np.testing.assert_array_equal(here, there)
