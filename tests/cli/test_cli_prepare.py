"""videozoo prepare clips."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command

from tiny import World, write_list
from videos import write_video
from videozoo.video.stream import VideoStream

KILLED = """
import os, signal
from videozoo.cli.main import main
from videozoo.video.stream import VideoStream
decode = VideoStream.decode
def deadly(self, packet):
    if self.path.name == "2.mp4" and packet is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(self, packet)
VideoStream.decode = deadly
main(["prepare", "clips", "in", "out", "--workers", "1"])
"""


def statuses() -> list[str]:
    with open("out/prepare.csv", newline="", encoding="utf-8") as file:
        return [row["status"] for row in csv.DictReader(file)]


def some_videos(number: int) -> None:
    Path("in/a").mkdir(parents=True)
    for i in range(number):
        write_video(Path(f"in/a/{i}.mp4"), 3 + i)


def test_a_list_is_prepared_and_trained_on(command: Command, clip_data: World) -> None:
    done = command("prepare", "clips", clip_data.listing, "out", "--preset", "ultrafast")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith("prepare 5/5 ")
    assert lines[1].startswith("5 listed, 5 prepared, 0 unreadable; ")
    assert lines[1].endswith("; report: out/prepare.csv")
    assert lines[2] == "train on: out/clips.list"
    words = ("--config", clip_data.config, "--weights", clip_data.weights)
    old = command("test", *words)
    new = command("test", *words, "--filelist", "out/clips.list")
    assert (old.code, new.code) == (0, 0)
    assert "5 of 5 videos evaluated" in new.out
    done = command("train", "--config", clip_data.config, "--set", "TRAIN.filelist=out/clips.list")
    assert done.code == 0


def test_unreadable_videos_are_named(command: Command) -> None:
    some_videos(2)
    Path("in/a/bad[1].mp4").write_bytes(b"no video")
    done = command("prepare", "clips", "in", "out", "--workers", 1)
    assert done.code == 2
    assert "unreadable: 1" in done.out
    path = Path("in/a/bad[1].mp4").absolute()
    assert f"  {path}: cannot be opened as a video: " in done.out
    assert "3 listed, 2 prepared, 1 unreadable; " in done.out
    assert statuses() == ["ok", "ok", "unreadable"]


def test_options_may_be_cut_short_behind_a_command_of_a_group(command: Command) -> None:
    some_videos(1)
    done = command("prepare", "clips", "--short_si=32", "in", "out", "--pre", "ultrafast")
    assert done.code == 0
    assert '"short_side": 32' in Path("out/prepare.json").read_text()
    done = command("prepare", "clips", "in", "out", "--short", "32")
    assert (done.code, done.err) == (
        2,
        "error: out: was prepared with preset ultrafast, not with preset faster; give the same"
        " settings or another folder\n",
    )


def test_faults_of_what_was_typed(command: Command) -> None:
    some_videos(1)
    done = command("prepare", "clips", "nowhere", "out")
    assert done.code == 2
    assert done.err.startswith("error: nowhere: no such list or folder")
    done = command("prepare", "clips", "in", "in/out")
    assert done.err.startswith("error: in/out: lies in in")
    assert command("prepare", "clips", "in").code == 2
    assert command("prepare", "klips", "in", "out").code == 2
    assert command("prepare", "clips", "in", "out", "--crf", "99").err == (
        "error: --crf 99: give a number from 1 (best) to 51\n"
    )
    assert not Path("out").exists()


def test_ctrl_c_ends_in_a_sentence(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    some_videos(3)
    decode = VideoStream.decode

    def stop(self, packet):  # type: ignore[no-untyped-def]
        if self.path.name == "1.mp4":
            raise KeyboardInterrupt
        return decode(self, packet)

    with monkeypatch.context() as patch:
        patch.setattr(VideoStream, "decode", stop)
        done = command("prepare", "clips", "in", "out", "--workers", 1)
    assert done.code == 130
    assert done.out.endswith("stopped; the same command goes on where it was\n")
    done = command("prepare", "clips", "in", "out", "--workers", 1)
    assert done.code == 0
    assert "3 listed, 3 prepared (1 of them before), 0 unreadable" in done.out


def test_a_killed_run_goes_on(command: Command) -> None:
    some_videos(4)
    write_video(Path("in/a/2.mp4"), 90)  # long enough for the encoder to have begun to write
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True)
    assert done.returncode == -9
    assert sorted(p.name for p in Path("out/a").glob("*.mp4")) == ["0.mp4", "1.mp4"]
    assert list(Path("out/a").glob(".*.mp4.part"))
    again = command("prepare", "clips", "in", "out")
    assert again.code == 0
    assert "4 listed, 4 prepared (2 of them before), 0 unreadable" in again.out
    assert statuses() == ["ok"] * 4
    assert sorted(p.name for p in Path("out/a").iterdir()) == [f"{i}.mp4" for i in range(4)]


def test_kinetics_beside_another_folder(command: Command) -> None:
    Path("videos").mkdir()
    write_video(Path("videos/x_000001_000011.mp4"), 4)
    write_list(Path("v.csv"), ["label,youtube_id,time_start,time_end,split", "a,x,1,11,val"])
    done = command("prepare", "clips", "v.csv", "out", "--video-folder", "videos")
    assert done.code == 0
    assert Path("out/x_000001_000011.mp4").exists()
    assert Path("out/v.csv").read_text() == Path("v.csv").read_text()


def test_help_tells_a_newcomer_what_to_do(command: Command) -> None:
    said = command("prepare", "clips", "--help").out
    for word in ("INPUT", "OUT", "--short-side", "--video-folder", "prepare.csv"):
        assert word in said
    assert "clips" in command("prepare", "--help").out
