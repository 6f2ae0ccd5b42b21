"""The scripts of benchmarks/ run; never how fast anything is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tiny import clip_data, feature_data  # noqa: F401 (fixtures)

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.append(str(BENCHMARKS))

Script = Callable[..., str]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Runs `python benchmarks/NAME ARGUMENTS` in a folder of its own; returns what it printed."""
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "cache"))

    def run(name: str, *arguments: object, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, str(BENCHMARKS / name), *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run
