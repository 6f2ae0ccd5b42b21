"""Published weights on the command line: by name wherever a path goes, or without a name."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import Command

from published import archive_of, image_resnet, left
from served import Served, Site, serving
from tiny import World
from videozoo.checkpoints.native import load_native
from videozoo.specs import SPECS
from videozoo.zoo import archives, store
from videozoo.zoo.archives import ImageResNet, VideoWeights

TRAIN = ("--set", "TRAIN.epoch=1", "--set", "VALID.filelist=None")


@pytest.fixture(scope="module")
def files(
    clip_data: World, feature_data: World, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Served]:
    folder = tmp_path_factory.mktemp("published")
    torch.save(image_resnet(), folder / "r.pth")
    return {
        "clips.tar.gz": Served(archive_of(clip_data, folder)),
        "features.tar.gz": Served(archive_of(feature_data, folder)),
        "r.pth": Served((folder / "r.pth").read_bytes()),
    }


@pytest.fixture
def site(
    files: dict[str, Served], clip_data: World, feature_data: World, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """Serves tiny weights, and makes the table of published weights theirs."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("VIDEOZOO_ZOO_MIRROR", raising=False)
    with serving(dict(files)) as site:

        def weights(name: str, world: World, file: str) -> VideoWeights:
            return replace(
                archives.of_model(world.experiment.model),
                name=name, file=file, addresses=(site.url(file),), labels="",
                config=str(world.config),
            )  # fmt: skip

        def resnet(name: str) -> ImageResNet:
            return ImageResNet(
                name=name, file="r.pth", addresses=(site.url("r.pth"),), num_layers=18, data="",
                scores="",
            )  # fmt: skip

        table = (
            weights("tsn_tiny", clip_data, "clips.tar.gz"),
            weights("cluster_tiny", feature_data, "features.tar.gz"),
        )
        monkeypatch.setattr(archives, "WEIGHTS", table)
        monkeypatch.setattr(
            archives, "RESNETS", (resnet("ResNet50_pretrained"), resnet("resnet18"))
        )
        yield site


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOZOO_ZOO_MIRROR", "http://127.0.0.1:9")


def test_list_pull_where(command: Command, site: Site) -> None:
    done = command("zoo", "where", "TSN_tiny")
    assert done.code == 2
    assert done.err == "error: tsn_tiny is not here; videozoo zoo pull tsn_tiny fetches it\n"
    done = command("zoo", "pull", "TSN_tiny")
    path = store.folder() / "tsn_tiny.safetensors"
    assert done.code == 0
    assert done.out.splitlines()[-1] == str(path)
    assert f"tsn_tiny: fetched from {site.url('clips.tar.gz')}; SHA-256 of" in done.out
    assert f"fetching {site.url('clips.tar.gz')}" in done.err
    assert "tsn_tiny: is here, unchanged" in command("zoo", "pull", "tsn_tiny").out
    done = command("zoo", "where", "tsn_tiny")
    assert (done.code, done.out) == (0, f"{path}\n")
    assert site.asked == ["clips.tar.gz"]
    lines = command("zoo", "list").out.splitlines()
    (row,) = [line for line in lines if "tsn_tiny" in line]
    assert "top-1 0.67" in row
    assert "batch 256, 8 P40" in row
    assert "yes" in row
    assert not any("yes" in line for line in lines if "cluster_tiny" in line)
    assert any("resnet18" in line for line in lines)


def test_the_real_table_is_listed_whole(command: Command) -> None:
    done = command("zoo", "list")
    assert done.code == 0
    for weights in archives.WEIGHTS:
        for text in (weights.name, weights.config_name, weights.scores, weights.protocol):
            assert text in done.out
        assert f"batch {weights.batch_size}, {weights.hardware}" in done.out
    assert all(resnet.name in done.out for resnet in archives.RESNETS)


def test_unknown_names(command: Command) -> None:
    done = command("zoo", "pull", "tsn_kinetcs")
    assert done.err == "error: no weights are called 'tsn_kinetcs'; did you mean 'tsn_kinetics'?\n"
    done = command("zoo", "where", "xyz")
    assert "no weights are called 'xyz' (there are attention_cluster_youtube8m, " in done.err
    done = command("infer", "a.mp4", "--weights", "tsn_kinetcs")
    assert done.err == (
        "error: tsn_kinetcs: there is no such checkpoint; did you mean 'tsn_kinetics'?\n"
    )


@pytest.mark.parametrize("door", ["test", "infer"])
def test_without_a_network(
    command: Command, clip_data: World, door: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch)
    done = command(door, "--model-name", "TSN", "--config", clip_data.config)
    assert done.code == 2
    assert done.err.splitlines()[-1] == (
        "error: tsn_tiny cannot be fetched: 127.0.0.1:9 cannot be reached (Connection refused);"
        " fetch http://127.0.0.1:9/clips.tar.gz by hand and put it to"
        f" {store.folder() / 'clips.tar.gz'}, or give --weights a checkpoint of yours"
    )
    assert left() == []


def predictions() -> list[tuple[str, str]]:
    rows = csv.DictReader(Path("TSN_infer_result.csv").read_text().splitlines())
    return [(row["index"], row["score"]) for row in rows]


@pytest.mark.parametrize("how", [("--weights", "tsn_tiny"), ("--weights", "tsn"), ()])
def test_infer_with_published_weights(
    command: Command, clip_data: World, site: Site, how: tuple[str, ...]
) -> None:
    words = ("infer", clip_data.files[0], "--format", "csv")
    fitting = ("--model-name", "tsn", "--config", clip_data.config)
    assert command(*words, *how, *(() if how else fitting)).code == 0
    scores = predictions()
    assert command(*words, "--weights", clip_data.weights).code == 0
    own = predictions()
    assert scores == own
    assert site.asked == ["clips.tar.gz"]


def test_test_takes_the_published_weights_of_the_default_model(
    command: Command, feature_data: World, site: Site
) -> None:
    assert command("test", "--config", feature_data.config).code == 0
    result = json.loads(Path("AttentionCluster_test_result.json").read_text())
    assert result["evaluated"] == 5
    assert result["protocol"]["weights"] == str(store.folder() / "cluster_tiny.safetensors")


def test_faults_show_before_anything_is_fetched(
    command: Command, clip_data: World, feature_data: World, site: Site
) -> None:
    for words, said in (
        (("--weights", "tsn_tiny", "--filelist", "none.list"), "none.list: no such list"),
        (("--weights", "tsn_tiny", "--model-name", "STNET"),
         "tsn_tiny: holds weights of TSN, not of STNET"),
        (("--weights", "tsn_tiny", "--config", feature_data.config),
         "tsn_tiny: holds weights of TSN, not of AttentionCluster"),
        (("--weights", "resnet18"), "resnet18: is an image ResNet, no video model; give it to"),
        (("--weights", "tsn_tiny", "--set", "MODEL.num_classes=400"),
         f"tsn_tiny: does not fit {clip_data.config}: num_classes = 400 (theirs: 3)"),
        (("--model-name", "tsn", "--config", clip_data.config, "--set", "MODEL.num_layers=34"),
         "no weights of TSN are given, and the published ones (tsn_tiny) do not fit"
         f" {clip_data.config}: num_layers = 34 (theirs: 18); give --weights a checkpoint"),
    ):  # fmt: skip
        done = command("test", *words)
        assert done.code == 2
        assert done.err.startswith(f"error: {said}"), done.err
    done = command("test", "--weights=tsn_tiny", "--filelist=no", "--set=MODEL.num_classes=400")
    assert done.err.splitlines() == [
        "error: 2 things are wrong:",
        "  1. no: no such list or folder",
        f"  2. tsn_tiny: does not fit {clip_data.config}: num_classes = 400 (theirs: 3)",
    ]
    assert site.asked == []


def test_a_list_of_names_is_read_with_those_of_the_weights(
    command: Command, clip_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch)
    place = Path("some") / "zumba"
    place.mkdir(parents=True)
    (place / "a.mp4").write_bytes(clip_data.files[0].read_bytes())
    Path("a.list").write_text("some/zumba/a.mp4 zumba\n")
    Path("a.csv").write_text("path,label\nsome/zumba/a.mp4,zumba\n")
    for spec in ("some", "a.list", "a.csv"):
        done = command("test", "--weights", "tsn_kinetics", "--filelist", spec)
        assert "error: tsn_kinetics cannot be fetched" in done.err
    done = command("test", "--weights=tsn", "--filelist=some", "--set=MODEL.num_classes=1")
    assert done.err == (
        "error: tsn_kinetics: does not fit tsn.txt: num_classes = 1 (theirs: 400)\n"
    )


def test_a_start_that_does_not_fit_is_not_fetched(
    command: Command, clip_data: World, site: Site
) -> None:
    words = ("train", "--model-name", "TSN", "--config", clip_data.config, "--pretrain", "tsn_tiny")
    done = command(*words, "--set", "MODEL.num_layers=34", *TRAIN)
    said = f"--pretrain tsn_tiny: does not fit {clip_data.config}: num_layers = 34 (theirs: 18)"
    assert (done.code, done.err) == (2, f"error: {said}\n")
    assert site.asked == []


def test_teachers_that_are_no_siblings_are_not_fetched(
    command: Command, feature_data: World, site: Site
) -> None:
    words = ("train", "--model-name", "AttentionCluster", "--config", feature_data.config)
    for name, said in (
        ("resnet18", "is an image ResNet; a teacher must take features"),
        ("tsn_tiny", "TSN takes clips; a teacher must take features"),
    ):
        done = command(*words, "--set", f"TRAIN.distill_from=['{name}']")
        assert (done.code, done.err) == (2, f"error: distill_from {name}: {said}\n")
    assert site.asked == []


def test_convert_takes_names(command: Command, clip_data: World, site: Site) -> None:
    done = command("convert", "tsn_tiny", "mine.safetensors")
    assert done.out == ("tsn_tiny -> mine.safetensors: TSN, no class names (give --label-file)\n")
    before, after = load_native(clip_data.weights), load_native("mine.safetensors")
    assert all(torch.equal(v, after.state_dict[k]) for k, v in before.state_dict.items())


def train(command: Command, world: World, *words: object) -> str:
    done = command(
        "train", "--model-name", world.experiment.model, "--config", world.config, *TRAIN, *words
    )
    assert done.code == 0, done.err
    return done.out


@pytest.fixture
def by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the tiny ResNet the one that the original took."""
    spec = replace(SPECS["TSN"], default_pretrain=lambda settings: "ResNet50_pretrained")
    monkeypatch.setitem(SPECS, "TSN", spec)


@pytest.mark.usefixtures("by_default")
def test_training_starts_from_the_resnet_that_the_original_took(
    command: Command, clip_data: World, site: Site
) -> None:
    said = train(command, clip_data)
    assert f"weights taken from ResNet50_pretrained ({store.folder()}" in said
    assert "head replaced: weights have 5 classes, this model 3" in said
    assert site.asked == ["r.pth"]


@pytest.mark.usefixtures("by_default")
def test_training_without_a_network(
    command: Command, clip_data: World, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_network(monkeypatch)
    words = ("train", "--model-name", "TSN", "--config", clip_data.config)
    done = command(*words)
    assert done.code == 2
    assert done.err.splitlines()[-1].endswith(
        f"fetch http://127.0.0.1:9/r.pth by hand and put it to {store.folder() / 'r.pth'}, or give"
        " --pretrain an image ResNet of yours, or --pretrain none for random weights"
    )
    done = command(*words, "--set", "TRAIN.filelist=none.list", "--set", "VALID.filelist=None")
    assert done.err.startswith("error: none.list: no such list")
    assert "fetch" not in done.err
    assert not Path("checkpoints").exists()


def test_a_folder_of_videos_is_trained_on_without_a_network(
    command: Command, clip_data: World, site: Site
) -> None:
    for i, file in enumerate(clip_data.files[:4]):
        place = Path("videos") / "ab"[i % 2] / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)
    sizes = {"short_size": 36, "target_size": 32, "seg_num": 2, "num_workers": 0}
    small = [f"--set=MODEL.{key}={value}" for key, value in sizes.items()]
    done = command(
        "train", "videos", "--model-name=TSN", "--epoch-num=1", "--use-gpu=False", *small
    )
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "TSN starts from random weights; an image ResNet, such as --pretrain resnet18" in said
    assert site.asked == []


def test_resuming_published_weights(command: Command, clip_data: World, site: Site) -> None:
    said = train(command, clip_data, "--resume", "tsn_tiny")
    assert "weights taken from tsn_tiny; a checkpoint of the original holds no position" in said
    assert site.asked == ["clips.tar.gz"]
