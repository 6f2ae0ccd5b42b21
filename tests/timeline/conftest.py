from __future__ import annotations

from toy_encoder import toy  # noqa: F401 (a fixture of all tests here)
