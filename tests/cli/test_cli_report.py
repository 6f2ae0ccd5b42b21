"""The command `videozoo report`."""

from __future__ import annotations

from pathlib import Path

from commands import Command

from report_worlds import write_result


def test_the_page_is_written_and_its_path_printed(command: Command, tmp_path: Path) -> None:
    write_result(tmp_path / "run")
    done = command("report", "run", "--compare", "run", "--out", "pages/one.html")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "written to pages/one.html"
    assert "Beside LINEAR of run" in (tmp_path / "pages" / "one.html").read_text()


def test_a_folder_without_a_result_is_one_sentence(command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = command("report", "empty")
    assert done.code == 2
    assert done.err.startswith("error: empty: holds no result of a test; make one: videozoo test")
    assert done.out == ""
