"""Names that others chose, harmless to print and to write; and words that follow a number."""

from __future__ import annotations

import re
from typing import Any

# What moves a terminal's cursor, ends a line, or writes backwards; and bytes that are no UTF-8.
_SIGNS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SIGNS += "\ud800-\udfff"
_UNSEEN = re.compile(f"[{_SIGNS}]")
_UNSEEN_OR_BREAK = re.compile(f"[\t\n{_SIGNS}]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SHORT = {"\t": r"\t", "\n": r"\n", "\r": r"\r"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_WHOLE = re.compile(r"(-?[0-9]{1,18})(?:\.0*)?")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?|[-+]?(inf|nan)")


def harmless(text: str) -> str:
    r"""Returns text as a terminal may show it: escapes such as \x1b and \u2028 for what is no text.

    Line breaks and tabs stay. A byte of a file name that is no UTF-8 becomes \xNN.
    """
    return _UNSEEN.sub(_escape, text)


def escaped(text: str) -> str:
    r"""Returns a name in one line, see harmless: line breaks and tabs become \n and \t too."""
    return _UNSEEN_OR_BREAK.sub(_escape, text)


def valid(text: str) -> str:
    r"""Returns text that UTF-8 can hold: bytes of a file name that are none become \xNN."""
    return _SURROGATES.sub(_escape, text)


def can_be_written(text: str) -> bool:
    """Says whether a text can stand in a file; bytes of a file's name that are no UTF-8 can."""
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def valid_json(text: str) -> str:
    """Does with JSON that was written what `valid` does with the texts in it."""
    return _SURROGATES.sub(lambda match: _escape(match).replace("\\", r"\\"), text)


def _escape(match: re.Match[str]) -> str:
    sign = match[0]
    code = ord(sign)
    if 0xDC80 <= code <= 0xDCFF:  # how Python writes a byte that it cannot decode
        return rf"\x{code - 0xDC00:02x}"
    return _SHORT.get(sign) or (rf"\x{code:02x}" if code < 256 else rf"\u{code:04x}")


def class_name(text: str) -> str:
    """Returns the name of a class as lists, label files and folders mean it: one line, bare.

    Blanks around it, and a pair of quotes that some label files have around each name, are none of
    it.
    """
    name = escaped(text.strip())
    if len(name) > 2 and name[0] == name[-1] and name[0] in "\"'":
        name = name[1:-1].strip()
    return name


def whole_number(text: str) -> int | None:
    """Returns a whole number that is written as one, or as 12.0 (pandas'); None: it is none."""
    match = _WHOLE.fullmatch(text.strip())
    return int(match[1]) if match else None


def csv_cell(value: Any) -> Any:
    """Returns a cell that no spreadsheet takes for a formula: such a text gets a ' before it."""
    if not isinstance(value, str):
        return value
    bare = value.removeprefix("'")
    formula = bare.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return ("'" if formula else "") + valid(value)


def csv_value(cell: str) -> str:
    """Returns the text that csv_cell made a cell of."""
    return cell[1:] if cell.startswith("'") and csv_cell(cell[1:]) == cell else cell


def counted(number: int, noun: str) -> str:
    """Returns a number and its noun: 1 video, 2 videos, 3 classes, 4 batches."""
    if number == 1:
        return f"1 {noun}"
    if re.search("[^aeiou]y$", noun):
        return f"{number} {noun[:-1]}ies"
    return f"{number} {noun}{'es' if noun.endswith(('s', 'x', 'ch', 'sh')) else 's'}"
