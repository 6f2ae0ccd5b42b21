"""What un-whitens YouTube-8M's rgb: the eigenvalues of its PCA, from the file that Google gave."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from videozoo.errors import FileError, VideozooError
from videozoo.reading import read_bytes

_MOST_EIGENVALUES = 1 << 20  # bytes of their file


def read_eigenvalues(path: str, width: int) -> Tensor:
    """Reads the eigenvalues that un-whiten rgb.

    Args:
        path: .npy file of float32 [2048, 1] as Google published it, or any [>= width] values.
        width: values needed: the width of rgb.

    Returns:
        float32 [width].

    Raises:
        VideozooError: the file is missing, is no .npy array, or holds too few values.
    """
    if not Path(path).exists():
        raise VideozooError(
            f"eigen_file {path}: no such file; it is eigenvals.npy of YouTube-8M's PCA matrix,"
            " or set MODEL.eigen_file=None for features that are not whitened"
        )
    try:
        data = io.BytesIO(read_bytes(path, most=_MOST_EIGENVALUES))
        values = np.lib.format.read_array(data, allow_pickle=False).astype(np.float32).reshape(-1)
    except FileError as error:
        raise VideozooError(f"eigen_file {path}: {error.reason}") from None
    except (ValueError, OSError, EOFError, MemoryError, TypeError) as error:
        raise VideozooError(f"eigen_file {path}: not a .npy array: {error}") from None
    if len(values) < width:
        raise VideozooError(f"eigen_file {path}: has {len(values)} values, rgb needs {width}")
    if not np.isfinite(values[:width]).all() or (values[:width] < 0).any():
        raise VideozooError(f"eigen_file {path}: eigenvalues must be finite and not negative")
    return torch.from_numpy(values[:width].copy())
