"""Where uploaded files lie, and when they go."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

_LOST = 7200  # seconds: longer than all who wait for their turn may have to


@cache
def uploads_folder() -> Path:
    """Returns the folder that uploaded files lie in; it is gone with this process."""
    folder = Path(tempfile.mkdtemp(prefix="videozoo-app-")).resolve()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Uploads:
    """Which page shows which file; an uploaded one that no page shows any more is removed.

    One that no page came to show is removed later: its browser was closed in the middle.

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
            self._remove_lost()
            return before

    def shows(self, page: str, file: Path) -> bool:
        """Whether a page shows a file."""
        return self._shown.get(page) == file

    def _remove(self, file: Path) -> None:
        if file.is_relative_to(self.folder) and file.exists():
            file.unlink()
            if file.parent != self.folder and not any(file.parent.iterdir()):  # one a content
                file.parent.rmdir()

    def _remove_lost(self) -> None:
        shown, now = {*self._shown.values()}, time.time()
        for file in {*self.folder.rglob("*")} - shown:
            with suppress(FileNotFoundError):  # a whole upload is given its name just now
                if file.is_file() and now - file.stat().st_mtime > _LOST:
                    self._remove(file)
