"""Readers that die, runs that are stopped, scores that mean nothing: as people met them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import videozoo
from tiny import World, clip_data, feature_data, write_list  # noqa: F401 (fixtures)
from videozoo import parts
from videozoo.checkpoints.native import load_native, save_native
from videozoo.cli.main import main
from videozoo.data.clips.dataset import ClipDataset
from videozoo.errors import VideozooError

RESULTS = ["TSN_infer_result", "TSN_infer_result.json", "TSN_infer_summary.json"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def strict(path: str | Path) -> Any:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=refuse)


def run(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> str:
    """Runs a command; returns what it said."""
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    assert (stop.value.code or 0) == code, out + err
    return out + err


def long_list(world: World, times: int = 6) -> Path:
    return write_list(Path("long.list"), world.listing.read_text().splitlines() * times)


def predicted_in_a_pool(weights: str, paths: list[str]) -> int:
    predictor = videozoo.load(weights)
    predictor.settings = predictor.settings.model_copy(update={"num_workers": 2})
    return len(predictor.predict(paths))


def test_readers_are_not_started_where_a_process_may_have_none(clip_data: World) -> None:  # noqa: F811
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        paths = [str(file) for file in clip_data.files]
        assert pool.apply(predicted_in_a_pool, (str(clip_data.weights), paths)) == 5


def with_nan(world: World) -> Path:
    """The weights with a bias that is not a number."""
    checkpoint = load_native(world.weights)
    state = {k: v.clone() for k, v in checkpoint.state_dict.items()}
    name = next(k for k in reversed(state) if k.endswith("bias"))
    state[name][0] = float("nan")
    save_native(Path("nan.safetensors"), replace(checkpoint, state_dict=state))
    return Path("nan.safetensors")


@pytest.mark.parametrize("kind", ["infer", "test"])
@pytest.mark.parametrize("which", ["clip_data", "feature_data"])
def test_weights_that_are_not_numbers_are_an_error(
    kind: str, which: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    world: World = request.getfixturevalue(which)
    weights = with_nan(world)
    said = run(capsys, kind, "--weights", weights, "--filelist", world.listing, code=2)
    assert "error: a score is not a number (NaN)" in said
    assert "bias" in said
    assert list(Path().glob("*_result*")) == []
    with pytest.raises(VideozooError, match="not a number"):
        videozoo.load(weights).predict(world.files[:1])


class StoppedError(BaseException):
    """As a kill: nothing is cleaned up behind it that is not cleaned up in any case."""


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stops a run when so many videos have been read; notes which were."""
    monkeypatch.setattr(parts, "_SECONDS", 0.0)
    monkeypatch.setattr(parts, "_SHARE", 0.0)
    left: list[int] = []
    read = ClipDataset.read

    def reading(self: ClipDataset, index: int, rng: Any = None) -> Any:
        if left and left[0] == 0:
            left.clear()
            raise StoppedError
        if left:
            left[0] -= 1
        return read(self, index, rng)

    monkeypatch.setattr(ClipDataset, "read", reading)
    return left


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_stopped_infer_goes_on_and_writes_what_an_unbroken_one_does(
    clip_data: World,  # noqa: F811
    killed_at: list[int],
    capsys: pytest.CaptureFixture[str],
    form: str,
) -> None:
    words = ["infer", "--weights", clip_data.weights, "--filelist", long_list(clip_data, 3)]
    words += ["--format", form, "--set", "INFER.num_workers=0"]
    run(capsys, *words, "--save-dir", "whole")
    for count, before in ((5, 0), (7, 4)):
        killed_at.append(count)
        with pytest.raises(StoppedError):
            main([str(word) for word in [*words, "--save-dir", "parts"]])
        said = capsys.readouterr().out
        assert (f"going on: {before} of 15 were done" in said) == bool(before)
    assert list(Path("parts").glob("*.json")) == []
    assert "going on: 10 of 15 were done" in run(capsys, *words, "--save-dir", "parts")
    names = [RESULTS[0], f"TSN_infer_result.{form}", RESULTS[2]]
    assert sorted(p.name for p in Path("parts").iterdir()) == sorted(names)
    for name in names:
        assert (Path("parts") / name).read_bytes() == (Path("whole") / name).read_bytes()


def test_a_stopped_test_goes_on_with_equal_numbers(
    clip_data: World,  # noqa: F811
    killed_at: list[int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["test", "--weights", clip_data.weights, "--filelist", long_list(clip_data, 3)]
    run(capsys, *words, "--save-dir", "whole")
    killed_at.append(7)
    with pytest.raises(StoppedError):
        main([str(word) for word in [*words, "--save-dir", "parts"]])
    assert "going on: 6 of 15 were done" in run(capsys, *words, "--save-dir", "parts")
    names = ["TSN_test_predictions.csv", "TSN_test_result.json"]
    assert sorted(p.name for p in Path("parts").iterdir()) == names
    assert (Path("parts") / names[0]).read_bytes() == (Path("whole") / names[0]).read_bytes()
    whole, found = (strict(Path(name) / "TSN_test_result.json") for name in ("whole", "parts"))
    for timed in ("seconds", "videos_per_second"):
        del whole[timed], found[timed]
    assert found == whole


@pytest.mark.parametrize("change", ["weights", "list", "top_k", "video", "damaged part"])
def test_parts_of_something_else_are_not_used(
    clip_data: World,  # noqa: F811
    killed_at: list[int],
    capsys: pytest.CaptureFixture[str],
    change: str,
) -> None:
    lines = clip_data.listing.read_text().splitlines()
    own = Path("own.mp4")
    own.write_bytes(clip_data.files[0].read_bytes())
    listing = write_list(Path("a.list"), [f"{own} 0", *lines[1:]])
    words = ["infer", "--weights", clip_data.weights, "--filelist", listing]
    killed_at.append(4)
    with pytest.raises(StoppedError):
        main([str(word) for word in words])
    if change == "weights":
        words[2] = Path("other.safetensors")
        changed = load_native(clip_data.weights)
        changed.state_dict["fc.bias"] = changed.state_dict["fc.bias"] + 1
        save_native(words[2], changed)
    elif change == "list":
        write_list(listing, [f"{own} 0", *reversed(lines[1:])])
    elif change == "top_k":
        words += ["--infer-topk", 1]
    elif change == "video":
        own.write_bytes(clip_data.files[1].read_bytes())
    else:
        (part,) = Path("TSN_infer_result.parts").glob("*-*2-*.part")
        part.write_bytes(part.read_bytes()[:-1])
    assert "going on: 4" not in run(capsys, *words)
    found = [RESULTS[1], *(r["video"] for r in strict(RESULTS[1]))]
    run(capsys, *words)
    assert found == [RESULTS[1], *(r["video"] for r in strict(RESULTS[1]))]
    assert not Path("TSN_infer_result.parts").exists()


def test_two_runs_do_not_write_one_result(
    clip_data: World,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("infer", clip_data.files[0], "--weights", clip_data.weights)
    Path("TSN_infer_result.parts").mkdir()
    with FileLock("TSN_infer_result.parts/lock"):
        said = run(capsys, *words, code=2)
    assert "is being written by another process" in said
    run(capsys, *words)
    assert sorted(p.name for p in Path().iterdir()) == RESULTS


def test_scores_that_mean_nothing_are_warned_of(
    clip_data: World,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    one = write_list(Path("one.list"), clip_data.listing.read_text().splitlines()[:1])
    words = ("test", "--weights", clip_data.weights)
    said = " ".join(run(capsys, *words, "--filelist", one).split())
    notes = strict("TSN_test_result.json")["notes"]
    assert [note in said for note in notes] == [not note.startswith("top-5") for note in notes]
    assert "only 1 video was evaluated: each is 100% of the score" in notes
    assert "top-5 means nothing: of 3 classes every answer is among five" in notes
    assert "no video of 2 of 3 classes: run, swim was evaluated; no score tells of them" in notes
    assert "top-5" not in said  # it is no column of the table
    assert "WARNING" not in said


def test_a_class_that_cannot_be_read_and_a_large_share_are_named(
    clip_data: World,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("bad.mp4").write_bytes(b"no video")
    lines = [line for line in clip_data.listing.read_text().splitlines() if line[-1] != "2"]
    listing = write_list(Path("some.list"), [*lines, "bad.mp4 2", "bad.mp4 2"])
    words = ("--weights", clip_data.weights, "--filelist", listing)
    said = run(capsys, "test", *words, code=2)
    assert "not one of the 2 videos of class swim could be read" in said
    assert said.rstrip().splitlines()[-1].startswith("WARNING: 2 of 6 samples (33%) cannot be read")
    said = run(capsys, "infer", *words, code=2)
    assert said.rstrip().splitlines()[-1].startswith("WARNING: 2 of 6 samples (33%) cannot be read")


def test_too_little_memory_for_a_sample_costs_that_sample(
    clip_data: World,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = ClipDataset.read

    def too_large(self: ClipDataset, index: int, rng: Any = None) -> Any:
        if index == 1:
            raise MemoryError
        if index == 2:
            raise OSError(5, "Input/output error")
        return read(self, index, rng)

    monkeypatch.setattr(ClipDataset, "read", too_large)
    run(capsys, "infer", *clip_data.files, "--weights", clip_data.weights, code=2)
    reasons = [one["reason"] for one in strict("TSN_infer_summary.json")["unreadable"]]
    assert reasons == [
        "there is too little memory to read it",
        "cannot be read: Input/output error",
    ]


COMMAND = [sys.executable, "-m", "videozoo"]


def started(*words: object) -> subprocess.Popen[str]:
    given = [*COMMAND, *map(str, words)]
    return subprocess.Popen(given, stdout=-1, stderr=subprocess.STDOUT, text=True)


def readers_of(process: subprocess.Popen[str]) -> list[int]:
    """Waits for the two readers of a command; returns their ids."""
    while process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if len(children) == 2:
            return [int(child) for child in children]
        time.sleep(0.02)
    raise AssertionError(process.communicate()[0])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children are found in /proc")
@pytest.mark.parametrize("kind", ["infer", "test", "train"])
@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGSTOP])
def test_a_run_outlives_its_readers(clip_data: World, kind: str, by: int) -> None:  # noqa: F811
    words: list[object] = [kind, "--model-name", "TSN", "--config", clip_data.config]
    section = kind.upper()
    words += ["--set", f"{section}.num_workers=2", "--set", f"{section}.reader_timeout=2"]
    listing = long_list(clip_data, 60)
    if kind == "train":
        words += ["--set", f"TRAIN.filelist={listing}", "--pretrain", "none", "--epoch-num", 1]
    else:
        words += ["--weights", clip_data.weights, "--filelist", listing]
    process = started(*words)
    victim = readers_of(process)[1]
    time.sleep(0.5)
    os.kill(victim, by)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "Traceback" not in said
    if by == signal.SIGKILL:  # one that stands still may not be needed: the other one is enough
        assert "a reader process" in said
    assert "unreadable: " not in said


@pytest.mark.slow
def test_a_killed_infer_goes_on(clip_data: World) -> None:  # noqa: F811
    words = ["infer", "--weights", clip_data.weights, "--filelist", long_list(clip_data, 200)]
    whole, killed = started(*words, "--save-dir", "whole"), None
    assert whole.wait() == 0
    for _ in range(3):
        killed = started(*words, "--save-dir", "parts")
        seen = len(list(Path("parts").glob("*.parts/*.part")))
        while killed.poll() is None and len(list(Path("parts").glob("*.parts/*.part"))) == seen:
            time.sleep(0.02)
        killed.kill()
        killed.communicate()
    last = started(*words, "--save-dir", "parts")
    said, _ = last.communicate()
    assert last.returncode == 0
    assert "going on: " in said or (Path("parts") / RESULTS[1]).exists()
    for name in RESULTS:
        assert (Path("parts") / name).read_bytes() == (Path("whole") / name).read_bytes()
    assert sorted(p.name for p in Path("parts").iterdir()) == RESULTS


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="pipes of a shell")
def test_printing_stops_where_nobody_reads_and_the_work_goes_on(
    clip_data: World,  # noqa: F811
) -> None:
    words = [*COMMAND, "infer", "--weights", str(clip_data.weights), "--log-interval", "1"]
    process = subprocess.Popen([*words, *map(str, clip_data.files)], stdout=-1, stderr=-1)
    assert process.stdout is not None
    assert process.stdout.readline().startswith(b"infer ")
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 141
    assert len(strict(RESULTS[1])) == 5
