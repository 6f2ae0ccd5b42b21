from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def inputs() -> Path:
    """Small files like those with which people met a fault: lists, folders, records, videos."""
    return Path(__file__).with_name("inputs")
