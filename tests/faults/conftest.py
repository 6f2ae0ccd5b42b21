from __future__ import annotations

from pathlib import Path

import pytest

from cli.commands import command, surroundings  # noqa: F401 (fixtures)
from tiny import clip_data, feature_data  # noqa: F401 (fixtures)


@pytest.fixture(scope="session")
def inputs() -> Path:
    """Small files like those with which people met a fault: lists, folders, records, videos."""
    return Path(__file__).with_name("inputs")
