"""videozoo: video classification for PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videozoo.predict.predictor import Predictor, load

__version__ = "0.1.0"
__all__ = ["Predictor", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Imports torch only when a name that needs it is asked for."""
    if name in ("load", "Predictor"):
        from videozoo.predict import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module 'videozoo' has no attribute '{name}'")
