"""One file over http: all of it, within limits of time, speed and size.

What a server does with time cannot be trusted, not within a header nor within a chunk: another
thread listens to it, and is left behind when it takes too long.
"""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from videozoo import __version__
from videozoo.errors import VideozooError

Report = Callable[[int, int | None], None]  # bytes that are here, and of how many (None: unknown)

LONGEST = 7200.0  # seconds that one address may take
TIMEOUT = 30.0  # seconds without a byte
WINDOW = 60.0  # seconds over which the speed is measured, and within which an answer begins
SLOWEST = 1000  # bytes a second
MOST_BYTES = 8 << 30  # ten times the largest published file
_BUSY = (429, 500, 502, 503, 504)  # answers of servers that have no time


class AddressError(Exception):
    """An address does not give the file; the message ends a sentence that begins with it.

    Attributes:
        passing: it may give it when it is asked again.
    """

    passing = False


class UnreachableError(AddressError):
    """The address's host does not answer."""

    passing = True


class BusyError(AddressError):
    """The host has broken off, or has no time now."""

    passing = True


def fetch(address: str, part: Path, report: Report = lambda done, total: None) -> None:
    """Writes the whole file of an address to `part`, which is not there yet.

    Raises:
        AddressError: the address does not give the file, or not within LONGEST, or too slowly.
        VideozooError: it cannot be written.
    """
    if not address.lower().startswith(("http://", "https://")):
        raise AddressError("is no http or https address")
    listener = _Listener(address)
    listener.start()
    try:
        total = listener.next()
        try:
            with part.open("xb") as file:
                _write(file, listener, total, report)
        except OSError as error:  # the network's are caught where they are read
            raise VideozooError(f"{part}: cannot be written: {error.strerror}") from None
    finally:
        listener.left.set()


def _write(file: Any, listener: _Listener, total: int | None, report: Report) -> None:
    """Writes what an answer gives, to its last byte."""
    while True:
        report(listener.done, total)
        if max(listener.done, total or 0) > MOST_BYTES:
            raise AddressError(f"sends more than {MOST_BYTES:,} bytes")
        block = listener.next()
        if block is None or (not block and listener.done != (total or listener.done)):
            of = "" if total is None else f" of {total:,}"
            raise BusyError(f"breaks off at {listener.done:,} bytes{of}")
        if not block:
            return
        listener.done += file.write(block)


class _Listener(threading.Thread):
    """Hears one answer; `next` gives its length, then its blocks: b"" at the end, None: it broke.

    Attributes:
        done: bytes that were taken.
        left: set when nobody takes any more.
    """

    def __init__(self, address: str) -> None:
        super().__init__(daemon=True, name="videozoo-transfer")
        self.done = 0
        self.left = threading.Event()
        self._address = address
        self._heard: queue.Queue[Any] = queue.Queue(maxsize=8)
        self._ends = time.monotonic() + LONGEST
        self._answered = False
        self._look = (time.monotonic() + WINDOW, 0)  # when the speed is looked at, bytes before

    def next(self) -> Any:
        """Returns what was heard next.

        Raises:
            AddressError: the address does not give the file, or takes too long.
        """
        while True:
            now = time.monotonic()
            if now > self._ends:
                raise AddressError(f"takes more than {LONGEST:,.0f} s, at {self.done:,} bytes")
            if now > self._look[0]:
                self._check_speed(now)
            try:
                heard = self._heard.get(timeout=min(self._ends, self._look[0]) - now + 0.01)
            except queue.Empty:
                continue
            if isinstance(heard, Exception):
                raise heard
            self._answered = True
            return heard

    def _check_speed(self, now: float) -> None:
        if not self._answered:
            raise UnreachableError(f"does not answer within {WINDOW:,.0f} s")
        if self.done - self._look[1] < SLOWEST * WINDOW:
            slow = f"sends less than {SLOWEST:,} bytes a second"
            raise AddressError(f"{slow}, at {self.done:,} bytes")
        self._look = (now + WINDOW, self.done)

    def run(self) -> None:
        """Asks and listens, until the end or until nobody takes any more."""
        try:
            with _open(self._address) as response:
                self._tell(response.length)
                while not self.left.is_set():
                    try:
                        block = response.read1(1 << 18)
                    except (OSError, http.client.HTTPException):
                        block = None
                    self._tell(block)
                    if not block:
                        return
        except Exception as error:  # raised again where it is taken
            self._tell(error)

    def _tell(self, heard: Any) -> None:
        while not self.left.is_set():
            try:
                self._heard.put(heard, timeout=0.5)
                return
            except queue.Full:
                continue


def look(address: str) -> tuple[int | None, str]:
    """Returns the length of an address's file, None where it is not told, and what changes with it.

    Of a server that tells no more, that is the length.

    Raises:
        AddressError: the address does not give the file.
    """
    with _open(address, "HEAD") as answer:
        said, length = answer.headers, answer.headers.get("Content-Length", "")
        version = said.get("ETag") or said.get("Last-Modified") or length
        return int(length) if length.isdigit() else None, version


def _open(address: str, method: str = "GET") -> Any:
    """Sends a request; returns the answer, of status 200."""
    headers = {"User-Agent": f"videozoo/{__version__}", "Accept-Encoding": "identity"}
    try:
        request = Request(address, headers=headers, method=method)
        response = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        reason = str(error.reason).partition("\n")[0][:100]
        kind = BusyError if error.code in _BUSY else AddressError
        raise kind(f"answers {error.code} {reason}".rstrip()) from None
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        told = str(getattr(cause, "strerror", None) or cause)[:200]
        raise UnreachableError(f"cannot be reached ({told})") from None
    if urlsplit(response.url).scheme not in ("https", urlsplit(address).scheme):
        raise AddressError(
            f"leads to {response.url.partition('?')[0][:200]}, which is no https address"
        )
    if response.status != 200:
        raise AddressError(f"answers {response.status} {response.reason[:100]}")
    return response
