"""The text of config files: INI sections whose values are Python literals."""

from __future__ import annotations

import ast
import configparser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videozoo.errors import Faults, VideozooError, did_you_mean

MODES = ("TRAIN", "VALID", "TEST", "INFER")
SECTIONS = ("MODEL", *MODES)

Values = dict[str, dict[str, Any]]
"""Plain values by section and key."""


def parse_value(text: str) -> Any:
    """Reads one Python literal.

    Raises:
        ValueError: the text is no literal.
    """
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(text) from error


def read_config(path: Path) -> Values:
    """Reads the sections of a config file as they stand, every value a Python literal.

    Raises:
        VideozooError: the file is missing, is no INI file, or has values that are no literals.
    """
    parser = configparser.RawConfigParser(strict=True)
    try:
        with path.open(encoding="utf-8-sig") as file:
            parser.read_file(file)
    except FileNotFoundError:
        raise VideozooError(f"{path}: no such config file") from None
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise VideozooError(f"{path}: not a readable config file: {error}") from None
    faults = Faults()
    values: Values = {}
    for section in parser.sections():
        if section.upper() not in SECTIONS:
            faults.add(f"{path}: unknown section [{section}]{did_you_mean(section, SECTIONS)}")
            continue
        target = values.setdefault(section.upper(), {})
        for key, text in parser.items(section):
            try:
                target[key] = parse_value(text)
            except ValueError:
                faults.add(
                    f"{path}: [{section}] {key} = {text} is not a Python literal;"
                    " put quotes around words and paths"
                )
    faults.raise_if_any()
    return values


def parse_overrides(settings: Sequence[str]) -> dict[tuple[str, str], Any]:
    """Reads `SECTION.key=value` settings; a value that is no literal is taken as a string.

    Raises:
        VideozooError: a setting has another form or an unknown section.
    """
    overrides: dict[tuple[str, str], Any] = {}
    faults = Faults()
    for setting in settings:
        name, equals, text = setting.partition("=")
        section, dot, key = name.strip().partition(".")
        if not (equals and dot and key):
            faults.add(f"--set {setting}: write it as SECTION.key=value, such as TRAIN.epoch=10")
        elif section.upper() not in SECTIONS:
            faults.add(f"--set {setting}: unknown section{did_you_mean(section, SECTIONS)}")
        else:
            try:
                value = parse_value(text)
            except ValueError:
                value = text
            overrides[section.upper(), key.strip().lower()] = value
    faults.raise_if_any()
    return overrides


def format_config(values: Values, *, header: Sequence[str]) -> str:
    """Returns the text of a config file."""
    lines = [f"# {line}" for line in header]
    for section, keys in values.items():
        lines += ["", f"[{section}]", *(f"{key} = {value!r}" for key, value in keys.items())]
    return "\n".join(lines) + "\n"
