"""Class names: files that hold them, and labels that must be among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from videozoo.addresses.places import brought, is_file
from videozoo.errors import FileError, VideozooError
from videozoo.reading import csv_lines, lines_of, parse_json, read_plain_text
from videozoo.text import class_name, whole_number

# What tables call the column of the numbers and that of the names, the surest word first.
_NUMBERS = ("index", "id", "idx", "class_id", "label_id", "class_index", "number", "label", "class")
_NAMES = ("name", "class_name", "label_name", "display_name", "label", "class", "category")
_KNOWLEDGE = "knowledgegraphid"
_MOST_BYTES = 16 << 20


def check_class_names(names: Sequence[str], num_classes: int, where: str) -> None:
    """Checks that there is one name a class.

    Args:
        names: the class names.
        num_classes: K.
        where: where the names come from.

    Raises:
        VideozooError: there are more or fewer names than num_classes.
    """
    if len(names) != num_classes:
        raise VideozooError(
            f"{where} names {len(names)} classes, but num_classes is {num_classes};"
            f" give a label file with {num_classes} names, or, for weights of {len(names)}, --set"
            f" MODEL.num_classes={len(names)}"
        )


def differing_name(before: Sequence[str] | None, now: Sequence[str] | None) -> str | None:
    """Says how class names differ from what they were; None: they do not, or one is not known."""
    if before is None or now is None or list(before) == list(now):
        return None
    for index, (was, is_) in enumerate(zip(before, now, strict=False)):
        if was != is_:
            return f"class {index} was '{was}' and is '{is_}'"
    return f"there were {len(before)} and are {len(now)}"


def check_same_names(known: Sequence[str] | None, given: Sequence[str] | None, where: str) -> None:
    """Checks class names against those that a model has learnt; either may be unknown.

    Raises:
        VideozooError: they differ, or have another order: outputs would mean other classes.
    """
    changed = differing_name(known, given)
    if changed is not None:
        raise VideozooError(
            f"{where}: the class names are not those that the model is trained with ({changed});"
            " outputs would mean other classes; give the same names in the same order"
        )


def read_label_file(path: str) -> list[str]:
    """Reads class names.

    Args:
        path: a text file with a name a line; a table (commas, tabs or semicolons) with a column of
            numbers and one of names, such as Index and Name (YouTube-8M's) or id and name; or a
            .json, a list of names or an object of numbers by name (the original's Kinetics labels)
            or of names by number.

    Raises:
        VideozooError: the file is missing, is no text, names a class twice, or its numbers are not
            0, 1, 2, ...
    """
    file = brought(path)
    if not file.exists() and not is_file(file):
        raise VideozooError(f"label_file {path}: no such file")
    try:
        text = read_plain_text(file, most=_MOST_BYTES)
    except FileError as error:
        raise VideozooError(f"label_file {path}: {error.reason}") from None
    if not text.strip():
        raise VideozooError(f"label_file {path}: is empty")
    if file.suffix.lower() == ".json":
        names = _json_names(path, text)
    else:
        listed = [name for line in lines_of(text) if (name := class_name(line))]
        names = _table_names(path, text) or listed
    doubled = next((name for name, count in Counter(names).items() if count > 1), None)
    if doubled is not None:
        raise VideozooError(f"label_file {path}: names '{doubled}' twice; each class needs its own")
    return names


def _table_names(path: str, text: str) -> list[str] | None:
    """Reads a table of numbers and names; None: it is none, but a name a line.

    Raises:
        VideozooError: it is a csv whose columns are not known, or numbers do not fit.
    """
    lines = [line for line in lines_of(text) if line.strip()]
    first = lines[0]
    for delimiter in (sign for sign in ",\t;" if sign in first):
        rows = [cells for _, cells in csv_lines(text, Path(path), delimiter)]
        if not rows:  # signs alone
            continue
        header = [cell.strip().lower().replace(" ", "_") for cell in rows[0]]
        index = next((header.index(word) for word in _NUMBERS if word in header), None)
        places = [header.index(word) for word in _NAMES if word in header]
        named = [place for place in places if place != index]
        if index is not None and named:
            of = header.index(_KNOWLEDGE) if _KNOWLEDGE in header else None
            return _numbered(path, rows[1:], index, named[0], of)
        is_table = Path(path).suffix.lower() in (".csv", ".tsv")
        if (
            is_table
            and len(rows[0]) == 2
            and all(len(r) == 2 and whole_number(r[0]) is not None for r in rows)
        ):
            return _numbered(path, rows, 0, 1, None)
        if is_table:
            raise VideozooError(
                f"label_file {path}: has the columns {', '.join(rows[0]):.80}; give it the columns"
                " id and name, or a name a line"
            )
    if Path(path).suffix.lower() == ".csv" and class_name(first).lower() in _NAMES:
        return [name for line in lines[1:] if (name := class_name(line))]
    return None


def _numbered(
    path: str, rows: Sequence[Sequence[str]], index: int, name: int, of: int | None
) -> list[str]:
    """Returns the names of a table in the order of their numbers.

    Args:
        path: of the file, for messages.
        rows: without the header.
        index: the column of the numbers.
        name: the column of the names.
        of: a column that tells apart what has one name; None: there is none.
    """
    names: dict[int, str] = {}
    wide = [[*row, *[""] * (max(index, name) + 1 - len(row))] for row in rows]
    common = Counter(row[name].strip() for row in wide)
    for row in wide:
        number = whole_number(row[index])
        if number is None:
            raise VideozooError(f"label_file {path}: index '{row[index]:.80}' is no number")
        if number in names:
            raise VideozooError(f"label_file {path}: index {number} stands in it twice")
        own = class_name(row[name]) or f"class {number}"
        if of is not None and len(row) > of and common[row[name].strip()] > 1:
            own += f" ({row[of].strip()})"
        names[number] = own
    return _in_order(path, names)


def _json_names(path: str, text: str) -> list[str]:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise VideozooError(f"label_file {path}: is no JSON: {error}") from None
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return [class_name(name) for name in content]
    if not isinstance(content, dict):
        raise VideozooError(f"label_file {path}: is neither a list of names nor numbers by name")
    # Both {"abseiling": 0} and {"0": "abseiling"} are in use.
    by_number = all(
        isinstance(name, str) and whole_number(k) is not None for k, name in content.items()
    )
    names: dict[int, str] = {}
    for key, value in content.items():
        name, given = (value, key) if by_number else (key, value)
        number = whole_number(str(given)) if isinstance(given, str | int | float) else None
        if number is None or isinstance(given, bool) or number in names:
            raise VideozooError(f"label_file {path}: '{key:.80}' has no number of its own")
        names[number] = class_name(name) or f"class {number}"
    return _in_order(path, names)


def _in_order(path: str, names: dict[int, str]) -> list[str]:
    if sorted(names) != list(range(len(names))):
        one = f" but 1 to {len(names)}; count from 0" if min(names) == 1 else ""
        raise VideozooError(f"label_file {path}: the indices are not 0 to {len(names) - 1}{one}")
    return [names[i] for i in range(len(names))]
