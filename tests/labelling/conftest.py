from __future__ import annotations

import pytest

pytest.importorskip("starlette", reason="videozoo[app] is not installed")
