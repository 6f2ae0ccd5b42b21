from __future__ import annotations

from tiny import clip_data

__all__ = ["clip_data"]
