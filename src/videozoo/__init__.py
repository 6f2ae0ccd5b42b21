"""videozoo: video classification for PyTorch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videozoo import models
    from videozoo.api import infer, load, test
    from videozoo.exporting.export import export
    from videozoo.predict import Predictor
    from videozoo.reports.page import report
    from videozoo.specs import build_model
    from videozoo.training.train import train
    from videozoo.variants import (
        attention_cluster_youtube8m,
        attention_lstm_youtube8m,
        nextvlad_youtube8m,
        stnet_resnet50_kinetics400,
        tsn_resnet50_kinetics400,
    )
    from videozoo.web.page import app

__version__ = "0.2.0"
__all__ = [
    "Predictor",
    "__version__",
    "app",
    "attention_cluster_youtube8m",
    "attention_lstm_youtube8m",
    "build_model",
    "export",
    "infer",
    "load",
    "models",
    "nextvlad_youtube8m",
    "report",
    "stnet_resnet50_kinetics400",
    "test",
    "train",
    "tsn_resnet50_kinetics400",
]

_PLACES = {
    "Predictor": "videozoo.predict",
    "app": "videozoo.web.page",
    "build_model": "videozoo.specs",
    "export": "videozoo.exporting.export",
    "infer": "videozoo.api",
    "load": "videozoo.api",
    "report": "videozoo.reports.page",
    "test": "videozoo.api",
    "train": "videozoo.training.train",
    **dict.fromkeys(
        (
            "attention_cluster_youtube8m",
            "attention_lstm_youtube8m",
            "nextvlad_youtube8m",
            "stnet_resnet50_kinetics400",
            "tsn_resnet50_kinetics400",
        ),
        "videozoo.variants",
    ),
}


def __getattr__(name: str) -> Any:
    """Imports torch only when a name that needs it is asked for."""
    if name == "models":
        return import_module("videozoo.models")
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module 'videozoo' has no attribute '{name}'")
