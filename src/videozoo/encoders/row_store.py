"""Rows that were computed once: kept by the video's content and by the recipe."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from videozoo.errors import VideozooError
from videozoo.files import cache_home, replacing
from videozoo.forecast import METER

Half = npt.NDArray[np.float16]
Rows = dict[str, Half]
"""float16 [n, D] by modality, the same n for all."""

_DAMAGE = "damage"  # the note in a file of what was missing of its video

_ABANDONED = 24 * 3600.0  # seconds after which a file that is half written is nobody's


def rows_folder() -> Path:
    """Returns the folder of all rows, made or not; see files.cache_home for how it is moved."""
    return cache_home() / "rows"


class KeptRows(NamedTuple):
    """The rows of a video, and what was missing of it when they were made; None: nothing."""

    rows: Rows
    damage: str | None


class RowStore:
    """A folder of rows, a file a video. Files come whole or not at all, in any number of processes.

    Args:
        folder: of one recipe's rows; None: a temporary one, gone with this object.

    Raises:
        VideozooError: the folder cannot be written to.
    """

    def __init__(self, folder: Path | None) -> None:
        self.lasting = folder is not None
        try:
            if folder is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="videozoo-rows-")
                folder = Path(self._temporary.name)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VideozooError(
                f"{error.filename}: cannot be made: {error.strerror}; {self._hint()}"
            ) from None
        self.folder = folder
        for left in folder.glob("*/.*.tmp"):  # by a process that was killed
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED:
                    left.unlink()

    def get(self, content: str) -> KeptRows | None:
        """Returns the rows of a video; None: there are none, or the file is damaged."""
        try:
            with safe_open(self._path(content), "numpy") as file:
                rows: Rows = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return KeptRows(rows, (file.metadata() or {}).get(_DAMAGE))
        except (OSError, SafetensorError):
            return None

    def has(self, content: str) -> bool:
        """Says whether there is a file of a video's rows."""
        return self._path(content).is_file()

    def put(self, content: str, rows: Rows, damage: str | None = None) -> None:
        """Keeps the rows of a video, and what is known to be missing of it.

        Raises:
            VideozooError: the disk is full, or the folder cannot be written to.
        """
        path = self._path(content)
        try:
            with replacing(path, sync=False) as temporary, temporary.open("xb") as file:
                METER.written += file.write(
                    save(rows, None if damage is None else {_DAMAGE: damage})
                )
        except OSError as error:
            raise VideozooError(
                f"{path}: cannot be written: {error.strerror}; {self._hint()}"
            ) from None

    def _hint(self) -> str:
        if self.lasting:
            return (
                "name another folder in VIDEOZOO_HOME, or keep none with --no-cache or"
                " --set MODEL.cache_rows=False"
            )
        return "name another folder in TMPDIR"

    def _path(self, content: str) -> Path:
        return self.folder / content[:2] / f"{content[2:]}.safetensors"


def folder_size(folder: Path) -> tuple[int, int]:
    """Returns how many files lie below a folder, and how many bytes they have."""
    sizes = [path.stat().st_size for path in _files(folder)]
    return len(sizes), sum(sizes)


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in folder.rglob("*.safetensors") if path.is_file())
