"""Libraries that come with an extra alone."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from videozoo.errors import VideozooError

EXPORT = '"videozoo[export]"'  # what pip is given, quoted for the shell
FLEET = '"videozoo[fleet]"'
HUB = "'videozoo[hub]'"
PARQUET = "'videozoo[parquet]'"


def imported(module: str, what: str, extra: str) -> Any:
    """Imports a library of an extra.

    Args:
        module: of the library.
        what: needs it, and begins the sentence.
        extra: EXPORT, FLEET, HUB or PARQUET.

    Raises:
        VideozooError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise VideozooError(f"{what}: needs {library}: pip install {extra} installs it") from error
