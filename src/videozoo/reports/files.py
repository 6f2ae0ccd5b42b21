"""Result files, written to a temporary name and renamed: never half written."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from videozoo.errors import VideozooError


def make_folder(folder: Path) -> None:
    """Makes the folder that results will go to, so that a fault shows before the work.

    Raises:
        VideozooError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VideozooError(f"{folder}: cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise VideozooError(f"{folder}: cannot be written to; give --save-dir another folder")


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a file in one step, its folder too where there is none.

    Raises:
        VideozooError: the folder cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise VideozooError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        if path.parent.is_dir():
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a UTF-8 text file in one step."""
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def write_json(path: Path, value: Any) -> None:
    """Writes readable JSON in one step."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a csv with a header in one step."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def write_pickle(path: Path, value: Any) -> None:
    """Writes a pickle that Python 2 reads too, as the original did."""
    write_bytes(path, pickle.dumps(value, protocol=2))
