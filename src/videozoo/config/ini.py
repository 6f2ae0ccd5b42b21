"""The text of config files: INI sections whose values are Python literals."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videozoo.errors import Faults, VideozooError, did_you_mean
from videozoo.reading import read_text
from videozoo.text import can_be_written

MODES = ("TRAIN", "VALID", "TEST", "INFER")
SECTIONS = ("MODEL", *MODES)

_MOST_BYTES, _MOST_LINES = 1 << 20, 10_000  # of a config file
_MOST_BITS = 1024  # of a number
_MOST_SHOWN = 200  # characters of a text in an error

Values = dict[str, dict[str, Any]]
"""Plain values by section and key."""


class _Parser(configparser.RawConfigParser):
    # What the standard library reads a line by, but in a time that grows with its length alone.
    OPTCRE = re.compile(r"(?P<option>[^=:]*)(?P<vi>[=:])\s*(?P<value>.*)$")


def parse_value(text: str) -> Any:
    """Reads one Python literal.

    Raises:
        ValueError: the text is no literal, or one that no key could have.
    """
    try:
        value = ast.literal_eval(text.strip())
        fault = value_fault(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(text) from error
    if fault is not None:
        raise ValueError(text)
    return value


def value_fault(value: Any) -> str | None:
    """Says why no key of a config can have a value, whatever the key; None: one may.

    Args:
        value: a literal of a config file, or out of the JSON of a checkpoint.
    """
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return "a number of too many digits"
    if isinstance(value, str) and ("\0" in value or not can_be_written(value)):
        return "a text that no file can hold"
    if isinstance(value, dict):
        return value_fault([*value.keys(), *value.values()])
    if isinstance(value, (list, tuple, set, frozenset)):
        return next((fault for part in value if (fault := value_fault(part))), None)
    return None


def read_config(path: Path) -> Values:
    """Reads the sections of a config file as they stand, every value a Python literal.

    Raises:
        VideozooError: the file is missing, is no INI file, or has values that are no literals.
    """
    parser = _Parser(strict=True)
    try:
        text = read_text(path, most=_MOST_BYTES)
        if (lines := text.count("\n")) > _MOST_LINES:
            raise VideozooError(
                f"{path}: has {lines:,} lines, a config file at most {_MOST_LINES:,}"
            )
        parser.read_string(text, source=str(path))
    except FileNotFoundError:
        raise VideozooError(f"{path}: no such config file") from None
    except (configparser.Error, UnicodeDecodeError, OSError) as error:
        raise VideozooError(
            f"{path}: not a readable config file: {str(error)[:_MOST_SHOWN]}"
        ) from None
    faults = Faults()
    values: Values = {}
    for section in parser.sections():
        if section.upper() not in SECTIONS:
            near = did_you_mean(section, SECTIONS)
            faults.add(f"{path}: unknown section [{section[:_MOST_SHOWN]}]{near}")
            continue
        target = values.setdefault(section.upper(), {})
        for key, text in parser.items(section):
            try:
                target[key] = parse_value(text)
            except ValueError:
                faults.add(
                    f"{path}: [{section}] {key[:80]} = {_shown(text)} is not a Python literal;"
                    " put quotes around words and paths"
                )
    faults.raise_if_any()
    return values


def _shown(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


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
            faults.add(
                f"--set {_shown(setting)}: write it as SECTION.key=value, such as TRAIN.epoch=10"
            )
        elif section.upper() not in SECTIONS:
            faults.add(f"--set {_shown(setting)}: unknown section{did_you_mean(section, SECTIONS)}")
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
