"""Data sets of videos, and what makes batches of them.

`ClipDataset` and `YouTube8MDataset` are PyTorch data sets: give them to a `DataLoader`. Their lists
come from `read_listing` and `list_shards`; `normalise_clips` and `dequantise` make floats of the
bytes in their batches.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videozoo.data.clips.clip_list import read_listing as read_listing
    from videozoo.data.clips.dataset import ClipDataset as ClipDataset
    from videozoo.data.dataset import VideoDataset as VideoDataset
    from videozoo.data.transforms import dequantise as dequantise
    from videozoo.data.transforms import normalise_clips as normalise_clips
    from videozoo.data.youtube8m.dataset import YouTube8MDataset as YouTube8MDataset
    from videozoo.data.youtube8m.shards import list_shards as list_shards

_HOMES = {
    "ClipDataset": "videozoo.data.clips.dataset",
    "VideoDataset": "videozoo.data.dataset",
    "YouTube8MDataset": "videozoo.data.youtube8m.dataset",
    "dequantise": "videozoo.data.transforms",
    "list_shards": "videozoo.data.youtube8m.shards",
    "normalise_clips": "videozoo.data.transforms",
    "read_listing": "videozoo.data.clips.clip_list",
}
__all__ = [
    "ClipDataset",
    "VideoDataset",
    "YouTube8MDataset",
    "dequantise",
    "list_shards",
    "normalise_clips",
    "read_listing",
]


def __getattr__(name: str) -> Any:
    # Importing them takes PyTorch, which a command's help can do without.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
