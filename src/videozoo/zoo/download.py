"""Fetches one file from one address: resumed where it broke, counted, never taken for whole.

A transfer grows in a file of its own (`part`), with a small file beside it that says where it came
from. HTTP's rules of ranges and their conditions: RFC 9110, sections 13 and 14.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from videozoo import __version__
from videozoo.errors import VideozooError
from videozoo.files import write_json

Report = Callable[[int, int | None], None]

PAUSES = (0.5, 2.0, 8.0)  # seconds before a broken transfer is taken up again
TIMEOUT = 30.0  # seconds without a byte
MOST_BYTES = 8 << 30  # ten times the largest published file
_BLOCK = 1 << 18
_MAY_PASS = {408, 425, 429, 500, 502, 503, 504}


class AddressError(Exception):
    """An address does not give the file; the message ends a sentence that begins with it."""


class _BrokenError(Exception):
    """A transfer broke, or the server was busy: it may be tried again."""


class _OtherFileError(_BrokenError):
    """What the server gives does not belong to what is here: it must begin anew."""


@dataclass(frozen=True)
class _State:
    """What is known of a file that is being transferred.

    Attributes:
        address: that it comes from.
        validator: its strong ETag, or when it was last changed; "": it cannot be resumed.
        total: its length; None: the server does not say.
    """

    address: str
    validator: str
    total: int | None


def fetch(
    address: str,
    part: Path,
    *,
    report: Report | None = None,
    pauses: tuple[float, ...] | None = None,
) -> None:
    """Brings a whole file into `part`, going on from what is there of it.

    A transfer that breaks is taken up again as long as it grows; one that does not is given up
    after a few pauses.

    Args:
        address: http or https.
        part: stays where the transfer is given up, to be gone on with later.
        report: told the bytes that are here, and of how many (None: the server does not say).
        pauses: seconds before each further try.

    Raises:
        AddressError: the address does not give the file.
        VideozooError: there is no room for it here.
    """
    if not address.lower().startswith(("http://", "https://")):
        raise AddressError("is no http or https address")
    pauses = PAUSES if pauses is None else pauses
    tries, most = iter(pauses), -1
    while True:
        try:
            _transfer(address, part, report or (lambda done, total: None))
            return
        except _BrokenError as broken:
            if isinstance(broken, _OtherFileError):
                drop(part)
            _, size = _here(address, part)
            if size > max(most, 0):
                most, tries = size, iter(pauses)
            pause = next(tries, None)
            if pause is None:
                raise AddressError(str(broken)) from None
            time.sleep(pause)


def drop(part: Path) -> None:
    """Removes a transfer and what is known of it."""
    part.unlink(missing_ok=True)
    _state_path(part).unlink(missing_ok=True)


def _transfer(address: str, part: Path, report: Report) -> None:
    """Makes one request and appends what it gives."""
    state, have = _here(address, part)
    if state is not None and have == state.total:
        return
    if state is None or not state.validator:
        have = 0
    headers = {"User-Agent": f"videozoo/{__version__}", "Accept-Encoding": "identity"}
    if state is not None and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": state.validator}
    with _open(address, headers, begun=have > 0) as response:
        start, total = _place(response, have)
        validator = _validator(response.headers)
        if start and state is not None:
            _check_same(state, validator, total)
            validator = state.validator  # a part need not say it again
        state = _State(address, validator, total)
        if not start:  # until a server has answered, what another one gave is kept
            drop(part)
        _check_room(part, (total or 0) - start, total)
        write_json(_state_path(part), asdict(state))
        done = _append(response, part, start, total, report)
    if total is not None and done != total:
        raise _BrokenError(_breaks_off(done, total))
    write_json(_state_path(part), asdict(_State(address, state.validator, done)))


def _open(address: str, headers: dict[str, str], *, begun: bool) -> Any:
    """Sends a request; returns the answer, of status 200 or 206."""
    try:
        request = Request(address, headers=headers)
        response = build_opener(_Redirects).open(request, timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        reason = f"answers {error.code} {str(error.reason).partition(chr(10))[0]}".rstrip()
        if error.code == 416:  # the file is shorter than what is here
            raise _OtherFileError(reason) from None
        raise (_BrokenError if error.code in _MAY_PASS else AddressError)(reason) from None
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        reason = f"cannot be reached ({getattr(cause, 'strerror', None) or cause})"
        # Before the first byte this is no network at all; behind it, one that went away.
        raise (_BrokenError if begun else AddressError)(reason) from None
    if response.status not in (200, 206):
        response.close()
        raise AddressError(f"answers {response.status} {response.reason}")
    return response


def _place(response: Any, have: int) -> tuple[int, int | None]:
    """Returns where in the file an answer begins, and how long the file is."""
    if response.status == 200:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    found = re.fullmatch(
        r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", "").strip()
    )
    if found is None or int(found[1]) != have:
        raise _OtherFileError("answers with another part of the file than was asked for")
    return have, int(found[2])


def _check_same(state: _State, validator: str, total: int | None) -> None:
    """Compares a part's file with the one that was begun: not every server heeds If-Range."""
    comparable = validator.startswith('"') == state.validator.startswith('"')
    if total != state.total or (validator and comparable and validator != state.validator):
        raise _OtherFileError("sends another file than it began with")


def _append(response: Any, part: Path, start: int, total: int | None, report: Report) -> int:
    """Appends an answer to what is here; returns the bytes that are here then."""
    done = start
    report(done, total)
    # Without a buffer a full disk shows when bytes are written, not when the file is closed.
    with part.open("ab" if start else "wb", buffering=0) as file:
        while True:
            try:
                block = response.read1(_BLOCK)
            except (OSError, http.client.HTTPException):
                raise _BrokenError(_breaks_off(done, total)) from None  # what has come is kept
            if not block:
                break
            done += len(block)
            if done > MOST_BYTES:
                drop(part)
                raise AddressError(f"sends more than {MOST_BYTES:,} bytes")
            with _writing(part):
                rest = memoryview(block)
                while rest:
                    rest = rest[file.write(rest) :]
            report(done, total)
        with _writing(part):
            os.fsync(file.fileno())
    return done


@contextmanager
def _writing(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VideozooError(f"{part}: cannot be written: {error.strerror}") from None


def _breaks_off(done: int, total: int | None) -> str:
    return f"breaks off at {done:,} bytes" + ("" if total is None else f" of {total:,}")


def _check_room(part: Path, needed: int, total: int | None) -> None:
    if total is not None and total > MOST_BYTES:
        raise AddressError(f"is {total:,} bytes long, absurdly much")
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise VideozooError(f"{part.parent}: has {free:,} bytes left, {needed:,} are needed")


def _validator(headers: Message) -> str:
    """Returns what If-Range may hold: a strong ETag, else the date of the last change."""
    tag = headers.get("ETag", "")
    return str(tag if tag.startswith('"') else headers.get("Last-Modified", ""))


def _here(address: str, part: Path) -> tuple[_State | None, int]:
    """Returns what is known of a transfer from an address, and how many bytes of it are here."""
    state = _read_state(part)
    if state is None or state.address != address:
        return None, 0
    return state, part.stat().st_size if part.is_file() else 0


def _read_state(part: Path) -> _State | None:
    try:
        return _State(**json.loads(_state_path(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # then the transfer begins anew


def _state_path(part: Path) -> Path:
    return part.with_name(part.name + ".json")


class _Redirects(HTTPRedirectHandler):
    """Follows redirects, but never out of https."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme != "https"):
            raise AddressError(f"leads to {newurl}, which is no https address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
