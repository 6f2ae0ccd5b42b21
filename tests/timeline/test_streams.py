"""A pipe and an address are scored as they come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from served import Served, serving
from timeline_worlds import predictor_of, write_numbers
from tiny import clip_world
from toy_encoder import ToyEncoder
from videozoo.errors import SampleError
from videozoo.predict import Predictor
from videozoo.timeline import rows

MKV = {"g": "5"}


def lines(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("model", ["TSN", "AttentionLSTM"])
@pytest.mark.parametrize("length", [None, -1])
def test_an_address_scores_as_its_file(tmp_path: Path, model: str, length: int | None) -> None:
    predictor = predictor_of(model, tmp_path, rate=5.0)
    path = write_numbers(tmp_path / "a.mkv", range(75))
    own = list(predictor.timeline(path, window=1.0, stride=0.4))
    with serving({"a.mkv": Served(path.read_bytes(), length=length)}) as site:
        other = list(predictor.timeline(site.url("a.mkv"), window=1.0, stride=0.4))
    assert len(own) == len(other) == 6
    for a, b in zip(own, other, strict=True):
        assert (a.start, a.end) == (b.start, b.end)
        np.testing.assert_allclose(a.scores, b.scores, atol=1e-6)


def test_an_address_that_breaks_off_ends_there_and_says_so(tmp_path: Path) -> None:
    predictor = predictor_of("AttentionLSTM", tmp_path, rate=5.0)
    path = write_numbers(tmp_path / "a.mkv", range(75))
    data, said = path.read_bytes(), list[str]()
    with serving({"a.mkv": Served(data, stops=[len(data) // 2] * 20)}) as site:
        found = list(predictor.timeline(site.url("a.mkv"), window=0.4, stride=0.4, say=said.append))
    assert 2 <= len(found) <= 5
    with (
        serving({}) as site,
        pytest.raises(SampleError, match=r"none.mkv: cannot be opened as a video"),
    ):
        list(predictor.timeline(site.url("none.mkv")))


def test_an_address_leads_to_no_file_of_this_machine(tmp_path: Path) -> None:
    predictor = predictor_of("TSN", tmp_path)
    path = write_numbers(tmp_path / "a.ts", range(25), codec="libx264")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{path}\n#EXT-X-ENDLIST\n"
    with serving({"a.m3u8": Served(playlist.encode())}) as site, pytest.raises(SampleError):
        list(predictor.timeline(site.url("a.m3u8")))


def test_a_stream_is_scored_while_it_comes(
    tmp_path: Path, toy: ToyEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "PATIENCE", 0.0)
    toy.batch = 4
    predictor = predictor_of("AttentionLSTM", tmp_path, rate=5.0)
    path = write_numbers(tmp_path / "a.ts", range(200), codec="libx264", options=MKV)  # 8 s
    times = _fed(path, predictor, 0.3)
    assert len(times) == 8
    assert times[0] < times[-1] - 1.0  # the first ones do not wait for the last ones


def _fed(path: Path, predictor: Predictor, pause: float) -> list[float]:
    """Writes a file to the standard input, in eight parts; returns when windows came."""
    reading, writing = os.pipe()
    before = os.dup(0)
    os.dup2(reading, 0)
    os.close(reading)
    data = path.read_bytes()

    def write() -> None:
        with open(writing, "wb", buffering=0) as pipe:
            for part in np.array_split(np.frombuffer(data, np.uint8), 8):
                pipe.write(part.tobytes())
                time.sleep(pause)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        return [time.monotonic() for _ in predictor.timeline("-", window=1.0, stride=1.0)]
    finally:
        thread.join()
        os.dup2(before, 0)
        os.close(before)


def test_the_command_reads_a_pipe(tmp_path: Path) -> None:
    world = clip_world(tmp_path)
    path = write_numbers(tmp_path / "long.mkv", range(75))
    command = [sys.executable, "-m", "videozoo", "infer", "-", "--timeline", "--window", "1",
               "--stride", "1", "--weights", str(world.weights)]  # fmt: skip
    done = subprocess.run(command, stdin=path.open("rb"), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = lines(done.stdout)
    assert [(one["start"], one["end"]) for one in found] == [(0, 1), (1, 2), (2, 3)]
    assert not list(tmp_path.glob("*infer_timeline*"))
    broken = subprocess.run(command, input="no video", capture_output=True, text=True)
    assert broken.returncode == 2
    assert "-: cannot be opened as a video" in broken.stderr
    assert "Traceback" not in broken.stderr
