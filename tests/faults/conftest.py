from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands import command  # noqa: F401 (a fixture)
from tiny import clip_data, feature_data  # noqa: F401 (fixtures)


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VIDEOZOO_TRACEBACK", "")  # unset again, whatever sets it
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def inputs() -> Path:
    """Small files like those with which people met a fault: lists, folders, records, videos."""
    return Path(__file__).with_name("inputs")
