"""Scans: every sample read once, also when the scan was stopped."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from videozoo.errors import SampleError, VideozooError
from videozoo.reports.scan import scan_samples

Report = Callable[[int, int], None]


class Source:
    """Samples of which some cannot be used; notes which were read."""

    def __init__(self, length: int, bad: dict[int, Exception], prefix: str = "clip") -> None:
        self.length = length
        self.bad = bad
        self.prefix = prefix
        self.read_ones: list[int] = []

    def __len__(self) -> int:
        return self.length

    def name(self, index: int) -> str:
        return f"{self.prefix} {index}.mp4"

    def read(self, index: int, rng: object) -> Any:
        assert rng is None
        self.read_ones.append(index)
        if index in self.bad:
            raise self.bad[index]
        return object()


BAD = {2: SampleError('cut, "off"\nin the middle'), 5: VideozooError("label 9 is out of range")}


def scan(source: Source, out: Path, **changed: Any) -> list[tuple[str, str]]:
    chosen: dict[str, Any] = {"workers": 1, "restart": False, "report": lambda done, total: None}
    return scan_samples(source, out, **{**chosen, **changed})  # type: ignore[arg-type]


def table(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.reader(file))


def stop_after(count: int) -> Report:
    def report(done: int, total: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return report


def wanted(length: int) -> list[list[str]]:
    rows = [["index", "sample", "status", "reason"]]
    for i in range(length):
        reason = str(BAD.get(i, ""))
        rows.append([str(i), f"clip {i}.mp4", "unusable" if reason else "ok", reason])
    return rows


def test_every_sample_has_its_row(tmp_path: Path) -> None:
    source, told = Source(7, dict(BAD)), []
    out = tmp_path / "new" / "scan.csv"
    found = scan(source, out, report=lambda done, total: told.append((done, total)))
    assert found == [(row[1], row[3]) for row in wanted(7)[1:]]
    assert table(out) == wanted(7)
    assert told == [(i, 7) for i in range(1, 8)]
    assert source.read_ones == list(range(7))
    assert [p.name for p in out.parent.iterdir()] == ["scan.csv"]


def test_many_processes_find_the_same(tmp_path: Path) -> None:
    scan(Source(12, dict(BAD)), tmp_path / "scan.csv", workers=2)
    assert table(tmp_path / "scan.csv") == wanted(12)


@pytest.mark.parametrize("stops", [(1,), (3,), (6,), (2, 4)])
def test_a_stopped_scan_goes_on(tmp_path: Path, stops: tuple[int, ...]) -> None:
    source, out = Source(7, dict(BAD)), tmp_path / "scan.csv"
    for count in stops:
        with pytest.raises(KeyboardInterrupt):
            scan(source, out, report=stop_after(count))
        assert not out.exists()
    scan(source, out)
    assert source.read_ones == list(range(7))  # each once
    assert table(out) == wanted(7)
    assert [p.name for p in tmp_path.iterdir()] == ["scan.csv"]


@pytest.mark.parametrize("cut", range(1, 60, 3))
def test_a_half_written_line_is_read_again(tmp_path: Path, cut: int) -> None:
    """The machine stops within a write: the end of what was found is missing."""
    source, out = Source(7, dict(BAD)), tmp_path / "scan.csv"
    with pytest.raises(KeyboardInterrupt):
        scan(source, out, report=stop_after(3))
    part = tmp_path / "scan.csv.part"
    part.write_bytes(part.read_bytes()[:-cut])
    with pytest.raises(KeyboardInterrupt):
        scan(source, out, report=stop_after(5))
    scan(source, out)
    assert table(out) == wanted(7)


def test_restart_and_another_list_read_all_again(tmp_path: Path) -> None:
    out = tmp_path / "scan.csv"
    for changed, prefix in (({"restart": True}, "clip"), ({}, "other")):
        with pytest.raises(KeyboardInterrupt):
            scan(Source(7, dict(BAD)), out, report=stop_after(3))
        source = Source(7, {}, prefix)
        scan(source, out, **changed)
        assert source.read_ones == list(range(7))
        assert {row[2] for row in table(out)[1:]} == {"ok"}


def test_a_finished_scan_begins_anew(tmp_path: Path) -> None:
    source = Source(3, {})
    for _ in range(2):
        scan(source, tmp_path / "scan.csv")
    assert source.read_ones == [0, 1, 2, 0, 1, 2]


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    source, out = Source(3, {1: SampleError("bad")}, os.fsdecode(b"caf\xe9")), tmp_path / "s.csv"
    with pytest.raises(KeyboardInterrupt):
        scan(source, out, report=stop_after(2))
    scan(source, out)
    assert source.read_ones == [0, 1, 2]
    assert [row[1] for row in table(out)[1:]] == [rf"caf\xe9 {i}.mp4" for i in range(3)]


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    source = Source(3, {})
    with pytest.raises(VideozooError, match="cannot be written"):
        scan(source, tmp_path / "file" / "scan.csv")
    assert source.read_ones == []


def test_a_fault_of_the_reader_is_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        scan(Source(3, {1: ZeroDivisionError()}), tmp_path / "scan.csv")
