"""The two families of models: what differs between frame features and clips is said here, once."""

from __future__ import annotations

from videozoo.config.keys import Settings
from videozoo.families.clips import ClipFamily
from videozoo.families.family import Family, Samples
from videozoo.families.features import FeatureFamily

__all__ = ["FAMILIES", "Family", "Samples", "family_of"]

FAMILIES: dict[str, type[Family]] = {"features": FeatureFamily, "clips": ClipFamily}


def family_of(settings: Settings) -> Family:
    """Returns the family of the model that these settings are of."""
    return FAMILIES[settings.family](settings)
