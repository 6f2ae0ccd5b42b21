"""Commands whose lists are done by the workers of a Ray cluster of several processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deadly
import pytest
from commands import Command

from tiny import World, write_list
from videos import write_video
from videozoo.cli import cluster

pytestmark = pytest.mark.slow


def long_list(world: World, times: int = 8) -> Path:
    lines = world.listing.read_text().splitlines() * times
    return write_list(Path("long.list"), ["missing.mp4 1", *lines] if "mp4" in lines[0] else lines)


def same(found: Path, whole: Path) -> None:
    """Checks that two folders hold the same files, but for the seconds of a test."""
    names = sorted(path.name for path in whole.iterdir())
    assert sorted(path.name for path in found.iterdir()) == names
    for name in names:
        if name.endswith("_test_result.json"):
            one, other = (json.loads((folder / name).read_text()) for folder in (found, whole))
            for value in (one, other):
                del value["seconds"], value["videos_per_second"]
            assert one == other
        else:
            assert (found / name).read_bytes() == (whole / name).read_bytes(), name


def words_of(word: str, world: World) -> tuple[object, ...]:
    listing = long_list(world)
    if word == "timeline":
        return ("infer", "--timeline", "--weights", world.weights, *world.files)
    if word == "scan":
        return ("scan", "--config", world.config, "--filelist", listing)
    return (word, "--weights", world.weights, "--filelist", listing)


@pytest.mark.parametrize("word", ["infer", "test", "scan", "timeline"])
def test_a_cluster_writes_what_one_process_writes(
    command: Command, clip_data: World, ray_cluster: Any, word: str
) -> None:
    words = words_of(word, clip_data)
    out = ("--out", "{}/scan.csv") if word == "scan" else ("--save-dir", "{}")
    for folder in ("whole", "found"):
        Path(folder).mkdir()
    whole = command(*words, out[0], out[1].format("whole"))
    found = command(*words, out[0], out[1].format("found"), "--cluster", "ray")
    assert found.code == whole.code, found.err
    assert re.search(r"Ray: 2 workers of 2 cores; (16|5) shards", found.out)
    same(Path("found"), Path("whole"))


def test_feature_models_do_too(command: Command, feature_data: World, ray_cluster: Any) -> None:
    words = words_of("test", feature_data)
    command(*words, "--save-dir", "whole")
    assert command(*words, "--save-dir", "found", "--cluster", "ray").code == 0
    same(Path("found"), Path("whole"))


def test_features_are_made_by_workers_and_written_by_the_command(
    command: Command, clip_data: World, ray_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_list(Path("other.list"), [write_video(Path("x.mp4"), 30)])
    words = ("prepare", "features", "--no-labels", "--no-sound", "--encoder", "efficientnet_lite0")
    whole = command(*words, "whole", clip_data.listing, other.resolve())
    monkeypatch.setenv("VIDEOZOO_HOME", str(Path("another").resolve()))

    def encoder_of(*given: object) -> None:
        raise AssertionError("nothing is left to encode")

    monkeypatch.setattr("videozoo.encoders.encoded_videos.encoder_of", encoder_of)
    found = command(*words, "found", clip_data.listing, other.resolve(), "--cluster", "ray")
    assert found.code == whole.code == 0, found.err
    for path in (one for one in Path("whole").iterdir() if one.suffix != ".list"):
        assert (Path("found") / path.name).read_bytes() == path.read_bytes(), path


def test_a_killed_worker_costs_a_retry_and_no_result(
    command: Command, clip_data: World, ray_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = words_of("infer", clip_data)
    command(*words, "--save-dir", "whole")
    monkeypatch.setattr(cluster, "do_shard", deadly.dies_once)
    monkeypatch.setattr("videozoo.fleet.ray_fleet.SHARDS_A_WORKER", 2)
    found = command(*words, "--save-dir", "found", "--cluster", "ray")
    assert found.code == 2, found.err  # a video is missing
    assert found.err == ""
    assert "1 worker died; others go on from there" in found.out
    assert "raylet" not in found.out
    same(Path("found"), Path("whole"))
    of_second = [(pid, done) for shard, pid, done, _ in deadly.notes() if shard == 2]
    first = of_second[0][0]
    assert [done for pid, done in of_second if pid == first][-1] == 4
    assert next(done for pid, done in of_second if pid != first) > 2  # the parts were kept


def test_videos_that_kill_each_worker_are_named(
    command: Command, clip_data: World, ray_cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "do_shard", deadly.dies_always)
    monkeypatch.setattr("videozoo.fleet.ray_fleet.SHARDS_A_WORKER", 2)
    words = words_of("scan", clip_data)
    done = command(*words, "--cluster", "ray")
    assert done.code == 2
    assert "shard 2/4: 3 workers in a row were killed by it" in done.err
    assert str(clip_data.files[4]) in done.err.partition("what is left of it: ")[2]
    assert len({pid for shard, pid, *_ in deadly.notes() if shard == 2}) == 1  # who did 10 to 14
    monkeypatch.setattr(cluster, "do_shard", deadly.do_shard)  # what killed has gone
    assert "40 of 41" in (again := command(*words, "--cluster", "ray")).out, again.err


PATCHED = """
import sys, deadly
from videozoo.cli import cluster, main
cluster.do_shard = deadly.waits
main.main(sys.argv[1:])
"""


def test_a_machine_that_comes_later_takes_part_and_one_may_go(
    command: Command, clip_data: World, ray_cluster: Any
) -> None:
    words = [*map(str, words_of("infer", clip_data))]
    command(*words, "--save-dir", "whole")
    more = ["--save-dir", "found", "--cluster", "ray", "--address", ray_cluster.address]
    with Path("said").open("w") as said:
        command_line = [sys.executable, "-c", PATCHED, *words, *more]
        running = subprocess.Popen(command_line, stdout=said, stderr=said)
    until(deadly.NOTES.exists)
    added = ray_cluster.add_node(num_cpus=2, object_store_memory=100 << 20)
    until(lambda: added.node_id in {node for *_, node in deadly.notes()})
    ray_cluster.remove_node(added, allow_graceful=False)
    Path("go").touch()
    assert running.wait(120) == 2, Path("said").read_text()  # a video is missing
    assert "1 worker died; others go on from there" in Path("said").read_text()
    assert "raylet" not in Path("said").read_text()
    same(Path("found"), Path("whole"))


def until(holds: Callable[[], Any], said: Path | None = None) -> None:
    limit = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < limit, "" if said is None else said.read_text()
        time.sleep(0.1)


def test_a_cluster_of_this_machine_alone_is_quiet_and_goes(clip_data: World) -> None:
    words = ["infer", "--weights", str(clip_data.weights), "--filelist", str(clip_data.listing)]
    done = subprocess.run(
        [sys.executable, "-m", "videozoo", *words, "--cluster", "ray"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "5 of 5 videos" in done.stdout
    assert not list(Path().glob("*.parts"))


def test_where_no_cluster_answers_one_sentence_says_so(clip_data: World) -> None:
    words = ["infer", "--weights", str(clip_data.weights), "--filelist", str(clip_data.listing)]
    done = subprocess.run(
        [sys.executable, "-m", "videozoo", *words, "--cluster", "ray", "--address", "127.0.0.1:9"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: --address 127.0.0.1:9: no Ray cluster can be had")
    assert done.stderr.count("\n") == 1
    assert not list(Path().glob("TSN_infer_result*"))
