"""The csv of a labelling: written whole after each answer, read by the next one and by train."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from videozoo.data.clips.clip_list import read_listing
from videozoo.data.clips.clip_rows import csv_columns, quoted, read_list_text
from videozoo.errors import FileError, VideozooError
from videozoo.files import only_run, write_csv

COLUMNS = ["path", "label"]
UNCLEAR = ""
"""The label of a video that shows none of the classes, or of which nobody can tell."""


class LabelFile:
    """What is known of videos; each change is on the disk before the next one.

    Unclear videos have a csv of their own, since train takes no video without a label. Rows of
    other videos than those of this labelling stay as they are.

    Args:
        path: of the csv; it need not exist.
        own: the absolute paths of the videos that are to be labelled.

    Attributes:
        labels: by absolute path, UNCLEAR among them.

    Raises:
        VideozooError: a csv is there that has other columns, or a bad line.
    """

    def __init__(self, path: Path, own: Collection[str]) -> None:
        self.path, self._folder = path, os.path.abspath(path.parent)
        self.unclear = path.with_name(f"{path.stem}_unclear.csv")
        self.labels = dict(self._read())
        self._undo: list[tuple[str, str | None]] = [(k, None) for k in self.labels if k in own]

    def _read(self) -> Iterator[tuple[str, str]]:
        for path in (path for path in (self.unclear, self.path) if path.exists()):
            if csv_columns(read_list_text(path), path) != COLUMNS:
                told = f"its columns are not {','.join(COLUMNS)} alone; give --out another file"
                raise FileError(path, told)
            listing = read_listing(path, labelled=path == self.path)
            for entry in listing.entries:
                names = [listing.class_names[n] if listing.class_names else str(n)
                         for n in entry.labels or ()]  # fmt: skip
                yield os.path.abspath(entry.path), names[0] if names else UNCLEAR

    def give(self, video: str, label: str) -> None:
        """Labels a video; where the csv cannot be written (VideozooError) nothing has changed."""
        before = self.labels.get(video)
        self._change(video, label)
        self._undo.append((video, before))

    @property
    def can_undo(self) -> bool:
        """Whether there is a label to take back; those of earlier labellings count."""
        return bool(self._undo)

    def undo(self) -> str:
        """Takes the newest label back that there still is; returns the video's absolute path."""
        if not self._undo:
            raise VideozooError("there is nothing to undo")
        key, before = self._undo[-1]
        self._change(key, before)
        self._undo.pop()
        return key

    def _change(self, video: str, label: str | None) -> None:
        labels = {key: known for key, known in self.labels.items() if key != video}
        labels |= {} if label is None else {video: label}
        changed = [known for known in (label, self.labels.get(video)) if known is not None]
        for unclear in {known == UNCLEAR for known in changed}:
            path = self.unclear if unclear else self.path
            rows = [
                (self._cell(k), own) for k, own in labels.items() if (own == UNCLEAR) == unclear
            ]
            if rows:
                write_csv(path, COLUMNS, rows)
            else:
                path.unlink(missing_ok=True)
        self.labels = labels

    def _cell(self, video: str) -> str:
        """Returns a path as the csv has it; below its own folder relative: both can be moved."""
        return quoted(video.removeprefix(os.path.join(self._folder, "")))


@contextmanager
def one_labelling(path: Path) -> Iterator[None]:
    """Keeps other labellings out of a csv.

    Raises:
        VideozooError: another one is at work, or the csv's folder cannot be made.
    """
    if not path.name:
        raise VideozooError(f"--out {path}: is no file; give one, such as labels.csv")
    told = "another videozoo label writes it; end that one, or give --out another file"
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = path.with_name(f".{path.name}.lock")
            stack.enter_context(only_run(lock, FileError(path, told)))
        except OSError as error:
            raise FileError(path, f"cannot be written: {error.strerror}") from None
        yield
