"""Where pulled weights lie, and what is remembered of each.

One folder holds, for each name, NAME.safetensors (the weights) and NAME.json (where they came from
and their checksums, which outlive the weights). A file that somebody fetched by hand may be put
beside them, under the name it was published with.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from videozoo.errors import VideozooError
from videozoo.files import write_json
from videozoo.zoo.archives import Published

HOME_VARIABLE = "VIDEOZOO_HOME"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Record:
    """What is remembered of a pull.

    Attributes:
        name: of the published weights.
        address: that the file came from; or the path, of a file fetched by hand.
        bytes, sha256: of that file.
        weights_bytes, weights_sha256: of the .safetensors file made of it.
        pulled: the day, ISO 8601.
    """

    name: str
    address: str
    bytes: int
    sha256: str
    weights_bytes: int
    weights_sha256: str
    pulled: str


def home() -> Path:
    """Returns the folder of all that videozoo keeps.

    It is the one that VIDEOZOO_HOME names, else videozoo/ below XDG_CACHE_HOME or ~/.cache.

    Raises:
        VideozooError: the user, or the one that the variable names, has no home.
    """
    if chosen := os.environ.get(HOME_VARIABLE):
        try:
            return Path(chosen).expanduser()
        except RuntimeError:
            raise VideozooError(f"{HOME_VARIABLE} is {chosen}: there is no such user") from None
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "videozoo"
    own = os.path.expanduser("~")
    if own == "~":
        raise VideozooError(f"this user has no home: name a folder for weights in {HOME_VARIABLE}")
    return Path(own) / ".cache" / "videozoo"


def folder() -> Path:
    """Returns the folder of pulled weights, made or not."""
    return home() / "zoo"


def weights_path(published: Published) -> Path:
    """Returns where the weights lie once they are pulled."""
    return folder() / f"{published.name}.safetensors"


def hand_path(published: Published) -> Path:
    """Returns where a file that was fetched by hand is looked for."""
    return folder() / published.file


def part_path(published: Published) -> Path:
    """Returns where a transfer is kept until it is whole."""
    return folder() / f".{published.file}.part"


def record_path(published: Published) -> Path:
    """Returns where it is remembered what was pulled."""
    return folder() / f"{published.name}.json"


def read_record(published: Published) -> Record | None:
    """Returns what is remembered of the last pull; None: there was none.

    Raises:
        VideozooError: the record is damaged.
    """
    path = record_path(published)
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError):
        raise VideozooError(
            f"{path}: is damaged; remove it, and the checksum of {published.name} is recorded anew"
        ) from None


def write_record(record: Record) -> None:
    """Remembers a pull."""
    write_json(folder() / f"{record.name}.json", asdict(record))


def pulled(published: Published) -> Path | None:
    """Returns where the weights lie; None where they are not here, or are not what was written.

    Raises:
        VideozooError: their record is damaged.
    """
    path, record = weights_path(published), read_record(published)
    whole = record is not None and path.is_file() and path.stat().st_size == record.weights_bytes
    return path if whole else None


def check_unchanged(published: Published, path: Path) -> None:
    """Compares pulled weights with what was written when they were pulled.

    Raises:
        VideozooError: they are others.
    """
    record = read_record(published)
    if record is not None and record.weights_sha256 != sha256_of(path):
        raise VideozooError(
            f"{path}: has changed since it was pulled; remove it, and {published.name} is pulled"
            " again"
        )


@contextmanager
def only_one(published: Published, say: Say) -> Iterator[None]:
    """Lets one process at a time pull these weights; the others wait.

    Raises:
        VideozooError: the folder cannot be made or written to.
    """
    place = folder()
    try:
        place.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place / f".{published.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process is pulling {published.name}: waiting for it")
            lock.acquire()
    except OSError as error:
        raise VideozooError(
            f"{place}: cannot be written to ({error.strerror}); name another folder in"
            f" {HOME_VARIABLE}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
