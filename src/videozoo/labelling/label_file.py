"""The csv of a labelling: written whole after each answer, read by the next one and by train."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from videozoo.data.clips.clip_rows import quoted, unquoted
from videozoo.errors import FileError, VideozooError
from videozoo.files import write_csv
from videozoo.reading import csv_lines, read_plain_text
from videozoo.text import class_name, csv_value

COLUMNS = ("path", "label", "time")
UNCLEAR = ""
"""The label of a video that shows none of the classes, or of which nobody can tell."""


class Answer(NamedTuple):
    """What a person said of a video, and when: ISO 8601 in UTC."""

    label: str
    time: str


class LabelFile:
    """What is known of videos; each change is on the disk before the next one.

    Unclear videos have a csv of their own, since train takes no video without a label. Rows of
    other videos than those of this labelling stay as they are.

    Args:
        path: of the csv; it need not exist.
        videos: those that are to be labelled.

    Attributes:
        answers: by absolute path, in the order in which they were given.

    Raises:
        VideozooError: a csv is there that this class did not write, or it has a bad line.
    """

    def __init__(self, path: Path, videos: Sequence[Path]) -> None:
        self.path, self._folder = path, os.path.abspath(path.parent)
        self.unclear = path.with_name(f"{path.stem}_unclear.csv")
        found = [*self._read(path), *self._read(self.unclear)]
        self.answers = dict(sorted(found, key=lambda pair: pair[1].time))
        own = {os.path.abspath(video) for video in videos}
        self._undo: list[tuple[str, Answer | None]] = [(k, None) for k in self.answers if k in own]

    def _read(self, path: Path) -> Iterator[tuple[str, Answer]]:
        if not path.exists():
            return
        (_, header), *lines = [*csv_lines(read_plain_text(path), path)] or [(1, [])]
        if not {"path", "label"} <= {*header} <= {*COLUMNS}:
            told = f"its columns are not {','.join(COLUMNS)}; give --out another file"
            raise FileError(path, told)
        seen = set()
        for number, cells in lines:
            row = dict(zip(header, map(csv_value, cells), strict=False))
            key, label = self._located(unquoted(row["path"])), class_name(row.get("label", ""))
            if key in seen or bool(label) != (path == self.path):
                told = "is listed twice" if key in seen else label or "has no label"
                raise FileError(path, f"line {number}: {row['path']}: {told}; mend it")
            seen.add(key)
            yield key, Answer(label, row.get("time", ""))

    def _located(self, text: str) -> str:
        own = os.path.abspath(os.path.join(self._folder, text))
        return own if os.path.exists(own) else os.path.abspath(text)

    def _cell(self, key: str) -> str:
        """Returns a path as the csv has it; below its own folder relative: both can be moved."""
        inside = key.startswith(os.path.join(self._folder, ""))
        return quoted(os.path.relpath(key, self._folder) if inside else key)

    def label(self, video: Path) -> str | None:
        """Returns the label of a video, UNCLEAR among them; None: it has none yet."""
        answer = self.answers.get(os.path.abspath(video))
        return None if answer is None else answer.label

    def give(self, video: Path, label: str) -> None:
        """Labels a video; where the csv cannot be written (VideozooError) nothing has changed."""
        key, now = os.path.abspath(video), datetime.now(UTC)
        before = self.answers.get(key)
        self._change(key, Answer(label, now.isoformat(timespec="milliseconds")))
        self._undo.append((key, before))

    @property
    def can_undo(self) -> bool:
        """Whether there is an answer to take back; those of earlier labellings count."""
        return bool(self._undo)

    def undo(self) -> str:
        """Takes the newest answer back that there still is; returns the video's absolute path."""
        if not self._undo:
            raise VideozooError("there is nothing to undo")
        key, before = self._undo[-1]
        self._change(key, before)
        self._undo.pop()
        return key

    def _change(self, key: str, answer: Answer | None) -> None:
        answers = {k: a for k, a in self.answers.items() if k != key}
        answers |= {} if answer is None else {key: answer}
        changed = {not a.label for a in (answer, self.answers.get(key)) if a is not None}
        for unclear in changed:
            rows = [(self._cell(k), *a) for k, a in answers.items() if (not a.label) == unclear]
            write_csv(self.unclear if unclear else self.path, COLUMNS, rows)
        self.answers = answers


@contextmanager
def one_labelling(path: Path) -> Iterator[None]:
    """Keeps other labellings out of a csv; the kernel forgets a killed one.

    Raises:
        VideozooError: another one is at work, or the csv's folder cannot be made.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        told = "another videozoo label writes it; end that one, or give --out another file"
        raise FileError(path, told) from None
    except NotImplementedError:
        pass  # a file system without locks: nobody can be kept out
    except OSError as error:
        raise FileError(path, f"cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        if lock.is_locked:
            Path(lock.lock_file).unlink(missing_ok=True)
            lock.release()
