"""Commands on a bucket give what they give on the same files on disk."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
from memory_bucket import BUCKET, content, forget, names, put

import videozoo
from cli.commands import Command
from tiny import CLIP_CLASSES, World, write_list
from videos import write_video
from videozoo.addresses.places import brought, home
from videozoo.data import list_shards, read_listing
from videozoo.encoders.engine import content_of
from videozoo.errors import VideozooError
from videozoo.files import sha256_of
from videozoo.training.split import split_folder, write_split

RUN = f"{BUCKET}/run"


def put_clips(world: World) -> str:
    """Puts the weights, the videos, and a list of them into the bucket; returns its address."""
    put("weights/TSN.safetensors", world.weights)
    for file in world.files:
        put(f"videos/{file.name}", file)
    lines = [f"../videos/{file.name} {i % 3}" for i, file in enumerate(world.files)]
    lines[2] = f"{BUCKET}/videos/{world.files[2].name} 2"
    return put("lists/clips.list", "\n".join(lines).encode())


def scores(result: bytes) -> dict[str, Any]:
    found = json.loads(result)
    return {Path(one["video"]).name: one["predictions"] for one in found}


def test_infer_of_a_folder_and_of_a_list_into_a_bucket(
    command: Command, clip_data: World, tmp_path: Path
) -> None:
    listing = put_clips(clip_data)
    done = command("infer", "--weights", clip_data.weights, *clip_data.files, "--save-dir", "here")
    assert done.code == 0, done.err
    expected = scores(Path("here/TSN_infer_result.json").read_bytes())
    weights = ("--weights", f"{BUCKET}/weights/TSN.safetensors", "--save-dir", RUN)
    for source in ([f"{BUCKET}/videos"], ["--filelist", listing]):
        forget()
        done = command("infer", *source, *weights, "--set", "INFER.num_workers=2")
        assert done.code == 0, done.err
        result = content("run/TSN_infer_result.json")
        assert scores(result) == expected
        assert {one["video"].rpartition("/")[0] for one in json.loads(result)} <= {
            f"{BUCKET}/videos", "../videos",
        }  # fmt: skip
        assert f"written to {RUN}/TSN_infer_result.json" in done.out
        written = [content(name) for name in names() if name.startswith("run/")]
        assert len(written) == 3
        for text in (done.out.encode(), done.err.encode(), *written):
            assert str(home()).encode() not in text
    assert not [name for name in names() if ".parts" in name or name.startswith(".")]


def test_shards_on_machines_of_their_own_meet_in_the_bucket(
    command: Command, clip_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = put_clips(clip_data)
    weights = ("--weights", clip_data.weights, "--filelist", listing, "--save-dir")
    whole = command("infer", *weights, "here")
    assert whole.code == 0, whole.err
    for machine, shard in enumerate([("--shard", "1/2"), ("--shard", "2/2"), ()]):
        forget()
        monkeypatch.setenv("VIDEOZOO_HOME", f"machine{machine}")
        done = command("infer", *weights, RUN, *shard)
        assert done.code == 0, done.err
        folders = {name.split("/")[1] for name in names() if ".parts/" in name}
        expected = {f"TSN_infer_result.{n}-of-2.parts" for n in (1, 2)[: machine + 1]}
        assert folders == (expected if shard else set())
    assert content("run/TSN_infer_result.json") == Path("here/TSN_infer_result.json").read_bytes()


def test_test_and_scan_of_a_list_in_a_bucket(command: Command, clip_data: World) -> None:
    listing = put_clips(clip_data)
    weights = ("--weights", f"{BUCKET}/weights/TSN.safetensors", "--use-gpu", "false")
    here = command("test", "--weights", clip_data.weights, "--save-dir", "here")
    assert here.code == 0, here.err
    done = command("test", *weights, "--filelist", listing, "--save-dir", RUN)
    assert done.code == 0, done.err
    found = json.loads(content("run/TSN_test_result.json"))
    expected = json.loads(Path("here/TSN_test_result.json").read_text())
    assert {k: found[k] for k in ("top1", "loss")} == {k: expected[k] for k in ("top1", "loss")}
    assert found["protocol"]["weights"] == f"{BUCKET}/weights/TSN.safetensors"
    scanned = command("scan", f"{BUCKET}/videos", "--workers", 1, "--out", "scan.csv")
    assert scanned.code == 0, scanned.err
    assert "5 of 5 samples can be used" in scanned.out
    assert f"{BUCKET}/videos/clip0.mp4,ok" in Path("scan.csv").read_text()


def test_a_video_that_is_not_there_is_unreadable_by_its_address(
    command: Command, clip_data: World
) -> None:
    put_clips(clip_data)
    put("videos/short.mp4", b"no video")
    lines = ["videos/clip0.mp4 0", "videos/none.mp4 1", "videos/short.mp4 1"]
    listing = put("some.list", "\n".join(lines).encode())
    done = command("infer", "--weights", clip_data.weights, "--filelist", listing)
    assert done.code == 2
    result = json.loads(Path("TSN_infer_result.json").read_text())
    reasons = [one.get("unreadable") for one in result if one.get("unreadable")] or done.out
    assert f"{BUCKET}/videos/none.mp4: there is no such file or folder" in str(reasons)
    assert f"{BUCKET}/videos/short.mp4" in str(reasons)
    assert str(home()) not in done.out + done.err + Path("TSN_infer_result.json").read_text()


def test_a_list_of_which_nothing_exists_is_an_error() -> None:
    listing = put("some.list", b"videos/none.mp4 1\n")
    with pytest.raises(VideozooError, match="none of its 1 clips exists"):
        read_listing(listing)


def test_a_folder_of_classes_and_its_table(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        put(f"v/{name}/1.mp4", write_video(tmp_path / "a.mp4", 3))
    listing = read_listing(f"{BUCKET}/v")
    assert listing.class_names == ["cat", "dog"]
    assert [(one.video, one.labels) for one in listing.entries] == [
        (f"{BUCKET}/v/cat/1.mp4", (0,)), (f"{BUCKET}/v/dog/1.mp4", (1,)),
    ]  # fmt: skip
    put("v/metadata.csv", b"file_name,label\ncat/1.mp4,purrs\ndog/1.mp4,barks\n")
    forget()
    assert read_listing(f"{BUCKET}/v").class_names == ["barks", "purrs"]


def test_shards_of_a_bucket_are_indexed_once(feature_data: World, command: Command) -> None:
    for file in feature_data.files:
        put(f"f/{file.name}", file)
    listing = put("f/features.list", b"a.tfrecord\nb.tfrecord\n")
    assert [path.name for path in list_shards(listing)] == ["a.tfrecord", "b.tfrecord"]
    assert [path.name for path in list_shards(f"{BUCKET}/f/")] == ["a.tfrecord", "b.tfrecord"]
    common = ("infer", "--weights", feature_data.weights, "--save-dir")
    assert command(*common, "here", *feature_data.files).code == 0
    done = command(*common, RUN, "--filelist", listing)
    assert done.code == 0, done.err
    found = json.loads(content("run/AttentionCluster_infer_result.json"))
    assert found == json.loads(Path("here/AttentionCluster_infer_result.json").read_text())
    for copy in (home() / "memory").rglob("*.tfrecord"):
        copy.unlink()
    forget()
    from videozoo.data.youtube8m.index import index_shards

    shards, report = index_shards(list_shards(listing))
    assert report.remembered == 2
    assert [len(shard) for shard in shards] == [3, 2]
    assert not [*(home() / "memory").rglob("*.tfrecord")]  # nothing was fetched for that


@pytest.mark.slow
def test_training_on_a_folder_in_a_bucket_into_it(command: Command, tmp_path: Path) -> None:
    for number in range(12):
        name = f"{CLIP_CLASSES[number % 2]}/{number}.mp4"
        put(f"v/{name}", write_video(tmp_path / "a.mp4", 4 + number))
    done = command("train", f"{BUCKET}/v", "--head", "LINEAR", "--save-dir", RUN)
    assert done.code == 0, done.err
    assert {"run/LINEAR_best.safetensors", "run/val.list", "run/LINEAR_report.html"} <= {*names()}
    for name in names():
        if name.startswith("run/"):
            assert str(home()).encode() not in content(name), name
    lines = content("run/val.list").decode().splitlines()
    assert lines
    assert all(line.startswith(f"{BUCKET}/v/") for line in lines)
    forget()
    again = command("test", "--weights", f"{RUN}/LINEAR_best.safetensors", "--save-dir", "here")
    assert again.code == 0, again.err


def test_the_library_takes_addresses_too(clip_data: World) -> None:
    put_clips(clip_data)
    weights = f"{BUCKET}/weights/TSN.safetensors"
    predictor = videozoo.load(weights, use_gpu=False)
    expected = videozoo.load(clip_data.weights, use_gpu=False).predict(clip_data.files[0])
    found = predictor.predict(f"{BUCKET}/videos/{clip_data.files[0].name}")
    assert found[0].predictions == expected[0].predictions
    assert predictor(f"{BUCKET}/videos/{clip_data.files[0].name}")[0]["label"] in CLIP_CLASSES
    videozoo.infer(f"{BUCKET}/videos", weights, save_dir=RUN)
    assert "run/TSN_infer_result.json" in names()
    with pytest.raises(VideozooError, match="give save_dir a folder"):
        videozoo.train(f"{BUCKET}/videos", save_dir=RUN)


def _hash(address: str, queue: Any) -> None:
    queue.put(content_of(read_listing(address).entries[0].path))


def test_a_reader_process_fetches_its_own_files(tmp_path: Path) -> None:
    """Its file system is its own: a session that was opened before the fork is not used."""
    video = write_video(tmp_path / "a.mp4", 3)
    listing = put("some.list", f"{put('a.mp4', video)} 0".encode())
    read_listing(listing)  # a session is open here
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_hash, args=(listing, queue))
    process.start()
    assert queue.get(timeout=30) == sha256_of(video)
    process.join()


def test_lists_that_are_written_name_addresses(tmp_path: Path) -> None:
    for number in range(8):
        name = f"{CLIP_CLASSES[number % 2]}/{number}.mp4"
        put(f"v/{name}", write_video(tmp_path / "a.mp4", 4 + number))
    listing = put("v.csv", b"path,label\n" + b"".join(
        f"v/{CLIP_CLASSES[n % 2]}/{n}.mp4,{CLIP_CLASSES[n % 2]}\n".encode() for n in range(8)
    ))  # fmt: skip
    local = write_list(tmp_path / "l.list", [f"{BUCKET}/v/run/1.mp4 0"])
    assert read_listing(local).entries[0].video == f"{BUCKET}/v/run/1.mp4"
    write_split(split_folder(brought(listing), seed=0), Path("lists"))
    assert f"{BUCKET}/v/" in Path("lists/train.list").read_text()
    assert str(home()) not in Path("lists/split.csv").read_text()
