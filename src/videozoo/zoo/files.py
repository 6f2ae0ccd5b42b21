"""The folder of all that videozoo keeps, and the hash of a file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from videozoo.errors import VideozooError

HOME_VARIABLE = "VIDEOZOO_HOME"


def cache_home() -> Path:
    """Returns the folder of all that videozoo keeps.

    Raises:
        VideozooError: the user, or the one that VIDEOZOO_HOME names, has no home.
    """
    if chosen := os.environ.get(HOME_VARIABLE):
        try:
            return Path(chosen).expanduser()
        except RuntimeError:
            raise VideozooError(f"{HOME_VARIABLE} is {chosen}: there is no such user") from None
    own = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if own == "~/.cache":
        raise VideozooError(f"this user has no home: name a folder for weights in {HOME_VARIABLE}")
    return Path(own) / "videozoo"


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
