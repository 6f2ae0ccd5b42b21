"""What a cluster's workers are given and tell, without a cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from tiny import World
from videozoo.cli import cluster
from videozoo.errors import VideozooError
from videozoo.fleet.ray_fleet import killers
from videozoo.fleet.workers import DEATHS, Board, Sizes
from videozoo.shards import Listed, Shard, Span


def node(cores: float, gpus: float = 0, alive: bool = True) -> dict[str, Any]:
    return {"Alive": alive, "Resources": {"CPU": cores, "GPU": gpus, "memory": 1e9}}


@pytest.mark.parametrize(
    ("nodes", "use_gpu", "workers"),
    [
        ([node(8)], True, Sizes(4, 2, 0)),
        ([node(1), node(1)], False, Sizes(2, 1, 0)),
        ([node(5), node(2), node(64, alive=False)], True, Sizes(3, 2, 0)),
        ([node(16, 4), node(8, 1), node(32)], True, Sizes(5, 4, 1)),
        ([node(16, 4)], False, Sizes(8, 2, 0)),
    ],
)
def test_workers_have_two_cores_or_a_gpu_and_its_share_of_them(
    nodes: list[dict[str, Any]], use_gpu: bool, workers: Sizes
) -> None:
    assert Sizes.of(nodes, use_gpu) == workers


def test_a_cluster_without_cores_is_none() -> None:
    with pytest.raises(VideozooError, match="no cores"):
        Sizes.of([node(0)], False)


def test_a_shard_is_given_up_when_workers_die_and_nothing_more_is_done() -> None:
    board = Board([10, 10], many=False)
    for _ in range(DEATHS):
        assert board.begin(1)
        board.tell(1, "infer", 4, 10)
    assert not board.begin(1)
    assert board.begin(2)


def test_a_shard_that_gets_on_may_lose_any_number_of_workers() -> None:
    board = Board([10], many=False)
    for done in range(1, 10):
        assert board.begin(1)
        board.tell(1, "encode", done, 10)
    for done in range(9):
        assert board.begin(1)
        board.tell(1, "infer", done, 10)


def test_what_is_encoded_and_then_scored_counts_once_and_lists_add_up() -> None:
    one, several = Board([10], many=False), Board([10], many=True)
    for board in (one, several):
        board.begin(1)
        board.tell(1, "a", 6, 6)
        board.tell(1, "b", 1, 4)
        board.tell(1, "b", 0, 4)  # once more, by another worker
    assert one.done() == (10, 0)
    assert several.done() == (7, 0)
    assert several.begin(1)
    assert several.done() == (7, 1)


def test_the_videos_that_are_left_are_named() -> None:
    lists = [Listed(Span(20, 2), lambda index: f"{index}.mp4")]
    said = killers(lists, Shard(2, 2), 3)
    assert said.endswith("left of it: 13.mp4, 14.mp4, 15.mp4, 16.mp4, 17.mp4 and 2 more")
    assert killers(lists, Shard(2, 2), 9).endswith("left of it: 19.mp4")


WORDS = [
    (("infer", "--shard", "1/2", "--cluster", "ray"), "--shard: is not for --cluster"),
    (("test", "--dry-run", "--cluster", "ray"), "--dry-run: is not for --cluster"),
    (("infer", "--devices", "2", "--cluster", "ray"), "--devices: is not for --cluster"),
    (("infer", "--address", "auto"), "--address: is for --cluster ray"),
    (("infer", "--cluster", "ray", "--save-dir", "s3://b/r"), "a folder that all workers see"),
    (("infer", "--timeline", "--cluster", "ray", "-"), "a stream is read by one process"),
    (("scan", "--restart", "--cluster", "ray"), "--restart: is not for --cluster"),
]


@pytest.mark.parametrize(("words", "said"), WORDS)
def test_what_does_not_go_together_is_refused(
    command: Command, clip_data: World, words: tuple[str, ...], said: str
) -> None:
    how = "--config" if words[0] == "scan" else "--weights"
    done = command(*words, how, clip_data.config if words[0] == "scan" else clip_data.weights)
    assert done.code == 2
    assert said in done.err
    assert not list(Path().iterdir())


def test_features_must_be_kept(command: Command) -> None:
    words = ("prepare", "features", "out", "videos", "--no-cache", "--cluster", "ray")
    assert "leave out --no-cache" in command(*words).err


def test_without_ray_the_extra_is_named(
    command: Command, clip_data: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ("infer", "--weights", clip_data.weights, "--filelist", clip_data.listing)
    done = command(*words, "--cluster", "ray")
    assert done.code == 2
    assert 'needs ray: pip install "videozoo[fleet]" installs it' in done.err


def test_a_worker_gets_the_command_without_what_is_of_the_cluster(
    monkeypatch: pytest.MonkeyPatch, command: Command, clip_data: World
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(cluster, "do_shard", lambda words, shard, tell: seen.append(words))
    monkeypatch.setattr(cluster.Fleet, "__call__", lambda fleet, lists: fleet.do(Shard(1, 1), None))
    words = ("--cluster=ray", "--weights", str(clip_data.weights), "--address", "a:1", "--save-dir")
    command("--traceback", "infer", *words, "out", "--", str(clip_data.files[0]))
    rest = ["--weights", str(clip_data.weights), "--save-dir", "out", "--", str(clip_data.files[0])]
    assert seen == [(["--traceback", "infer"], rest)]


def test_a_worker_does_its_shard_and_says_what_it_cannot(clip_data: World) -> None:
    told: list[tuple[str, int, int]] = []
    options = ["--weights", str(clip_data.weights), "--filelist", str(clip_data.listing)]
    words = (["infer"], options)
    assert cluster.do_shard(words, Shard(2, 2), lambda *what: told.append(what)) is None
    assert told == [("infer", 1, 3), ("infer", 3, 3)] or told[-1] == ("infer", 3, 3)
    assert [path.name for path in Path().iterdir()] == ["TSN_infer_result.2-of-2.parts"]
    said = cluster.do_shard((["infer"], [*options[:3], "no.list"]), Shard(1, 2), lambda *what: None)
    assert said is not None
    assert "no.list" in said


def test_parts_of_another_device_are_taken_if_all_are_of_it(
    command: Command, clip_data: World
) -> None:
    words = ("infer", "--weights", clip_data.weights, "--filelist", clip_data.listing)
    for number in (1, 2):
        command(*words, "--shard", f"{number}/2")
    recipes = [Path(f"TSN_infer_result.{n}-of-2.parts/recipe.json") for n in (1, 2)]
    for done in (1, 2):
        recipe = recipes[done - 1]
        recipe.write_text(json.dumps(json.loads(recipe.read_text()) | {"device": "cuda"}))
        found = command(*words)
        assert found.code == (2 if done == 1 else 0)
    assert "5 of 5" in found.out
