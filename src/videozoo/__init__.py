"""videozoo: video classification for PyTorch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videozoo import models
    from videozoo.api import load
    from videozoo.predict.predictor import Predictor
    from videozoo.specs import build_model

__version__ = "0.1.0"
__all__ = ["Predictor", "__version__", "build_model", "load", "models"]


def __getattr__(name: str) -> Any:
    """Imports torch only when a name that needs it is asked for."""
    if name == "models":
        return import_module("videozoo.models")
    if name == "build_model":
        return import_module("videozoo.specs").build_model
    if name == "load":
        return import_module("videozoo.api").load
    if name == "Predictor":
        return import_module("videozoo.predict.predictor").Predictor
    raise AttributeError(f"module 'videozoo' has no attribute '{name}'")
