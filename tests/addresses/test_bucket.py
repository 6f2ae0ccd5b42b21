"""A bucket on an S3 server of this machine, behind a proxy that makes trouble."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from memory_bucket import forget
from troubled_server import Trouble, troubled_s3

from cli.commands import Command
from tiny import FEATURE_SIZES, World, write_list
from videos import write_video
from videozoo.addresses import remote
from videozoo.addresses.copies import local
from videozoo.addresses.places import brought, copy_path, home
from videozoo.addresses.remote import about, listing, upload
from videozoo.errors import VideozooError

BUCKET = "s3://videos"


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    """A bucket; what is set here goes wrong from then on."""
    found = Trouble()
    with troubled_s3(found) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        remote._system(BUCKET).mkdir("videos")
        yield found
        forget()


def put(name: str, data: bytes | Path, tmp_path: Path) -> str:
    """Puts a file into the bucket; returns its address."""
    file = data if isinstance(data, Path) else tmp_path / "put"
    if isinstance(data, bytes):
        file.write_bytes(data)
    upload(file, f"{BUCKET}/{name}")
    return f"{BUCKET}/{name}"


def names(folder: str) -> list[str]:
    return [one.address.removeprefix(f"{folder}/") for one in listing(folder)]


def content(name: str) -> bytes:
    data: bytes = remote._system(BUCKET).cat_file(f"{BUCKET}/{name}")
    return data


def test_files_come_whole_through_throttling_cut_connections_and_lost_bytes(
    trouble: Trouble, tmp_path: Path
) -> None:
    data = [bytes([number]) * 50_000 for number in range(12)]
    trouble.throttles, trouble.hangs_up, trouble.loses = 3, 5, 2
    for number, one in enumerate(data):
        put(f"v/{number:02}.bin", one, tmp_path)
    folder = brought(f"{BUCKET}/v")
    for number, one in enumerate(data):
        with local(folder / f"{number:02}.bin") as file:
            assert file.read_bytes() == one
    assert min(trouble.done.values()) > 0


def test_a_listing_and_a_single_answer_tell_the_same_version(
    trouble: Trouble, tmp_path: Path
) -> None:
    address = put("v/a.mp4", b"video", tmp_path)
    assert listing(f"{BUCKET}/v") == [about(address)]
    before = about(address).version
    put("v/a.mp4", b"other", tmp_path)
    assert about(address).version != before


def test_what_is_refused_or_not_there_is_told_without_secrets(
    trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    for address in (f"{BUCKET}/none.mp4", "s3://nowhere/a.mp4"):
        with pytest.raises(VideozooError) as error:
            about(address)
        assert str(error.value) == f"{address}: there is no such file or folder"
    trouble.throttles = 1
    with pytest.raises(VideozooError) as error:
        about(f"{BUCKET}/a.mp4")
    assert f"{BUCKET}/a.mp4: cannot be had in 6 tries" in str(error.value)
    assert "very-secret" not in str(error.value)
    assert trouble.done["503"] == remote.TRIES  # s3fs and botocore make no tries of their own


@pytest.mark.slow
def test_from_a_bucket_into_a_bucket(
    command: Command, clip_data: World, trouble: Trouble, tmp_path: Path
) -> None:
    """Features of a bucket's videos, a training on them, and infer of videos, all in trouble."""
    for number in range(8):
        put(f"v/{number}.mp4", write_video(tmp_path / f"{number}.mp4", 4 + number), tmp_path)
    put("TSN.safetensors", clip_data.weights, tmp_path)
    lines = [f"../v/{number}.mp4 {number % 3}" for number in range(8)]
    put("lists/train.list", "\n".join(lines[:6]).encode(), tmp_path)
    put("lists/val.list", "\n".join(lines[6:]).encode(), tmp_path)
    trouble.throttles, trouble.hangs_up, trouble.loses = 7, 11, 5
    encoder = ("--encoder", f"{BUCKET}/TSN.safetensors", "--rate", 5, "--no-gpu")
    out = f"{BUCKET}/features"
    for name in ("train", "val"):  # the second run keeps to what the first has left there
        done = command("prepare", "features", out, f"{BUCKET}/lists/{name}.list", *encoder)
        assert done.code == 0, done.err
        forget()
    assert names(out) == [
        "features.json", "scale.safetensors", "train.list", "train00000.tfrecord", "val.list",
        "val00000.tfrecord",
    ]  # fmt: skip
    sizes = [f"--set=MODEL.{size}" for size in FEATURE_SIZES["AttentionCluster"]]
    run = f"{BUCKET}/run"
    done = command(
        "train", "--model-name", "AttentionCluster", "--epoch-num", 2, "--batch-size", 4, *sizes,
        "--set=MODEL.feature_dims=[512,64]", "--set=MODEL.num_classes=3", "--use-gpu", "false",
        f"--set=TRAIN.filelist={out}/train.list", f"--set=VALID.filelist={out}/val.list",
        "--set=TRAIN.num_workers=2", "--save-dir", run,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "AttentionCluster_best.safetensors" in names(run)
    forget()
    tested = command(
        "test", "--weights", f"{run}/AttentionCluster_best.safetensors", "--use-gpu", "false",
        "--filelist", f"{out}/val.list", "--save-dir", run,
    )  # fmt: skip
    assert tested.code == 0, tested.err
    forget()
    weights = ("--weights", f"{BUCKET}/TSN.safetensors", "--use-gpu", "false")
    done = command("infer", f"{BUCKET}/v", *weights, "--save-dir", run, "--set=INFER.num_workers=2")
    assert done.code == 0, done.err
    clips = [tmp_path / f"{number}.mp4" for number in range(8)]
    here = command("infer", *clips, "--weights", clip_data.weights, "--use-gpu", "false")
    assert here.code == 0, here.err
    assert min(trouble.done.values()) > 0
    trouble.throttles = trouble.hangs_up = trouble.loses = 0
    found = json.loads(content("run/TSN_infer_result.json"))
    expected = json.loads(Path("TSN_infer_result.json").read_text())
    assert [one["predictions"] for one in found] == [one["predictions"] for one in expected]
    assert [one["video"] for one in found] == [f"{BUCKET}/v/{number}.mp4" for number in range(8)]
    assert str(home()).encode() not in content("run/TSN_infer_result.json")


def test_a_list_on_disk_may_name_a_bucket(trouble: Trouble, tmp_path: Path) -> None:
    from videozoo.data import read_listing

    address = put("v/a.mp4", b"video", tmp_path)
    found = read_listing(write_list(tmp_path / "a.list", [f"{address} 0"]))
    assert found.entries[0].path == copy_path(address)
