"""videozoo prepare features."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Command

from tiny import FEATURE_SIZES, World, write_list
from videos import write_video
from videozoo.data.youtube8m.dataset import YouTube8MDataset
from videozoo.encoders.encoder import Encoder
from videozoo.encoders.find import open_encoder
from videozoo.encoders.moments import read_moments
from videozoo.encoders.quantiser import Quantiser


def source_of(path: Path) -> YouTube8MDataset:
    shards = [Path(line) for line in path.read_text().splitlines()]
    names, dims = ["rgb", "audio"], [512, 64]
    return YouTube8MDataset(shards, feature_names=names, feature_dims=dims, num_classes=3)


def rows_of(encoder: Encoder, path: Path) -> np.ndarray:
    """Returns what an encoder sees of a video at five rows a second."""
    framing = encoder.framing
    read = read_moments(path, rate=5, resize=framing.resize, crop=framing.cut)
    frames = np.zeros((encoder.batch, *read.frames.shape[1:]), dtype=np.uint8)
    frames[: len(read.frames)] = read.frames
    rows = encoder(torch.from_numpy(frames))[0][: len(read.frames)]
    return rows.half().float().numpy()  # as rows are kept


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
    encoder = open_encoder(str(clip_data.weights), torch.device("cpu"))
    rows = [rows_of(encoder, path) for path in clip_data.files]
    scale = Quantiser.fit(np.concatenate(rows))
    train, single = source_of(Path("out/clips.list")), source_of(Path("out/one.list"))
    for number, described in enumerate(rows):
        sample = train.read(number)
        assert sample.video == str(clip_data.files[number])
        assert sample.labels is not None
        assert sample.labels.tolist() == [number % 3]
        assert [len(f) for f in sample.features] == [len(described)] * 2
        np.testing.assert_array_equal(sample.features[0], scale(described))
    np.testing.assert_array_equal(single.read(0).features[0], train.read(2).features[0])
    sizes = [f"--set=MODEL.{size}" for size in FEATURE_SIZES["AttentionCluster"]]
    trained = command(
        "train", "--model-name", "AttentionCluster", "--epoch-num", 1, "--batch-size", 4, *sizes,
        "--set=MODEL.feature_dims=[512,64]", "--set=MODEL.num_classes=3",
        "--set=TRAIN.filelist=out/clips.list", "--set=VALID.filelist=out/one.list",
        "--set=TRAIN.num_workers=0", "--set=VALID.num_workers=0", "--use-gpu", "false",
    )  # fmt: skip
    assert trained.code == 0, trained.err
    assert "validation on 1 video:" in trained.out


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
    assert "not one of 1 videos to train on can be read; the first fault:" in done.err
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


@pytest.mark.slow
def test_killed_while_it_encodes_it_goes_on(tmp_path: Path) -> None:
    """Nothing is computed twice, and the rows are those of a run that was not stopped."""
    (tmp_path / "videos").mkdir()
    for number in range(24):
        write_video(tmp_path / "videos" / f"{number:02d}.mp4", 50 + number, size=(320, 240))

    def start(home: str) -> subprocess.Popen[bytes]:
        words = ["prepare", "features", f"out-{home}", "videos", "--no-labels", "--rate", "10"]
        return subprocess.Popen(
            [sys.executable, "-m", "videozoo", *words], cwd=tmp_path,
            env={**os.environ, "VIDEOZOO_HOME": str(tmp_path / home)},
        )  # fmt: skip

    def kept(home: str) -> dict[str, tuple[int, bytes]]:
        files = (tmp_path / home / "rows").rglob("*.safetensors")
        return {f"{f.parent.name}{f.name}": (f.stat().st_mtime_ns, f.read_bytes()) for f in files}

    killed = start("killed")
    while len(before := kept("killed")) < 5:
        assert killed.poll() is None, "it was done before it could be killed"
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    before = kept("killed")
    assert 5 <= len(before) < 24
    assert start("killed").wait(timeout=300) == 0
    assert start("whole").wait(timeout=300) == 0
    after, whole = kept("killed"), kept("whole")
    assert len(after) == len(whole) == 24
    for name, (when, content) in after.items():
        assert content == whole[name][1]
        if name in before:
            assert when == before[name][0]
    one, two = (tmp_path / f"out-{home}" / "videos00000.tfrecord" for home in ("killed", "whole"))
    assert one.read_bytes() == two.read_bytes()
