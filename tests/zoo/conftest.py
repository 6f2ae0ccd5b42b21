from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import hub  # noqa: F401 (a fixture)

from cli.commands import run  # noqa: F401 (a fixture)
from tiny import clip_data, feature_data  # noqa: F401 (fixtures)


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("VIDEOZOO_ZOO_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
