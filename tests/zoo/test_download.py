"""Transfers from a server that misbehaves: whole and equal to the byte, or not at all."""

from __future__ import annotations

import random
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain, repeat
from pathlib import Path

import pytest

from served import Served, Site, serving
from videozoo.addresses import transfer
from videozoo.addresses.transfer import AddressError, UnreachableError, fetch
from videozoo.errors import VideozooError

DATA = random.Random(1).randbytes(1_000_000)


def fetched(served: Served, part: Path, name: str = "file") -> Site:
    """Fetches the file; it must come out whole."""
    part.unlink(missing_ok=True)
    with serving({name: served}) as site:
        fetch(site.url(name), part)
    assert part.read_bytes() == DATA
    return site


def refused(served: Served | dict[str, Served], part: Path) -> str:
    """Fetches the file `file`; it must be refused. Returns the reason."""
    part.unlink(missing_ok=True)
    files = served if isinstance(served, dict) else {"file": served}
    with serving(files) as site, pytest.raises(AddressError) as error:
        fetch(site.url("file"), part)
    return str(error.value)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / ".file.part"


def test_a_file_and_how_far_it_is(part: Path) -> None:
    told: list[tuple[int, int | None]] = []
    with serving({"file": Served(DATA)}) as site:
        fetch(site.url("file"), part, report=lambda done, total: told.append((done, total)))
    assert part.read_bytes() == DATA
    assert (told[0], told[-1]) == ((0, len(DATA)), (len(DATA), len(DATA)))
    assert sorted(told) == told


def test_a_file_of_unstated_length(part: Path) -> None:
    fetched(Served(DATA, length=-1), part)


def test_a_file_of_unstated_length_that_breaks(part: Path) -> None:
    reason = refused(Served(DATA, length=-1, stops=[700]), part)
    assert reason == "breaks off at 700 bytes"


def test_more_bytes_promised_than_there_are(part: Path) -> None:
    reason = refused(Served(DATA, length=len(DATA) + 5), part)
    assert reason == "breaks off at 1,000,000 bytes of 1,000,005"


def test_absurd_lengths_are_not_begun(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "sends more than 8,589,934,592 bytes" in refused(Served(DATA, length=1 << 40), part)
    assert part.read_bytes() == b""
    assert "sends more than" in refused(Served(DATA, length="9" * 30), part)
    monkeypatch.setattr(transfer, "MOST_BYTES", 600_000)
    assert "sends more than 600,000 bytes" in refused(Served(DATA, length=-1), part)


def test_a_length_that_is_no_number_is_none(part: Path) -> None:
    for length in ("9" * 5000, "-1", "many"):
        fetched(Served(DATA, length=length), part)


def test_a_transfer_that_drips(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "LONGEST", 1.0)
    start = time.monotonic()
    reason = refused(Served(DATA, drips=0.05), part)
    assert re.fullmatch(r"takes more than 1 s, at [\d,]+ bytes", reason)
    assert time.monotonic() - start < 5.0


@contextmanager
def saying(words: Iterator[bytes]) -> Iterator[str]:
    """Serves one connection, which is sent these words, a part every 20 ms."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            with suppress(OSError), server.accept()[0] as client:
                for part in words:
                    client.sendall(part)
                    time.sleep(0.02)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"
        thread.join(10)


HEADER = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEADER + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begins", "drips", "reason"),
    [
        (b"", b"H", "does not answer within 0 s"),
        (HEADER + b"A: ", b"a", "does not answer within 0 s"),
        (HEADER, b"A: b\r\n", "does not answer within 0 s|answers|headers"),
        (HEADER + b"Content-Length: 9999\r\n\r\n", b"x", "sends less than 1,000 bytes a second"),
        (CHUNKED, b"1\r\nx\r\n", "sends less than 1,000 bytes a second"),
        (CHUNKED, b"0", "sends less than 1,000 bytes a second"),
        (CHUNKED + b"0\r\n", b"T: x\r\n", "sends less than 1,000 bytes a second"),
    ],
)
def test_a_server_that_drips_for_ever(
    begins: bytes, drips: bytes, reason: str, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "WINDOW", 0.4)
    words = chain([begins], repeat(drips, 150))
    start = time.monotonic()
    with saying(words) as address:
        with pytest.raises(AddressError, match=reason):
            fetch(address, part)
        assert time.monotonic() - start < 2.5  # not the 3 s of the server
    if part.exists():
        assert part.stat().st_size < 1000


def test_words_of_a_server_are_short(part: Path) -> None:
    answer = b"HTTP/1.1 404 " + b"\x1b]0;x\x07" * 1000 + b"\r\nContent-Length: 0\r\n\r\n"
    with saying(iter([answer])) as address, pytest.raises(AddressError) as caught:
        fetch(address, part)
    assert len(str(caught.value)) < 150


def test_a_link_in_the_parts_place_is_not_followed(part: Path, tmp_path: Path) -> None:
    part.symlink_to(tmp_path / "victim")
    with (
        serving({"file": Served(DATA)}) as site,
        pytest.raises(VideozooError, match="cannot be written: File exists"),
    ):
        fetch(site.url("file"), part)
    assert not (tmp_path / "victim").exists()


def test_a_server_that_falls_silent(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "TIMEOUT", 0.2)
    reason = refused(Served(DATA, drips=1.0), part)
    assert reason == "breaks off at 100 bytes of 1,000,000"


def test_a_full_disk(part: Path) -> None:
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving({"file": Served(DATA[:2000])}) as site:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, most))
        try:
            with pytest.raises(VideozooError, match=r"part: cannot be written: File too large"):
                fetch(site.url("file"), part)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))
        part.unlink()
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA[:2000]


@pytest.mark.parametrize("status", [204, 206, 403, 404, 410, 500, 503])
def test_refusals_are_not_repeated(part: Path, status: int) -> None:
    with (
        serving({"file": Served(status=status)}) as site,
        pytest.raises(AddressError, match=f"^answers {status} "),
    ):
        fetch(site.url("file"), part)
    assert len(site.asked) == 1
    assert not part.exists()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(part: Path, status: int) -> None:
    files = {"file": Served(status=status, place="/there"), "there": Served(DATA)}
    with serving(files) as site:
        fetch(site.url("file"), part)
    assert part.read_bytes() == DATA
    assert site.asked == ["file", "there"]


def test_redirects_that_lead_nowhere(part: Path) -> None:
    assert "answers 302" in refused(Served(status=302, place="/file"), part)
    reason = refused(Served(status=302, place="file:///etc/passwd"), part)
    assert "is not allowed" in reason
    reason = refused(Served(status=302, place="http://[bad/"), part)
    assert reason == "cannot be reached (Invalid IPv6 URL)"
    reason = refused(Served(status=302, place="ftp://127.0.0.1:9/file"), part)
    assert reason.startswith("cannot be reached (")
    files = {"file": Served(status=301, place="/gone")}
    assert refused(files, part) == "answers 404 Not Found"


def test_redirects_do_not_leave_https(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Answer:
        url, status = "http://example.org/file", 200

    monkeypatch.setattr(transfer, "urlopen", lambda request, timeout: Answer)
    with pytest.raises(AddressError, match=r"leads to http://example\.org/file, which is no https"):
        fetch("HTTPS://example.org/file", part)
    assert not part.exists()


def test_nobody_answers(part: Path) -> None:
    with serving({}) as site:
        pass
    with pytest.raises(AddressError, match=r"^cannot be reached \(Connection refused\)$"):
        fetch(site.url("file"), part)
    with pytest.raises(AddressError, match="no http or https address"):
        fetch("file:///etc/passwd", part)
    for address in ("http://[bad/file", "http://127.0.0.1:9/\u00e9"):
        with pytest.raises(UnreachableError, match=r"^cannot be reached"):
            fetch(address, part)
