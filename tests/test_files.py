"""Files: whole or not there."""

from __future__ import annotations

import csv
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from videozoo.errors import VideozooError
from videozoo.files import (
    cache_home,
    link_or_copy,
    replacing,
    write_bytes,
    write_csv,
    write_json,
    write_pickle,
)
from videozoo.reading import read_rows


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


def test_bytes_of_names_that_are_no_utf8_are_written_as_escapes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    write_csv(tmp_path / "a.csv", ["video"], [[name]])
    assert read_rows(tmp_path / "a.csv") == [["video"], [r"caf\xe9.mp4"]]
    write_json(tmp_path / "a.json", {name: [name, "\ud800", "\N{BIRD}"]})
    text = (tmp_path / "a.json").read_text("utf-8")
    assert json.loads(text) == {r"caf\xe9.mp4": [r"caf\xe9.mp4", r"\ud800", "\N{BIRD}"]}


def test_no_cell_is_a_formula_and_numbers_stay_numbers(tmp_path: Path) -> None:
    texts = ["=1+1", "+x", "-x", "@x", "\t=x", "'=x", "'x", "x=1", "-", "", "a\nb", '"q"']
    numbers = ["-1.5", "+3", "-1e-05", "-inf", "0"]
    write_csv(tmp_path / "a.csv", ["name", "n"], [(text, -2.5) for text in texts + numbers])
    assert [row[0] for row in read_rows(tmp_path / "a.csv")][1:] == texts + numbers
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        cells = list(csv.reader(file))[1:]
    assert [row[0] for row in cells[:5]] == ["'=1+1", "'+x", "'-x", "'@x", "'\t=x"]
    assert [row[0] for row in cells[len(texts) :]] == numbers
    assert {row[1] for row in cells} == {"-2.5"}


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


def test_a_failed_block_leaves_nothing_of_a_file_or_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a"

    def fail_after(make: Callable[[Path], None]) -> None:
        with replacing(path) as temporary:
            make(temporary)
            raise ZeroDivisionError

    for make in (Path.touch, Path.mkdir):
        with pytest.raises(ZeroDivisionError):
            fail_after(make)
        assert list(path.parent.iterdir()) == []
    with replacing(path) as temporary:
        temporary.mkdir()
        (temporary / "inside").touch()
    assert [p.name for p in path.rglob("*")] == ["inside"]


@pytest.mark.parametrize("links", [True, False])
def test_a_second_name_or_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(b"one")
    second.write_bytes(b"old")
    if not links:

        def refuse(*_: object) -> None:
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    for _ in range(2):  # again over itself
        link_or_copy(first, second)
        assert (second.read_bytes(), second.samefile(first)) == (b"one", links)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["first", "second"]


def test_where_everything_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEOZOO_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_home() == tmp_path / "caches" / "videozoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_home() == tmp_path / ".cache" / "videozoo"
    monkeypatch.setenv("VIDEOZOO_HOME", "~/kept")
    assert cache_home() == tmp_path / "kept"
    monkeypatch.setenv("VIDEOZOO_HOME", "~nobody-of-that-name/kept")
    with pytest.raises(VideozooError, match="there is no such user"):
        cache_home()


def test_temporary_names_cannot_be_guessed_and_links_there_are_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, victim = tmp_path / "a.json", tmp_path / "victim"
    names = set()
    for _ in range(9):
        with replacing(path) as temporary:
            names.add(temporary.name)
            temporary.touch()
    assert len(names) == 9
    assert min(map(len, names)) > len(".a.json..tmp") + 15
    victim.write_bytes(b"dear")
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    (tmp_path / ".a.json.guessed.tmp").symlink_to(victim)
    with pytest.raises(VideozooError, match=r"a\.json: cannot be written"):
        write_bytes(path, b"new")
    assert victim.read_bytes() == b"dear"
    monkeypatch.undo()
    path.unlink()
    path.symlink_to(victim)
    write_bytes(path, b"new")  # takes the place of the link
    assert (path.is_symlink(), path.read_bytes(), victim.read_bytes()) == (False, b"new", b"dear")
