"""What the tests of this folder share."""

from __future__ import annotations

from tiny import clip_data, feature_data

__all__ = ["clip_data", "feature_data"]
