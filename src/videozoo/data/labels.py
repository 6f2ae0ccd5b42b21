"""Class names: files that hold them, and labels that must be among them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from videozoo.errors import VideozooError


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
    if not file.is_file():
        raise VideozooError(f"label_file {path}: no such file")
    try:
        text = file.read_text(encoding="utf-8-sig")
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
    for row in csv.DictReader(text.splitlines()):
        cells = {str(key).strip().lower(): value for key, value in row.items()}
        try:
            index = int(cells["index"])
        except (TypeError, ValueError):
            raise VideozooError(
                f"label_file {path}: index '{cells['index']}' is no number"
            ) from None
        if index in names:
            raise VideozooError(f"label_file {path}: index {index} stands in it twice")
        names[index] = cells["name"] or f"class {index}"
    return _in_order(path, names)


def _json_names(path: str, text: str) -> list[str]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise VideozooError(f"label_file {path}: is no JSON: {error}") from None
    if isinstance(content, list) and all(isinstance(name, str) for name in content):
        return content
    if not isinstance(content, dict):
        raise VideozooError(f"label_file {path}: is neither a list of names nor numbers by name")
    names: dict[int, str] = {}
    for key, value in content.items():
        # Both {"abseiling": 0} and {"0": "abseiling"} are in use.
        name, number = (value, key) if isinstance(value, str) and key.isdigit() else (key, value)
        if isinstance(number, bool) or not str(number).isdigit() or int(number) in names:
            raise VideozooError(f"label_file {path}: '{key}' has no number of its own")
        names[int(number)] = str(name)
    return _in_order(path, names)


def _in_order(path: str, names: dict[int, str]) -> list[str]:
    if sorted(names) != list(range(len(names))):
        raise VideozooError(f"label_file {path}: the indices are not 0 to {len(names) - 1}")
    return [names[i] for i in range(len(names))]
