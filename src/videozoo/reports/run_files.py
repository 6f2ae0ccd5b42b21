"""What a training or a test left in a folder, as the report reads it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from videozoo.errors import FileError, VideozooError
from videozoo.reading import parse_json, read_plain_text, read_rows
from videozoo.training.side_lists import HEADER, TABLE

RESULT = "_test_result.json"
_NUMBER = int | float | None
_KINDS: dict[str, Any] = {
    "listed": int, "evaluated": int, "unlabelled": int | None, "top1": _NUMBER, "hit_at_1": _NUMBER,
    "list": str | None,
}  # fmt: skip
_ROWS: dict[str, dict[str, Any]] = {  # lists of rows, and the parts of a row
    "unreadable": {"video": str, "reason": str},
    "damaged": {"video": str, "reason": str},
    "classes": {"class": str, "support": int, "precision": _NUMBER, "recall": _NUMBER,
                "f1": _NUMBER, "average_precision": _NUMBER},
}  # fmt: skip
Curve = list[tuple[int, float]]
"""Steps of a training, and the values there."""
Cells = list[tuple[str, str, int]]
"""Class, prediction, videos: the cells of a confusion matrix that are not 0."""


class Predicted(NamedTuple):
    """A video of a test by its name in the list, its classes, and what it was called, best first.

    `second` is the class of the second-best score, and `margin` how far that is behind.
    """

    video: str
    true: list[str]
    predicted: list[str]
    score: float
    second: str
    margin: float

    @property
    def called(self) -> str:
        """The class of the best score."""
        return next(iter(self.predicted), "")

    @property
    def right(self) -> bool:
        """Whether that is a class of the video."""
        return self.called in self.true


@dataclass(frozen=True)
class TestedRun:
    """A test, MODEL_test_result.json, and what lies beside it."""

    path: Path
    result: dict[str, Any]

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.path.name.removesuffix(RESULT)

    @property
    def protocol(self) -> dict[str, Any]:
        """How the scores were made."""
        return dict(self.result.get("protocol") or {})

    @property
    def weights(self) -> Path | None:
        """The weights that were tested; None: they are not here."""
        named = Path(str(self.protocol.get("weights", "")))
        own = self.path.parent / named.name
        return next((path for path in (named, own) if path.is_file()), None)

    def beside(self, name: str) -> Path | None:
        """Returns a file beside the result, or beside the weights."""
        folders = [path.parent for path in (self.path, self.weights) if path is not None]
        return next((f / name for f in folders if (f / name).is_file()), None)

    @cached_property
    def predictions(self) -> list[Predicted] | None:
        """What each video was called; None: the test kept no table, or it is another test's.

        Raises:
            FileError: the table is damaged.
        """
        named = self.result.get("predictions") or f"{self.model}_test_predictions.csv"
        path = self.path.with_name(Path(str(named)).name)
        if path.suffix != ".csv" or not path.is_file():
            return None
        many = "top1" not in self.result

        def names(cell: str) -> list[str]:
            return [name for one in cell.split(";") if (name := one.strip())] if many else [cell]

        header, *rows = read_rows(path) or [[]]
        found = []
        try:
            for cells in rows:
                row = dict(zip(header, cells, strict=True))
                true, predicted = names(row["true"]), names(row["predicted"])
                score, margin = float(row["score"]), float(row["margin"] or 1)
                found.append(Predicted(row["video"], true, predicted, score, row["second"], margin))
        except (KeyError, ValueError) as error:
            raise FileError(path, f"is damaged ({error}); test again") from None
        return found if len(found) == self.result["evaluated"] else None

    @cached_property
    def curves(self) -> dict[tuple[str, str], Curve]:
        """The curves of the training, where it left some, by side and metric."""
        path = self.beside(f"{self.model}_curves.csv")
        found: dict[tuple[str, str], Curve] = {}
        for row in read_rows(path)[1:] if path is not None else ():
            with suppress(ValueError):  # a kill may have left half a row
                step, _, split, metric, value = row
                found.setdefault((split, metric), []).append((int(step), float(value)))
        return found

    @cached_property
    def copies(self) -> list[dict[str, str]] | None:
        """Copies that the split found, those across sides first; None: no split is known."""
        path = self.beside(TABLE)
        if path is None:
            return None
        header, *rows = read_rows(path) or [[]]
        if header != [*HEADER]:
            return None  # a table of somebody else's
        table = {row[0]: dict(zip(header, row, strict=False)) for row in rows}
        found = []
        for row in table.values():
            of = table.get(row.get("near-copy-of", ""))
            if of is not None:
                found.append(row | {f"of {key}": value for key, value in of.items()})
        return sorted(found, key=lambda r: (r["side"] == r["of side"], r["class"] == r["of class"]))

    @cached_property
    def config(self) -> str | None:
        """The config that lies beside it."""
        path = self.beside(f"{self.model}_config.txt")
        return None if path is None else read_plain_text(path)

    @property
    def cells(self) -> Cells:
        """What was called what; empty where the result does not say."""
        names = [str(row["class"]) for row in self.result.get("classes") or ()]
        dense = enumerate(self.result.get("confusion") or ())
        cells = [(i, j, count) for i, row in dense for j, count in enumerate(row) if count]
        cells += self.result.get("confusion_counts") or ()
        return [(names[i], names[j], count) for i, j, count in cells]


def open_run(run: str | os.PathLike[str], model: str | None = None) -> TestedRun:
    """Opens what a test left.

    Args:
        run: MODEL_test_result.json, or the folder that it lies in.
        model: whose, where there are several; None: the newest.

    Raises:
        VideozooError: there is none, or it is damaged.
    """
    path = Path(run)
    if path.is_dir():
        path = _newest(path, model)
    elif not path.name.endswith(RESULT) or not path.is_file():
        raise VideozooError(f"{path}: is no folder and no MODEL{RESULT} that a test left")
    try:
        result = parse_json(read_plain_text(path))
    except ValueError as error:
        raise FileError(path, f"is damaged ({error}); test again") from None
    if not isinstance(result, dict) or not {"listed", "evaluated", "unreadable"} <= result.keys():
        raise FileError(path, "is no result of a test; test again")
    if not _has_its_form(TestedRun(path, result)):
        raise FileError(path, "is damaged: its values have other forms than a test's; test again")
    return TestedRun(path, result)


def _has_its_form(run: TestedRun) -> bool:
    """Whether values are of the kinds that a page shows."""
    try:
        values = [(run.result.get(name), kind) for name, kind in _KINDS.items()]
        for name, parts in _ROWS.items():
            rows = run.result.get(name) or ()
            values += [(row.get(part), kind) for row in rows for part, kind in parts.items()]
        values += [(note, str) for note in run.result.get("notes") or ()]
        values += [(count, int) for *_, count in run.cells]
        values += [(run.protocol.get("versions", {"videozoo": ""})["videozoo"], str)]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return False
    return all(isinstance(value, kind) for value, kind in values)


def _newest(folder: Path, model: str | None) -> Path:
    found = sorted(folder.glob(f"*{RESULT}"), key=lambda path: path.stat().st_mtime_ns)
    wanted = [p for p in found if model is None or p.name.lower() == f"{model}{RESULT}".lower()]
    if wanted:
        return wanted[-1]
    if found:
        names = ", ".join(path.name.removesuffix(RESULT) for path in found)
        raise VideozooError(f"{folder}: holds no result of {model}, only of {names}")
    weights = next(iter(sorted(folder.glob("*.safetensors"))), "WEIGHTS.safetensors")
    raise VideozooError(
        f"{folder}: holds no result of a test; make one: videozoo test --weights {weights}"
        f" --save-dir {folder}"
    )
