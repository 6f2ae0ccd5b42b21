from __future__ import annotations

from tiny import clip_data  # noqa: F401 (a fixture)
