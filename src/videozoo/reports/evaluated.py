"""What a test gave each video, as a table: csv, or Parquet for data frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from videozoo.answers import NONE_OF_THESE, Evaluated
from videozoo.errors import VideozooError
from videozoo.extras import PARQUET, imported
from videozoo.files import write_csv, writing
from videozoo.text import valid

COLUMNS = ("video", "true", "predicted", "score", "second", "margin")
_NUMBERS = ("score", "margin")
_GROUP = 10_000  # rows of Parquet that are in memory together


def check_form(form: str) -> None:
    """Checks that a table of this form can be written, before the work.

    Raises:
        VideozooError: it is neither "csv" nor "parquet", or what writes it is not installed.
    """
    if form not in ("csv", "parquet"):
        raise VideozooError(f"form '{form}': predictions are written as csv or parquet")
    if form == "parquet":
        imported("pyarrow", "parquet", PARQUET)


def write_evaluated(path: Path, evaluated: Iterable[Evaluated], name: Callable[[int], str]) -> None:
    """Writes a row a video, as they come, in one step: a .parquet file, else csv.

    Args:
        path: of the file.
        evaluated: in the order of the list.
        name: gives a class's name.

    Raises:
        VideozooError: the folder cannot be written to.
    """
    rows = (_row(one, name) for one in evaluated)
    if path.suffix == ".parquet":
        _write_parquet(path, rows)
        return
    write_csv(path, COLUMNS, rows)


def _row(one: Evaluated, name: Callable[[int], str]) -> tuple[Any, ...]:
    """Returns the cells of a video; several classes are joined as infer's csv does."""
    true, predicted = ("; ".join(map(name, classes)) for classes in (one.true, one.predicted))
    second = None if one.second is None else name(one.second)
    return one.video, true, predicted or NONE_OF_THESE, one.score, second, one.margin


def _write_parquet(path: Path, rows: Iterable[tuple[Any, ...]]) -> None:
    arrow, parquet = (imported(m, "parquet", PARQUET) for m in ("pyarrow", "pyarrow.parquet"))
    types = {True: arrow.float64(), False: arrow.string()}
    schema = arrow.schema([(column, types[column in _NUMBERS]) for column in COLUMNS])
    waiting = iter(rows)
    with writing(path) as file, parquet.ParquetWriter(file, schema) as writer:
        while group := list(islice(waiting, _GROUP)):
            columns = [list(map(_cell, column)) for column in zip(*group, strict=True)]
            writer.write_table(arrow.table(dict(zip(COLUMNS, columns, strict=True)), schema=schema))


def _cell(value: Any) -> Any:
    return valid(value) if isinstance(value, str) else value
