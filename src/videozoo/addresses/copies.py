"""The files of addresses on this machine: fetched when they are opened, kept while there is room.

A file is there whole, as it was at its address, or not there. Those that were used longest ago go
first. Any number of processes may share them: a lock is held while one is opened, fetched or
removed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from videozoo.addresses.places import (
    address_of,
    found_at,
    home,
    known,
    listed_path,
    record_of,
    write_record,
)
from videozoo.addresses.remote import about, download, shown
from videozoo.errors import VideozooError
from videozoo.files import replacing, sha256_of

SIZE_VARIABLE, USUAL_SIZE = "VIDEOZOO_BUCKETS_GB", 20.0
_GB = 1e9
_LOCKS = 4096
_LEFT = 3600.0  # seconds after which a file that is not whole is taken for one that was given up
_OWN = ("records", "locks", "results")  # folders that hold no copies, as results.3-of-64 does
_seen = {"total": -1.0, "new": 0.0}  # bytes of all copies when they were counted, and since


@contextmanager
def local(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a file to open; that of an address is fetched where it is not here, or is older.

    What is opened within the block stays readable behind it; the file itself may go then.

    Raises:
        SampleError: there is no such file at the address, or it may not be read.
        VideozooError: it cannot be had or kept, or is another one than when it was looked at.
    """
    if address_of(path) is None:
        yield Path(path)
        return
    place = Path(os.path.normpath(path))
    while True:
        with _locked(place, shared=True):
            if _is_here(place):
                state = place.stat()
                os.utime(place, ns=(time.time_ns(), state.st_mtime_ns))
                yield place
                return
        with _locked(place):
            if not _is_here(place):
                _fetch(place)


def fetched(named: str | os.PathLike[str]) -> Path:
    """Returns the path of a file that somebody named; that of an address is here then.

    Raises:
        VideozooError: see local.
    """
    with local(listed_path(os.fspath(named))) as file:
        return file


def content_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file; of one that was fetched before, without fetching it again.

    Raises:
        OSError, VideozooError: it cannot be read.
    """
    found, record = known(path), record_of(path)
    if found is not None and found.version and record.get("version") == found.version:
        return str(record["sha256"])
    with local(path) as file:
        return sha256_of(file)


def _is_here(path: Path) -> bool:
    """Says whether the copy is the file that this process knows at the address."""
    found, record = found_at(path), record_of(path)
    return path.is_file() and "sha256" in record and record["version"] == found.version


def _fetch(path: Path) -> None:
    """Fetches the file of a path whole, and remembers what it is."""
    before, address = found_at(path), str(address_of(path))
    now = about(address)
    if now.version != before.version:
        raise VideozooError(f"{path}: has changed since it was looked at; give the command again")
    _make_room(now.size or 0, address)
    try:
        with replacing(path, sync=False) as temporary:
            download(now, temporary)
            said = {"address": address, "version": now.version, "sha256": sha256_of(temporary)}
            path.unlink(missing_ok=True)  # an older one, of which the record would be wrong
            write_record(path, said)
    except OSError as error:
        raise VideozooError(f"{path}: cannot be kept: {error.strerror}") from None


def _make_room(new: int, address: str) -> None:
    """Removes the copies that were used longest ago, until `new` more bytes have room.

    They are counted when a hundredth of what they may take was fetched since; a tenth is freed.

    Raises:
        VideozooError: so many never have.
    """
    most = _most_bytes()
    if new > most:
        raise VideozooError(
            f"{shown(address)}: has {new / _GB:.1f} GB, and all copies may take {most / _GB:g} GB;"
            f" give {SIZE_VARIABLE} a larger number"
        )
    _seen["new"] += new
    if 0 <= _seen["total"] <= most - _seen["new"] and _seen["new"] < most / 100:
        return
    copies: list[tuple[float, int, Path]] = []
    for place, folders, names in os.walk(home()):
        folders[:] = [
            name for name in folders if place != str(home()) or name.partition(".")[0] not in _OWN
        ]
        for path in (Path(place, name) for name in names):
            with suppress(OSError):  # another process removes it
                state = path.stat()
                copies.append((state.st_atime, state.st_size, path))
    total = new + sum(size for _, size, _ in copies)
    goal = most if total <= most else 0.9 * most
    for used, size, path in sorted(copies):
        if total > goal and (path.suffix != ".tmp" or time.time() - used > _LEFT) and _remove(path):
            total -= size
    _seen.update(total=total - new, new=float(new))


def _remove(path: Path) -> bool:
    """Removes a copy, unless somebody is opening it."""
    try:
        with _locked(path, waits=False):
            path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    return True


def _most_bytes() -> float:
    said = os.environ.get(SIZE_VARIABLE, str(USUAL_SIZE))
    try:
        most = float(said)
    except ValueError:
        most = 0.0
    if not 0 < most < 1e9:
        raise VideozooError(f"{SIZE_VARIABLE} is {said}: must be a number of GB, such as 20")
    return most * _GB


@contextmanager
def _locked(path: Path, *, shared: bool = False, waits: bool = True) -> Iterator[None]:
    """Holds the lock of a copy; the kernel gives back what a killed process holds.

    Raises:
        BlockingIOError: another one holds it, and this one does not wait.
    """
    import fcntl  # not everywhere, and of no use for files on disk

    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if waits else fcntl.LOCK_NB)
    number = int(hashlib.sha256(os.fsencode(path)).hexdigest(), 16) % _LOCKS
    folder = home() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / f"{number:03x}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise VideozooError(f"{folder}: cannot be written to: {error.strerror}") from None
    try:
        try:
            fcntl.flock(fd, how)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):  # a file system without locks
                raise
        yield
    finally:
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)  # for a process that was forked meanwhile too
        os.close(fd)
