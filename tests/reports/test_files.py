"""Result files: whole or not there."""

from __future__ import annotations

import csv
import json
import os
import pickle
from pathlib import Path

import pytest

from videozoo.errors import VideozooError
from videozoo.reports.files import write_bytes, write_csv, write_json, write_pickle


def test_files_hold_what_was_given(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    write_json(folder / "a.json", {"é": [1.5, None], "b": "x"})
    assert json.loads((folder / "a.json").read_text(encoding="utf-8")) == {
        "é": [1.5, None],
        "b": "x",
    }
    assert "é" in (folder / "a.json").read_text(encoding="utf-8")
    rows = [["a, b", 1], ['say "x"\nno', 2]]
    write_csv(folder / "a.csv", ["name", "n"], rows)
    with (folder / "a.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["name", "n"], ["a, b", "1"], ['say "x"\nno', "2"]]
    write_pickle(folder / "a", [("v", [0.5], [1])])
    raw = (folder / "a").read_bytes()
    assert pickle.loads(raw) == [("v", [0.5], [1])]
    assert raw[:2] == b"\x80\x02"  # the protocol that Python 2 reads
    assert sorted(p.name for p in folder.iterdir()) == ["a", "a.csv", "a.json"]


def test_names_that_are_no_utf8_are_written_as_they_are(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    write_csv(tmp_path / "a.csv", ["video"], [[name]])
    assert b"caf\xe9.mp4" in (tmp_path / "a.csv").read_bytes()


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    write_bytes(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(VideozooError, match=r"a\.json: cannot be written: No space left"):
        write_bytes(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.json", b"old")]


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(VideozooError, match="cannot be written"):
        write_json(tmp_path / "results" / "a.json", {})
