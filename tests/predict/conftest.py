from __future__ import annotations

from pathlib import Path

import pytest

from tiny import clip_data, feature_data  # noqa: F401 (fixtures)


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
