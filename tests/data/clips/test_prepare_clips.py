"""Folders and lists of clips are prepared whole, once, and nothing is lost or overwritten."""

from __future__ import annotations

import csv
import json
import os
from collections import deque
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pieces
import pytest

from videos import write_video
from videozoo.data.clips import prepare_clips as module
from videozoo.data.clips.clip_list import read_listing
from videozoo.data.clips.prepare_clips import Job, Prepared, PreparedClip, prepare_clips
from videozoo.errors import VideozooError
from videozoo.video.reader import read_frames
from videozoo.video.write import Encoding, WrittenClip

ENCODING = Encoding(preset="ultrafast")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three classes; video i has i frames; one cannot be read, alone in its class."""
    for i, name in enumerate(("swim/a.avi", "swim/deep/b.mp4", "run/c d.mkv"), 2):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, i)
    (tmp_path / "data" / "jump").mkdir()
    (tmp_path / "data" / "jump" / "bad.mp4").write_bytes(b"no video")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names the files that are encoded."""
    names: list[str] = []
    write = module.write_clip

    def spy(source: Path, target: Path, *, encoding: Encoding) -> WrittenClip:
        names.append(source.name)
        return write(source, target, encoding=encoding)

    monkeypatch.setattr(module, "write_clip", spy)
    return names


def prepare(source: Path | str, out: Path | str = "out", **more: object) -> Prepared:
    return prepare_clips(Path(source), Path(out), encoding=ENCODING, workers=1, **more)  # type: ignore[arg-type]


def length(path: Path) -> int:
    return len(read_frames(path, lambda n: list(range(n))))  # type: ignore[arg-type, return-value]


def report(out: str = "out") -> list[dict[str, str]]:
    with open(f"{out}/prepare.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(out: str = "out") -> list[str]:
    return sorted(str(p.relative_to(out)) for p in Path(out).rglob("*") if p.is_file())


class TestFolders:
    def test_the_tree_stays(self, folder: Path) -> None:
        done = prepare(folder)
        assert files() == [
            "prepare.csv",
            "prepare.json",
            "run/c d.mp4",
            "swim/a.mp4",
            "swim/deep/b.mp4",
        ]
        assert [length(Path("out", f)) for f in files()[2:]] == [4, 2, 3]
        assert [row.status for row in done.rows] == ["unreadable", "ok", "ok", "ok"]
        assert (done.before, done.data) == (0, Path("out"))

    def test_the_report(self, folder: Path) -> None:
        done = prepare(folder)
        rows = report()
        assert [row["new_path"] for row in rows] == [row.new_path for row in done.rows]
        bad, good = rows[0], rows[1]
        assert bad["path"] == str(folder / "jump" / "bad.mp4")
        assert bad["status"] == "unreadable"
        assert "bad.mp4: cannot be opened as a video" in bad["reason"]
        assert good == {
            "path": str(folder / "run" / "c d.mkv"),
            "new_path": "run/c d.mp4",
            "status": "ok",
            "reason": "",
            "frames": "4",
            "width": "64",
            "height": "48",
            "new_width": "64",
            "new_height": "48",
            "bytes": str((folder / "run" / "c d.mkv").stat().st_size),
            "new_bytes": str(Path("out/run/c d.mp4").stat().st_size),
            "modified": str((folder / "run" / "c d.mkv").stat().st_mtime_ns),
        }
        settings = json.loads(Path("out/prepare.json").read_text())
        assert settings["settings"]["preset"] == "ultrafast"
        assert settings["settings"]["short_side"] == 288
        assert settings["videozoo"]

    def test_classes_keep_their_numbers(self, folder: Path) -> None:
        write_video(folder / "jump" / "good.mp4", 2)
        prepare(folder)
        old, new = read_listing(folder), read_listing("out")
        assert new.class_names == old.class_names == ["jump", "run", "swim"]
        labels = {entry.path.stem: entry.labels for entry in old.entries}
        assert {entry.path.stem: entry.labels for entry in new.entries} == {
            stem: label for stem, label in labels.items() if stem != "bad"
        }

    def test_a_class_of_which_nothing_is_left_is_named(self, folder: Path) -> None:
        prepare(folder)
        assert any("no video is taken from it: jump/" in note for note in read_listing("out").notes)

    def test_loose_videos(self, folder: Path) -> None:
        prepare(folder / "swim")
        assert files()[:1] + files()[3:] == ["a.mp4", "prepare.json"]
        assert files()[1] == "deep/b.mp4"

    def test_workers_give_the_same(self, folder: Path) -> None:
        for i in range(8):
            write_video(folder / "run" / f"{i}.mp4", 3)
        one = prepare(folder)
        told: list[tuple[int, int]] = []
        two = prepare_clips(
            folder, Path("two"), encoding=ENCODING, workers=2, report=lambda *n: told.append(n)
        )
        assert one.rows == two.rows
        assert told == [(i, 12) for i in range(1, 13)]
        assert files("two") == files()


class TestLists:
    def test_a_list_of_paths_and_labels(self, folder: Path) -> None:
        lines = ["data/swim/a.avi 2", "data/run/c d.mkv a label", "", "data/jump/bad.mp4 0"]
        Path("train.list").write_text("\n".join(lines))
        done = prepare("train.list")
        here = Path("out").absolute()
        assert done.data == Path("out/train.list")
        assert done.data.read_text().splitlines() == [
            f"{here}/data/swim/a.mp4 2",
            f"{here}/data/run/c d.mp4 a label",
            f"{here}/data/jump/bad.mp4 0",
        ]
        names = ["no", "a label", "yes"]
        old = read_listing("train.list", class_names=names)
        new = read_listing(done.data, class_names=names)
        assert (
            [e.labels for e in new.entries] == [e.labels for e in old.entries] == [(2,), (1,), (0,)]
        )
        assert [length(e.path) for e in new.entries[:2]] == [2, 4]
        assert not new.entries[2].path.exists()  # unreadable, as it was

    def test_a_list_beside_its_videos_names_the_new_ones(self, folder: Path) -> None:
        # the working folder has files of the listed names too: the old ones
        Path("l.list").write_text("data/swim/a.avi 2\n")
        prepare("l.list", folder.parent / "out")
        (entry,) = read_listing("out/l.list").entries
        assert entry.path == folder.parent / "out" / "data" / "swim" / "a.mp4"

    def test_a_csv(self, folder: Path) -> None:
        text = 'id, Label ,path\r\n1,"swim, far",swim/a.avi\r\n\r\n2,run,run/c d.mkv\r\n'
        (folder / "some.csv").write_text(text)
        done = prepare(folder / "some.csv")
        here = Path("out").absolute()
        assert done.data.read_text() == (
            f'id, Label ,path\n1,"swim, far",{here}/swim/a.mp4\n2,run,{here}/run/c d.mp4\n'
        )
        new, old = read_listing(done.data), read_listing(folder / "some.csv")
        assert new.class_names == old.class_names == ["run", "swim, far"]
        assert [e.labels for e in new.entries] == [e.labels for e in old.entries]

    def test_the_csv_of_kinetics(self, folder: Path) -> None:
        videos = Path("videos")
        for stem in ("abc_000001_000011", "x-_000010_000020"):
            (videos / "a class").mkdir(parents=True, exist_ok=True)
            write_video(videos / "a class" / f"{stem}.mkv", 3)
        text = (
            "label,youtube_id,time_start,time_end,split\n"
            "run,abc,1,11,val\nswim,gone,2,12,val\njump,x-,10,20,val\n"
        )
        Path("val.csv").write_text(text)
        done = prepare("val.csv", video_folder=videos)
        assert Path("out/val.csv").read_text() == text
        assert files()[:2] == ["a class/abc_000001_000011.mp4", "a class/x-_000010_000020.mp4"]
        new = read_listing(done.data)  # the videos lie beside it
        old = read_listing("val.csv", video_folder=videos)
        assert [e.labels for e in new.entries] == [e.labels for e in old.entries]
        assert [e.path.exists() for e in new.entries] == [True, False, True]
        assert [row.status for row in done.rows] == ["ok", "unreadable", "ok"]
        assert done.rows[1].reason.endswith("no such file")

    def test_absolute_paths_and_paths_upwards(self, folder: Path) -> None:
        inside, outside = Path("data/lists"), folder / "swim" / "a.avi"
        inside.mkdir()
        lines = [f"{outside} 1", "../run/c d.mkv 0", f"{outside} 1"]
        (inside / "x.list").write_text("\n".join(lines))
        done = prepare(inside / "x.list")
        whole = str(outside.relative_to("/").with_suffix(".mp4"))
        assert done.rows[0].new_path == whole
        assert done.rows[1].new_path.endswith("data/run/c d.mp4")
        assert len(done.rows) == 2  # each file once
        assert len(read_listing(done.data).entries) == 3  # each line

    def test_two_lists_share_a_folder(self, folder: Path, encoded: list[str]) -> None:
        Path("a.list").write_text("data/swim/a.avi 2\ndata/swim/deep/b.mp4 2\n")
        Path("b.list").write_text("data/run/c d.mkv 1\ndata/swim/a.avi 2\n")
        prepare("a.list")
        done = prepare("b.list")
        assert encoded == ["a.avi", "b.mp4", "c d.mkv"]
        assert (len(done.rows), done.before) == (2, 1)
        assert len(report()) == 3
        assert prepare("a.list").before == 2

    def test_another_list_of_the_same_name(self, folder: Path) -> None:
        for place, line in (("one", "data/swim/a.avi 2"), ("two", "data/run/c d.mkv 1")):
            Path(place).mkdir()
            Path(place, "x.list").write_text(line)
        prepare("one/x.list")
        with pytest.raises(VideozooError, match=r"out/x\.list: holds lines of another list of"):
            prepare("two/x.list")


class TestGoingOn:
    def test_only_what_is_missing_or_changed_is_made(
        self, folder: Path, encoded: list[str]
    ) -> None:
        prepare(folder)
        assert encoded == ["bad.mp4", "c d.mkv", "a.avi", "b.mp4"]
        encoded.clear()
        Path("out/swim/a.mp4").unlink()
        half = Path("out/run/c d.mp4")
        half.write_bytes(half.read_bytes()[:-10])
        done = prepare(folder)
        assert encoded == ["bad.mp4", "c d.mkv", "a.avi"]
        assert done.before == 1
        encoded.clear()
        write_video(folder / "swim" / "deep" / "b.mp4", 7)
        assert prepare(folder).rows[3].frames == 7
        assert encoded == ["bad.mp4", "b.mp4"]

    def test_a_stopped_run_goes_on(
        self, folder: Path, encoded: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make = module._prepare

        def stop(job: Job, **more: object) -> PreparedClip:
            if job[1].name == "a.avi":
                raise KeyboardInterrupt
            return make(job, **more)  # type: ignore[arg-type]

        with monkeypatch.context() as patch:
            patch.setattr(module, "_prepare", stop)
            with pytest.raises(KeyboardInterrupt):
                prepare(folder)
        rows = Path("out/prepare.csv")
        assert len(rows.read_text().splitlines()) == 3
        with rows.open("a") as file:
            file.write("half a li")
        left_behind = Path("out/swim/.123.mp4.part")
        left_behind.parent.mkdir(exist_ok=True)
        left_behind.touch()
        encoded.clear()
        assert prepare(folder).before == 1
        assert encoded == ["bad.mp4", "a.avi", "b.mp4"]
        assert [row["status"] for row in report()] == ["unreadable", "ok", "ok", "ok"]
        assert not left_behind.exists()

    def test_what_was_prepared_outlives_its_source(self, folder: Path) -> None:
        Path("x.list").write_text("data/swim/a.avi 2\ndata/run/c d.mkv 1\n")
        prepare("x.list")
        (folder / "swim" / "a.avi").unlink()
        done = prepare("x.list")
        assert [row.status for row in done.rows] == ["ok", "ok"]
        assert Path("out/data/swim/a.mp4").exists()

    def test_a_source_that_is_broken_now_leaves_no_old_clip(self, folder: Path) -> None:
        prepare(folder)
        (folder / "swim" / "a.avi").write_bytes(b"broken")
        assert [row.status for row in prepare(folder).rows].count("unreadable") == 2
        assert not Path("out/swim/a.mp4").exists()


class TestRefusals:
    def refused(self, *arguments: object, **more: object) -> str:
        with pytest.raises(VideozooError) as caught:
            prepare(*arguments, **more)  # type: ignore[arg-type]
        return str(caught.value)

    def test_other_settings(self, folder: Path) -> None:
        prepare(folder)
        before = files()
        with pytest.raises(VideozooError) as caught:
            prepare_clips(folder, Path("out"), encoding=Encoding(preset="ultrafast", gop=2))
        assert str(caught.value) == (
            "out: was prepared with gop 8, not with gop 2; give the same settings or another folder"
        )
        assert files() == before

    def test_one_folder_in_the_other(self, folder: Path) -> None:
        assert "data/out: lies in data" in self.refused("data", "data/out")
        assert "data: lies in data" in self.refused("data", "data")
        assert "lies in ., where the prepared clips go" in self.refused("data", ".")
        os.symlink(folder, "link")
        assert "link/out: lies in data" in self.refused("data", "link/out")
        assert not Path("data/out").exists()

    def test_a_folder_of_something_else(self, folder: Path) -> None:
        Path("out").mkdir()
        Path("out/mine.txt").touch()
        assert "out: holds files, but none of" in self.refused(folder)
        Path("out/prepare.json").write_text('{"made_by": "someone"}')
        assert "out/prepare.json: is not a file of" in self.refused(folder)
        Path("file").touch()
        assert self.refused(folder, "file") == "file: cannot be used: File exists"

    def test_two_clips_of_one_name(self, folder: Path) -> None:
        write_video(folder / "swim" / "a.mkv", 2)
        message = self.refused(folder)
        assert f"{folder}/swim/a.avi and {folder}/swim/a.mkv would both become" in message
        assert not Path("out").exists()

    def test_a_name_that_another_list_has_taken(self, folder: Path) -> None:
        (Path("other") / "data" / "swim").mkdir(parents=True)
        write_video(Path("other/data/swim/a.mp4"), 9)
        Path("a.list").write_text("data/swim/a.avi 2\n")
        Path("other/b.list").write_text("data/swim/a.mp4 2\n")
        prepare("a.list")
        assert "out/data/swim/a.mp4: was made from" in self.refused("other/b.list")
        assert length(Path("out/data/swim/a.mp4")) == 2
        Path("other/data/swim/a.mp4").unlink()  # a clip that is not there is not that one either
        Path("other/b.list").write_text("data/swim/a.mp4 2\ndata/swim/c.mp4 2\n")
        write_video(Path("other/data/swim/c.mp4"), 3)
        assert "out/data/swim/a.mp4: was made from" in self.refused("other/b.list")

    def test_pickles(self, folder: Path) -> None:
        (folder / "swim" / "x.pkl").touch()
        message = self.refused(folder)
        assert message.startswith(f"{folder}/swim/x.pkl: is a pickle (1 of 5 clips are)")

    def test_bad_lists(self, folder: Path) -> None:
        assert "no such list or folder" in self.refused("missing.list")
        Path("prepare.csv").write_text("path,label\ndata/swim/a.avi,1\n")
        assert "prepare.csv: a file of this name is written" in self.refused("prepare.csv")


class TestProcesses:
    def each(self, names: list[str], processes: int) -> list[PreparedClip]:
        out = Path.cwd()
        left = deque((name, Path("/v", name)) for name in names)
        return list(module._each(partial(pieces.prepare, out=out), left, processes, out))

    def test_a_process_that_dies_costs_one_clip(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        names = ["a", "b", "deadly", "c", "d"]
        rows = {row.new_path: row for row in self.each(names, 2)}
        assert sorted(rows) == sorted(names)
        assert rows["deadly"].reason == "/v/deadly: the process that encoded it died"
        assert [rows[name].status for name in names] == ["ok", "ok", "unreadable", "ok", "ok"]
        assert os.listdir() == []

    def test_a_fault_ends_the_work(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(VideozooError, match="the disk is full"):
            self.each(["a", "full", "b", "c"], 2)


def test_a_second_run_into_a_folder_waits_for_the_first(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "videos" / name).mkdir(parents=True)
        write_video(tmp_path / "videos" / name / "one.mp4", 4)
    out = tmp_path / "out"
    seen: list[str] = []

    def report(done: int, total: int) -> None:
        with pytest.raises(VideozooError, match="another run is preparing clips into it"):
            prepare_clips(tmp_path / "videos", out, encoding=ENCODING, workers=1)
        seen.append("refused")

    prepare_clips(tmp_path / "videos", out, encoding=ENCODING, workers=1, report=report)
    assert seen == ["refused"] * 2
    assert not list(out.glob(".*"))
