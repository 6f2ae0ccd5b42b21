"""The file that videozoo bench writes its figures to."""

from __future__ import annotations

from pathlib import Path


def check_can_write(path: Path) -> None:
    """Checks the result file before the work.

    Raises:
        VideozooError: it cannot be written.
    """
    import os

    from videozoo.errors import VideozooError

    if path.is_dir():
        raise VideozooError(f"--json {path}: is a folder; give the name of a file")
    folder = next(place for place in path.absolute().parents if place.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise VideozooError(f"--json {path}: {folder} cannot be written to")
