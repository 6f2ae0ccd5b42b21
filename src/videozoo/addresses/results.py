"""Results at an address: written to a folder of this machine, and uploaded file by file when whole.

Files appear in that folder whole, see videozoo.files; so none is half there at the address.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from videozoo.addresses.places import brought, copy_path, home, writing
from videozoo.addresses.remote import (
    Remote,
    check_writable,
    download,
    is_address,
    listing,
    remove,
    upload,
)
from videozoo.distributed import is_first_process
from videozoo.errors import NICKNAMES, SampleError, VideozooError
from videozoo.files import replacing
from videozoo.shards import Shard

INTERVAL = 60.0  # seconds between two looks for new files
P = ParamSpec("P")
T = TypeVar("T")


def parts_taken(shard: Shard | None) -> tuple[str]:
    """Returns which finished parts a run goes on from: a shard's own, or those of all shards."""
    return (f"*{shard.suffix}.parts/*" if shard else "*-of-*.parts/*",)


def uploading(function: Callable[P, T]) -> Callable[P, T]:
    """Lets the argument save_dir of a function be an address, see results_folder."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **named: P.kwargs) -> T:
        given = named.get("save_dir")
        if not is_address(given):
            return function(*args, **named)
        shard = named.get("shard")
        with results_folder(
            str(given), shard=shard if isinstance(shard, Shard) else None
        ) as folder:
            named["save_dir"] = folder
            return function(*args, **named)

    return wrapped


@contextmanager
def results_folder(
    given: str | os.PathLike[str], takes: Sequence[str] = (), shard: Shard | None = None
) -> Iterator[Path]:
    """Gives the folder to write results to; what is written there for an address is uploaded.

    That happens while the block runs and at its end, whatever ends it; then it goes from here. Only
    unfinished parts stay where the block fails, so that the same command goes on.

    Args:
        given: a folder, or an address.
        takes: patterns of names; such files are fetched from the address first.
        shard: that is done, in a folder of its own: others may be done on this machine meanwhile.

    Raises:
        VideozooError: the address cannot be read or written to.
    """
    if not is_address(given) or os.fspath(given).startswith("file:"):
        yield brought(given)
        return
    address = os.fspath(given).rstrip("/")
    root = home() / f"results{shard.suffix if shard else ''}"
    folder = root / copy_path(address).relative_to(home())
    scheme = address.partition(":")[0]
    NICKNAMES[f"{root / scheme}/"] = f"{scheme}://"
    taken = _take(address, folder, takes)
    writing.add(folder)
    try:
        if not is_first_process():
            yield folder
            return
        check_writable(address)
        folder.mkdir(parents=True, exist_ok=True)
        with _Uploads(folder, address, taken):
            yield folder
        shutil.rmtree(folder)
    finally:
        writing.discard(folder)


def _take(address: str, folder: Path, takes: Sequence[str]) -> list[Path]:
    """Fetches the files of a folder that patterns name, and that are not here; returns them."""
    taken: list[Path] = []
    if not takes:
        return taken
    found: list[Remote] = []
    with suppress(SampleError):  # nothing was written there yet
        found = listing(address)
    for remote in found:
        name = remote.address.removeprefix(f"{address}/")
        if any(fnmatch.fnmatch(name, one) for one in takes) and not (folder / name).exists():
            with replacing(folder / name) as temporary:
                download(remote, temporary)
            taken.append(folder / name)
    return taken


class _Uploads(threading.Thread):
    """Uploads the whole files of a folder as they come."""

    def __init__(self, folder: Path, address: str, taken: Sequence[Path]) -> None:
        super().__init__(daemon=True, name="videozoo-uploads")
        self._folder, self._address = folder, address
        self._done = {path: _state(path) for path in taken}  # what the address has
        self._ended = threading.Event()

    def run(self) -> None:
        """Looks for new files until the end."""
        while not self._ended.wait(INTERVAL):
            with suppress(VideozooError):  # is tried again, and told at the end
                self._upload()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        """Uploads what is left, and removes it here.

        Raises:
            VideozooError: something cannot be uploaded.
        """
        self._ended.set()
        self.join()
        try:
            self._upload()
        except VideozooError as error:
            # not the folder, which would be shown as the address
            where = home() / self._folder.relative_to(home()).parts[0]
            raise VideozooError(f"{error}; the results are kept below {where}") from None
        for path in self._done:  # another machine may go on from it, so that it would be old here
            path.unlink()

    def _upload(self) -> None:
        for path in sorted(self._folder.rglob("*")):
            with suppress(FileNotFoundError):  # replaced, or a checkpoint that is kept no longer
                state = _state(path)
                if self._is_for_all(path) and self._done.get(path) != state:
                    upload(path, self._address_of(path))
                    self._done[path] = state
        for path in [path for path in self._done if not path.exists()]:
            remove(self._address_of(path))
            del self._done[path]

    def _address_of(self, path: Path) -> str:
        return f"{self._address}/{path.relative_to(self._folder).as_posix()}"

    def _is_for_all(self, path: Path) -> bool:
        """Says whether a file is whole, and of use elsewhere: parts are if they are a shard's."""
        parts = path.relative_to(self._folder).parts
        hidden = any(part.startswith(".") for part in parts) or path.name == "lock"
        own = any(part.endswith(".parts") and "-of-" not in part for part in parts)
        return path.is_file() and not hidden and not own


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns
