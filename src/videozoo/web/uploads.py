"""Where uploaded files lie, and when they go."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from functools import cache
from pathlib import Path


@cache
def uploads_folder() -> Path:
    """Returns the folder that uploaded files lie in; it is gone with this process."""
    folder = Path(tempfile.mkdtemp(prefix="videozoo-app-")).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Uploads:
    """Which page shows which file; an uploaded one that no page shows is removed.

    Args:
        folder: of uploaded files; others are left alone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shown: dict[str, Path] = {}
        self._change = threading.Lock()

    def show(self, page: str, file: Path | None) -> Path | None:
        """Notes what a page shows now, None: nothing; returns what it showed before."""
        with self._change:
            before = self._shown.pop(page, None)
            if file is not None:
                self._shown[page] = file
            if before is not None and before not in self._shown.values():
                self._remove(before)
            return before

    def shows(self, page: str, file: Path) -> bool:
        """Whether a page shows a file."""
        return self._shown.get(page) == file

    def _remove(self, file: Path) -> None:
        if file.is_relative_to(self.folder) and file.exists():
            file.unlink()
            if not any(file.parent.iterdir()):  # gradio makes a folder for each content
                file.parent.rmdir()
