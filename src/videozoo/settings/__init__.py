"""Every config key, typed: one class a model. The descriptions are the reference of the keys.

A config file has the sections MODEL, TRAIN, VALID, TEST and INFER. A key may stand in any of them;
what stands in MODEL is the default for the four modes. Keys marked "accepted" came with the
original's files and change nothing.
"""

from __future__ import annotations

from videozoo.settings.clips import ClipSettings, StNetSettings, TSNSettings
from videozoo.settings.features import (
    AttentionClusterSettings,
    AttentionLSTMSettings,
    FeatureSettings,
    NeXtVLADSettings,
)
from videozoo.settings.recipe import Settings
from videozoo.settings.shared import COUNT_NOTE, LABEL_KEYS, Count, SharedSettings

__all__ = [
    "COUNT_NOTE",
    "LABEL_KEYS",
    "SETTINGS",
    "AttentionClusterSettings",
    "AttentionLSTMSettings",
    "ClipSettings",
    "Count",
    "FeatureSettings",
    "NeXtVLADSettings",
    "Settings",
    "SharedSettings",
    "StNetSettings",
    "TSNSettings",
]

SETTINGS: dict[str, type[Settings]] = {
    cls.NAME: cls
    for cls in (
        AttentionClusterSettings,
        AttentionLSTMSettings,
        NeXtVLADSettings,
        StNetSettings,
        TSNSettings,
    )
}
