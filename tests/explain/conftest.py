from __future__ import annotations

from pathlib import Path

import pytest

from toy_encoder import ToyEncoder
from videozoo.encoders import find


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ToyEncoder:
    """The encoder of all recipes; it counts what it is asked."""
    encoder = ToyEncoder()
    monkeypatch.setattr(find, "open_encoder", lambda name, device: encoder)
    monkeypatch.setenv("VIDEOZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return encoder
