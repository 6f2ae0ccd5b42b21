"""Whether a .pt2 file holds nothing but a graph of PyTorch's own operators and its weights.

torch.export.load unpickles, imports functions by name and evaluates texts of the file, so a
stranger's file may run code. What `videozoo export` writes needs none of that but names of
operators and sums of sizes: any other content is refused before PyTorch sees the file.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from videozoo.errors import FileError, brief
from videozoo.reading import open_regular, parse_json

_MOST_JSON = 256 << 20  # bytes
_MEMBERS = re.compile(
    r"data/weights/(weight_\d+|model_weights_config\.json)"
    r"|data/constants/(tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt|models/model\.json|extra/videozoo\.json"
    r"|archive_format|archive_version|byteorder|\.data/(version|serialization_id)"
)
_OPERATORS = re.compile(
    r"torch\.ops\.aten\.(?!from_file)\w+\.\w+|torch\.ops\.higher_order\.(scan|wrap_with_autocast|wrap_with_set_grad_enabled)"
    r"|torch\.sym_(max|min|not|float|int|ite|sum)"
    r"|_operator\.(add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
)
_SIZES = re.compile(  # sums of sizes, as sympy writes them
    r"(?:(?:Symbol|Integer|Mul|Add|Pow|Max|Min|Mod|PythonMod|FloorDiv|CeilDiv|Eq|Ne|Lt|Le|Gt|Ge)\("
    r"|'[su]\d+'|(?:positive|nonnegative|integer)=True|[su]?\d+|[-+*/<>=(), ])*"
)
_GUARDS = re.compile(r"(?:L\['\w+'\]|\.size\(\)|\[\d+\]|\d+|[-+*/<>=!%() ]|\band\b|\bor\b)*")
_CHECKED = {
    "target": _OPERATORS,
    "as_operator": _OPERATORS,
    "expr_str": _SIZES,
    "guards_code": _GUARDS,
}


def check_pt2(path: Path) -> None:
    """Checks that a file may be given to torch.export.load.

    Raises:
        VideozooError: it holds what could run code, or is damaged.
    """
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            _check_members(path, archive)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError) as error:
        raise FileError(path, f"is no sound .pt2 file ({error}); copy it again") from error


def _check_members(path: Path, archive: zipfile.ZipFile) -> None:
    names = [info.filename for info in archive.infolist()]
    folder = names[0].partition("/")[0] + "/" if names else ""
    for name in names:
        inner = name.removeprefix(folder)
        if names.count(name) > 1 or not name.startswith(folder) or not _MEMBERS.fullmatch(inner):
            raise _refused(path, f"a file {brief(name)}")
        if inner.endswith(".json"):
            if archive.getinfo(name).file_size > _MOST_JSON:
                raise _refused(path, f"a {inner} of more than {_MOST_JSON >> 20} MB")
            if not inner.startswith("extra/"):
                _check_values(path, parse_json(archive.read(name)))
        elif inner.startswith("data/sample_inputs/") and archive.getinfo(name).file_size:
            raise _refused(path, f"a pickle {inner}")


def _check_values(path: Path, values: Any) -> None:
    for key, value in _pairs(values):
        if key == "use_pickle" and value is not False:
            raise _refused(path, "pickled weights")
        pattern = _CHECKED.get(key)
        texts = value if isinstance(value, list) else [value]
        for text in texts if pattern is not None else ():
            assert pattern is not None
            if not isinstance(text, str) or pattern.fullmatch(text) is None:
                raise _refused(path, f"{key} {brief(text)}")


def _pairs(values: Any) -> Iterator[tuple[str, Any]]:
    """Yields all keys of all objects within a JSON value, with what they hold."""
    waiting = [values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _refused(path: Path, what: str) -> FileError:
    return FileError(
        path,
        f"holds {what}, which videozoo export does not write and which could run code when it is"
        " opened; export the checkpoint anew, or take the .onnx or .xml file, which hold no code",
    )
