"""videozoo doctor."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from commands import Command

Needs = Callable[..., None]


@pytest.fixture
def needs(monkeypatch: pytest.MonkeyPatch) -> Needs:
    """Says what videozoo needs in place of its metadata."""

    def say(*lines: str) -> None:
        monkeypatch.setattr("videozoo.cli.doctor.metadata.requires", lambda _: [*lines])

    return say


@pytest.mark.slow  # imports every library of every extra
def test_doctor_finds_all_that_is_needed(command: Command) -> None:
    done = command("doctor")
    assert done.code == 0
    assert "all that videozoo needs works here" in done.out
    for name in ("torch", "gradio", "openvino", "H.264 video", "efficientnet_lite0", "FFmpeg"):
        assert name in done.out


def test_doctor_says_of_each_extra_what_is_installed_and_what_brings_it(
    command: Command, needs: Needs
) -> None:
    lines = {
        "numpy>=1.26": f"numpy │ │ {metadata.version('numpy')} │",
        'Pillow<13; extra == "app"': f"Pillow │ [app] │ {metadata.version('pillow')} │",
        'gone>=6; extra == "app"': "gone │ [app] │ not installed: pip install 'videozoo[app]' │",
        "g-2>=6; python_version > '3' and extra == 'hub'": "g-2 │ [hub] │ not installed: pip",
    }
    needs(*lines, "ruff>=0.6; extra == 'dev'", "videozoo[app]; extra == 'dev'")
    done = command("doctor")
    out = " ".join(done.out.split())
    assert [line for line in lines.values() if line not in out] == []
    assert "ruff" not in out
    assert "all that videozoo needs works here" in out
    assert done.code == 0


def test_doctor_ends_with_1_where_a_needed_library_is_missing(
    command: Command, needs: Needs
) -> None:
    needs("gone>=1")
    done = command("doctor")
    assert "not installed: pip install 'gone'" in done.out
    assert done.code == 1


def test_doctor_shows_why_a_library_does_not_import(
    command: Command, needs: Needs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib-2.0.dist-info").mkdir()
    (tmp_path / "lib-2.0.dist-info" / "METADATA").write_text("Name: lib\nVersion: 2.0\n")
    (tmp_path / "lib-2.0.dist-info" / "top_level.txt").write_text("other_name\n")
    (tmp_path / "other_name.py").write_text("raise OSError('no libfoo.so')\n")
    monkeypatch.syspath_prepend(tmp_path)
    needs("lib>=1")
    done = command("doctor")
    assert "2.0 does not import: OSError: no libfoo.so" in " ".join(done.out.split())
    assert done.code == 1


def test_doctor_tells_what_is_broken(
    command: Command, needs: Needs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> tuple[bool, str]:
        raise RuntimeError("no [encoder]")

    needs("numpy>=1")
    monkeypatch.setattr("videozoo.cli.doctor._round_trip", broken)
    done = command("doctor")
    assert done.code == 1
    assert "no [encoder]" in done.out
    assert "something that videozoo needs does not work here" in done.out
