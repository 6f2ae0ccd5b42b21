"""What tells how good a model is."""

from videozoo.metrics.clips import ClipMetrics
from videozoo.metrics.multi_label import MultiLabelMetrics
from videozoo.metrics.youtube8m import YouTube8MMetrics

__all__ = ["ClipMetrics", "MultiLabelMetrics", "YouTube8MMetrics"]
