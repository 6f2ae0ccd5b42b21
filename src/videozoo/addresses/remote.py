"""What is done at an address: looked at, listed, fetched, written; tried again where that may help.

https:// goes through transfer, all others through fsspec. Credentials are found as each of its
libraries finds them: AWS_ACCESS_KEY_ID, profiles, AWS_ENDPOINT_URL and the like.
"""

from __future__ import annotations

import errno
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from videozoo.errors import SampleError, VideozooError

SCHEMES = ("s3", "gs", "hdfs", "https", "http", "memory", "file")
TRIES, LONGEST, PAUSE = 6, 120.0, 0.5  # seconds: of tries that fail, and before the second one
ANSWER, LISTING = 60.0, 3600.0  # seconds within which a try must be done
SLOWEST = 100_000  # bytes a second, for which a try has more time
_ADDRESS = re.compile(rf"({'|'.join(SCHEMES)})://[^/]*")
_VERSIONS = ("ETag", "etag", "md5Hash", "generation", "mtime", "LastModified", "created")
_INSTALLS = {"s3": 'pip install "videozoo[fleet]"', "gs": 'pip install "videozoo[fleet]" gcsfs'}
_PASSING = {
    *("ConnectionError", "TimeoutError", "HTTPClientError", "ClientConnectionError"),
    *("ClientPayloadError", "IncompleteRead", "ResponseParserError", "TransferError"),
}  # by name, as the libraries are not imported here; those of errno as well
_PASSING_NUMBERS = {errno.EBUSY, errno.EIO, errno.EREMOTEIO, errno.EHOSTUNREACH, errno.ENETUNREACH}
_QUERY = re.compile(r"(\w+://)(?:[^/\s@'\"]*@)?([^\s?'\"]*)(?:\?[^\s'\"]*)?")
_SECRET = re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}\b|(?i:\b(?:X-Amz-[\w-]+|signature)=[^&\s]+)")
_SYSTEMS: dict[tuple[int, str], Any] = {}  # by process, since their sessions must not be forked
T = TypeVar("T")


class Remote(NamedTuple):
    """What lies at an address: how many bytes, and what changes with them (None, "": not told)."""

    address: str
    size: int | None
    version: str
    is_folder: bool = False


def is_address(text: object) -> bool:
    """Says whether a text is an address of a file or folder, not a path or a live stream."""
    return isinstance(text, str) and _ADDRESS.match(text) is not None


def shown(address: str) -> str:
    """Returns an address as people may see it: without the signature that may stand behind it."""
    return _QUERY.sub(r"\1\2", address) if address.startswith("http") else address


def about(address: str) -> Remote:
    """Says what lies at an address.

    Raises:
        SampleError: there is nothing, or it may not be read.
        VideozooError: it cannot be asked.
    """
    if address.startswith("http"):
        from videozoo.addresses.transfer import look

        try:
            return Remote(address, *_tried(address, lambda: look(address)))
        except SampleError:
            if "?" in address:  # signed, for being fetched alone
                return Remote(address, None, "")
            raise
    found = _tried(address, lambda: _system(address).info(address))
    return _remote(address, found)


def listing(address: str) -> list[Remote]:
    """Returns the files of a folder and its sub-folders.

    Raises:
        SampleError, VideozooError: see about.
    """
    system, base = _system(address), address.rstrip("/")
    found = _tried(address, lambda: system.find(base, detail=True), LISTING)
    start = str(system._strip_protocol(base)).rstrip("/") + "/"
    inside = {name.removeprefix(start): info for name, info in found.items() if name != start}
    return [
        _remote(f"{base}/{name}", info)
        for name, info in sorted(inside.items())
        if name and not name.endswith("/")  # a folder's own mark
    ]


def download(remote: Remote, target: Path) -> None:
    """Fetches a whole file; `target` is not there yet.

    Raises:
        SampleError, VideozooError: see about; or it cannot be written.
    """

    def once() -> None:
        target.unlink(missing_ok=True)
        if remote.address.startswith("http"):
            from videozoo.addresses.transfer import fetch

            return fetch(remote.address, target)
        _system(remote.address).get_file(remote.address, str(target))
        here = target.stat().st_size
        if remote.size is not None and here != remote.size:
            raise ConnectionError(f"breaks off at {here:,} bytes of {remote.size:,}")

    _tried(remote.address, once, ANSWER + (remote.size or LISTING * SLOWEST) / SLOWEST)


def upload(path: Path, address: str) -> None:
    """Writes a file to an address: it is there whole or not at all.

    Raises:
        VideozooError: it cannot be.
    """
    system, part = _system(address), address
    if not address.startswith(("s3:", "gs:")):  # which show an object when it is whole
        folder, _, name = address.rpartition("/")
        part = f"{folder}/.{name}.part"

    def once() -> None:
        system.put_file(str(path), part)
        if (there := system.info(part)["size"]) != path.stat().st_size:
            raise ConnectionError(f"has kept {there:,} bytes of {path.stat().st_size:,}")
        if part != address:
            system.mv(part, address)

    _tried(address, once, ANSWER + path.stat().st_size / SLOWEST)


def check_writable(folder: str) -> None:
    """Writes an empty file and removes it, so that a fault shows before the work.

    Raises:
        SampleError, VideozooError: it cannot be.
    """
    probe = f"{folder}/.videozoo"
    _tried(folder, lambda: _system(folder).pipe_file(probe, b""))
    with suppress(VideozooError):  # whoever may write need not be allowed to remove
        remove(probe)


def remove(address: str) -> None:
    """Removes a file.

    Raises:
        SampleError, VideozooError: it is not there, or cannot be removed.
    """
    _tried(address, lambda: _system(address).rm_file(address))


def _remote(address: str, info: dict[str, Any]) -> Remote:
    version = next((info[key] for key in _VERSIONS if info.get(key) is not None), "")
    if isinstance(version, datetime):  # as lists and single answers differ in
        version = version.timestamp()
    return Remote(address, info.get("size"), str(version), info.get("type") == "directory")


def _system(address: str) -> Any:
    """Returns the file system of an address.

    Raises:
        VideozooError: its library is not installed, or it gives files alone.
    """
    scheme = address.partition(":")[0]
    if scheme.startswith("http"):
        raise VideozooError(f"{shown(address)}: is no folder; of web servers, files alone are read")
    found = _SYSTEMS.get((os.getpid(), scheme))
    if found is None:
        # a try is counted here, not by each library as well
        options = (
            {"config_kwargs": {"retries": {"total_max_attempts": 1}}} if scheme == "s3" else {}
        )
        try:
            import fsspec

            found = fsspec.filesystem(
                scheme, skip_instance_cache=True, use_listings_cache=False, **options
            )
        except ImportError as error:
            install = _INSTALLS.get(scheme, f"{error}; see {_INSTALLS['s3']}")
            raise VideozooError(f"{shown(address)}: cannot be read without {install}") from None
        found.retries = 1
        _SYSTEMS[os.getpid(), scheme] = found
    return found


def _tried(address: str, ask: Callable[[], T], seconds: float = ANSWER) -> T:
    """Returns what is asked for, asked again after longer and longer pauses while faults may pass.

    Args:
        address: that is asked.
        ask: gives the answer.
        seconds: that it may take.

    Raises:
        SampleError: there is no such file, or it may not be read.
        VideozooError: it cannot be had, or its library is missing.
    """
    ends, pause, tries = time.monotonic() + LONGEST, PAUSE, 0
    while True:
        tries += 1
        try:
            return _within(seconds, ask)
        except VideozooError:
            raise
        except Exception as error:  # of fsspec's libraries, which change; never chained: requests
            wait = pause * random.uniform(0.5, 1.5)
            if not _passing(error) or tries >= TRIES or time.monotonic() + wait > ends:
                raise _fault(address, error, tries) from None
        time.sleep(wait)
        pause *= 2


def _within(seconds: float, ask: Callable[[], T]) -> T:
    """Returns what is asked for; a try that hangs is left behind in its thread.

    Raises:
        TimeoutError: there is no answer yet.
    """
    heard: queue.SimpleQueue[tuple[T | None, Exception | None]] = queue.SimpleQueue()

    def listen() -> None:
        try:
            heard.put((ask(), None))
        except Exception as error:  # raised again where it is waited for
            heard.put((None, error))

    threading.Thread(target=listen, daemon=True, name="videozoo-address").start()
    try:
        answer, error = heard.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:,.0f} s") from None
    if error is not None:
        raise error
    return cast("T", answer)


def _passing(error: Exception) -> bool:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    number = getattr(error, "errno", None)
    passing = bool(kinds & _PASSING) or number in _PASSING_NUMBERS
    return bool(getattr(error, "passing", passing))


def _fault(address: str, error: Exception, tries: int) -> VideozooError:
    """Returns what is said of an error: one sentence with the address, without secrets."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    text = _SECRET.sub("(secret)", _QUERY.sub(r"\1\2", text))[:200] or type(error).__name__
    if _passing(error):
        return VideozooError(f"{shown(address)}: cannot be had in {tries} tries ({text})")
    if hasattr(error, "passing"):
        return SampleError(text, path=shown(address))
    if isinstance(error, FileNotFoundError):
        return SampleError("there is no such file or folder", path=shown(address))
    if isinstance(error, PermissionError):
        return SampleError(f"access is refused ({text})", path=shown(address))
    if "Credentials" in type(error).__name__:
        text += "; they are taken from the environment or a profile: AWS_ACCESS_KEY_ID, AWS_PROFILE"
    return VideozooError(f"{shown(address)}: cannot be had ({text})")
