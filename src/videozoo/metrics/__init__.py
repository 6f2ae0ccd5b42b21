"""What tells how good a model is."""

from videozoo.metrics.clips import ClipMetrics
from videozoo.metrics.youtube8m import YouTube8MMetrics

__all__ = ["ClipMetrics", "YouTube8MMetrics"]
