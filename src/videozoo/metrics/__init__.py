"""What tells how good a model is; torchmetrics, which takes a second, comes with the first name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videozoo.metrics.clips import ClipMetrics
    from videozoo.metrics.multi_label import MultiLabelMetrics
    from videozoo.metrics.youtube8m import YouTube8MMetrics

__all__ = ["ClipMetrics", "MultiLabelMetrics", "YouTube8MMetrics"]

_PLACES = {
    "ClipMetrics": "videozoo.metrics.clips",
    "MultiLabelMetrics": "videozoo.metrics.multi_label",
    "YouTube8MMetrics": "videozoo.metrics.youtube8m",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'videozoo.metrics' has no attribute '{name}'")
