"""Class names: files that hold them, and labels that must be among them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from videozoo.errors import FileError, VideozooError, brief
from videozoo.files import can_be_written, parse_json, read_text

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
            f" give --set MODEL.num_classes={len(names)} or another label file"
        )


def read_label_file(path: str) -> list[str]:
    """Reads class names.

    Args:
        path: a text file with a name a line; a csv with the columns Index and Name (YouTube-8M's);
            or a .json, a list of names or an object of numbers by name (the original's Kinetics
            labels).

    Raises:
        VideozooError: the file is missing, is no text, or its indices are not 0, 1, 2, ...
    """
    file = Path(path)
    if not file.exists():
        raise VideozooError(f"label_file {path}: no such file")
    try:
        text = read_text(file, most=_MOST_BYTES)
    except FileError as error:
        raise VideozooError(f"label_file {path}: {error.reason}") from None
    except UnicodeDecodeError:
        raise VideozooError(f"label_file {path}: is no text in UTF-8; save it as such") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise VideozooError(f"label_file {path}: is empty")
    if file.suffix.lower() == ".json":
        return _json_names(path, text)
    header = [column.strip().lower() for column in lines[0].split(",")]
    if not {"index", "name"} <= set(header):
        return lines
    names: dict[int, str] = {}
    for row in _csv_rows(path, text):
        cells = {str(key).strip().lower(): value for key, value in row.items()}
        try:
            index = int(cells["index"])
        except (TypeError, ValueError):
            raise VideozooError(
                f"label_file {path}: index {brief(cells['index'])} is no number"
            ) from None
        if index in names:
            raise VideozooError(f"label_file {path}: index {index} stands in it twice")
        names[index] = cells["name"] or f"class {index}"
    return _in_order(path, names)


def _csv_rows(path: str, text: str) -> list[dict[str, str]]:
    try:
        return list(csv.DictReader(text.splitlines()))
    except csv.Error as error:
        raise VideozooError(f"label_file {path}: is no csv that can be read ({error})") from None


def _json_names(path: str, text: str) -> list[str]:
    try:
        content = parse_json(text)
    except ValueError as error:
        raise VideozooError(f"label_file {path}: is no JSON: {error}") from None
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return _written(path, content)
    if not isinstance(content, dict):
        raise VideozooError(f"label_file {path}: is neither a list of names nor numbers by name")
    names: dict[int, str] = {}
    for key, value in content.items():
        # Both {"abseiling": 0} and {"0": "abseiling"} are in use.
        name, number = (value, key) if isinstance(value, str) and _is_number(key) else (key, value)
        if isinstance(number, bool) or not _is_number(number) or int(number) in names:
            raise VideozooError(f"label_file {path}: {brief(key)} has no number of its own")
        names[int(number)] = str(name)
    return _written(path, _in_order(path, names))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, str)) and str(value).isdecimal() and len(str(value)) < 10


def _written(path: str, names: list[str]) -> list[str]:
    wrong = [name for name in names if not can_be_written(name)]
    if wrong:
        raise VideozooError(f"label_file {path}: the name {brief(wrong[0])} is no text")
    return names


def _in_order(path: str, names: dict[int, str]) -> list[str]:
    if sorted(names) != list(range(len(names))):
        raise VideozooError(f"label_file {path}: the indices are not 0 to {len(names) - 1}")
    return [names[i] for i in range(len(names))]
