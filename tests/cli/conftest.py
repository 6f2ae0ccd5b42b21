from __future__ import annotations

from commands import command, surroundings  # noqa: F401 (fixtures)

from tiny import clip_data, feature_data  # noqa: F401 (fixtures)
