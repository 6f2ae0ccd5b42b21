from __future__ import annotations

from pathlib import Path

import pytest

# Fixtures that tests of several folders share.
from tiny import clip_data, feature_data  # noqa: F401


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOZOO_CACHE", str(tmp_path / "cache"))
