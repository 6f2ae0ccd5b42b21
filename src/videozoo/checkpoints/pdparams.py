"""Weights of PaddlePaddle 1.6 and later: one .pdparams file, a pickle of arrays by name.

fluid.save and paddle.static.save write a program's variables under their names; paddle.save writes
a network's weights under the names of its attributes, with a table of the variables' names.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from videozoo.checkpoints.variables import Array
from videozoo.errors import FileError, brief
from videozoo.pickling.unpickle import load_pickle

SUFFIX = ".pdparams"
_TABLE = "StructuredToParameterName@@"  # a variable's name by the name that it is saved under
_PARTS = "UnpackBigParamInfor@@"  # of arrays of more than 1 GiB, in protocols 2 and 3
_MOST_BYTES = 2 << 30  # of a file


def read_pdparams(
    path: Path, *, wanted: Callable[[str, tuple[int, ...]], bool] | None, most: int
) -> dict[str, Array]:
    """Reads all arrays of a .pdparams file; nothing of it is run.

    Args:
        path: of the file.
        wanted: says of a name and a shape that a model has it. Of the two names that an array may
            have, those are taken of which more are wanted; None: those it is saved under.
        most: bytes that the file may have.

    Raises:
        VideozooError: the file is damaged or too large, holds anything but arrays of numbers, or
            names what is not data.
    """
    value = load_pickle(path, what=str(path), most=min(most, _MOST_BYTES))
    if not isinstance(value, dict):
        raise FileError(path, f"holds a {type(value).__name__}, not arrays by name")
    named = {_text(key, path): each for key, each in value.items()}
    table, parts = (_dict(named.pop(key, {}), key, path) for key in (_TABLE, _PARTS))
    for name, said in parts.items():
        named[name] = _joined(name, _dict(said, name, path), named, path)
    for name, array in named.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise FileError(path, f"'{name:.80}' is no array of floating-point numbers ({kind})")
    variables = {_text(table.get(name, name), path): array for name, array in named.items()}
    if wanted is None or len(variables) < len(named):
        return named
    return max((named, variables), key=lambda arrays: _fitting(arrays, wanted))


def _fitting(arrays: dict[str, Array], wanted: Callable[[str, tuple[int, ...]], bool]) -> int:
    return sum(wanted(name, array.shape) for name, array in arrays.items())


def _joined(name: str, said: dict[str, Any], named: dict[str, Any], path: Path) -> Array:
    """Puts an array together that was saved in parts; they are taken out of `named`."""
    slices, shape = said.get("slices"), said.get("OriginShape")
    if not isinstance(slices, list) or not isinstance(shape, (tuple, list)):
        raise FileError(path, f"does not say which parts make up '{name:.80}'")
    parts = [named.pop(_text(part, path), None) for part in slices]
    if not parts or not all(isinstance(part, np.ndarray) for part in parts):
        raise FileError(path, f"lacks parts of '{name:.80}'")
    whole = np.concatenate([part.reshape(-1) for part in parts])
    sizes = tuple(size for size in shape if isinstance(size, (int, np.integer)) and size >= 0)
    if len(sizes) < len(shape) or prod(map(int, sizes)) != whole.size:
        raise FileError(path, f"the parts of '{name:.80}' do not have its shape {brief(shape)}")
    return whole.reshape(sizes)


def _dict(value: Any, name: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FileError(path, f"what '{name:.80}' says is no dict")
    return {_text(key, path): each for key, each in value.items()}


def _text(value: Any, path: Path) -> str:
    """Returns a name, which Python 2 wrote as bytes."""
    if not isinstance(value, (str, bytes)):
        raise FileError(path, f"{brief(value)} is no name of an array")
    return value if isinstance(value, str) else value.decode("latin1")
